import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

import { isEveryRound } from "./test/harness/rounds.ts";
import { ClosingLine } from "./tools/closing-line.ts";
import { WAITING as WAITING_PROJECT, WaitingFirst } from "./tools/waiting-first.ts";

/** Folders whose tests start real servers, clients and environments. */
const REAL = ["interop", "faults", "hostile", "access"].map((folder) => `test/${folder}/**/*.test.ts`);

/** Those that mostly wait, for the shortest intervals that can be set: others compute beside them. */
const WAITING = ["test/access/**/*.test.ts", "test/faults/vanished-client.test.ts"];

/** Tests that need a cluster. */
const ON_CLUSTER = [
  "test/cluster/cluster*.test.ts",
  "test/cluster/images/**/*.test.ts",
  "test/kubernetes/**/*.test.ts",
];
/** Those whose sessions are shown in pods, too; what is left out is of this machine's sandbox, or has a gateway of its own. */
const SESSIONS = [
  ...["openssh-exec", "openssh-terminal", "openssh-forward", "openssh-control", "openssh-crypto", "other-clients"],
  ...["editors", "files", "rsync-git", "logins", "lifetime", "ansible", "lobby", "russh", "channel-requests"],
  "security-keys",
];
/** Each image is another place: `test/interop/place.ts`. */
const IMAGES = ["debian", "alpine-like", "distroless"] as const;
/** What is left of all that in CI, which has no hour: the way into a pod and back, pools, and Slipway inside of a cluster. */
const CORE = ["api", "exec", "plan", "pools", "by-address", "in-cluster"].map(
  (name) => `test/kubernetes/${name}.test.ts`,
);
const CORE_SESSIONS = { debian: [], "alpine-like": ["files"], distroless: ["openssh-exec"] };
const isClusterAsked = (process.env["KUBECONFIG"] ?? "") !== "" || process.env["SLIPWAY_TEST_CLUSTER"] === "build";
const isCoreOnly = process.env["SLIPWAY_TEST_CLUSTER_PART"] === "core";
const ASK_FOR_ALL =
  "To run it, as root on Debian 12: SLIPWAY_TEST_CLUSTER=build npm test; or on a cluster of yours: KUBECONFIG=file npm test";
const CLUSTER_SKIPPED = isClusterAsked
  ? `SKIPPED: most of what is to be seen on Kubernetes, its faults above all: SLIPWAY_TEST_CLUSTER_PART=core. ${ASK_FOR_ALL}`
  : `SKIPPED: everything on Kubernetes (test/kubernetes, test/cluster). ${ASK_FOR_ALL}`;

function sessionsIn(place: (typeof IMAGES)[number]): string[] {
  return (isCoreOnly ? CORE_SESSIONS[place] : SESSIONS).map((name) => `test/interop/${name}.test.ts`);
}

/**
 * How many files run at a time, so many for each processor; `test/harness/free-port.ts` has ports for twelve. Who asks for
 * every round, as CI does, has the time for one less: what is timed is disturbed less.
 */
const workersFor = (each: number): number => Math.min(12, (each - Number(isEveryRound)) * availableParallelism());

export default defineConfig({
  test: {
    // Processes, as tests start thousands of programs: to fork one copies the tables of all the memory of the threads beside it,
    // and a child that has not come to its program yet holds what they have open. Each runs file after file: to begin
    // anew for each takes as long as most of them do.
    pool: "forks",
    isolate: false,
    sequence: { sequencer: WaitingFirst },
    testTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } }, // a second, Vitest's own, is soon over beside other work
    // Hooks start services and make environments, on machines with other work too.
    hookTimeout: 60_000,
    reporters: ["default", new ClosingLine(isClusterAsked && !isCoreOnly ? [] : [CLUSTER_SKIPPED])],
    projects: [
      {
        extends: true,
        test: {
          name: "code",
          include: ["src/**/*.test.ts", "test/**/*.test.ts", "tools/**/*.test.ts"],
          exclude: [...REAL, ...ON_CLUSTER],
          // Vitest's own choice is one less than there are processors; with some that wait, those would be idle.
          maxWorkers: workersFor(3),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: WAITING_PROJECT,
          include: WAITING,
          maxWorkers: workersFor(3),
          maxConcurrency: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // Some keep a processor busy by themselves or measure memory, and most wait for an ssh: fewer at a time than above.
        test: {
          name: "real",
          include: REAL,
          exclude: WAITING,
          maxWorkers: workersFor(2),
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "cluster",
          include: isClusterAsked ? (isCoreOnly ? CORE : ON_CLUSTER) : [],
          globalSetup: ["test/cluster/global-setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: 1, // one cluster for all, which some of them break
          isolate: true,
          sequence: { groupOrder: 2 },
        },
      },
      ...IMAGES.map((place, at) => ({
        extends: true as const,
        test: {
          name: `cluster-${place}`,
          include: isClusterAsked ? sessionsIn(place) : [],
          provide: { place },
          globalSetup: ["test/cluster/global-setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          isolate: true,
          sequence: { groupOrder: 3 + at },
        },
      })),
    ],
  },
});
