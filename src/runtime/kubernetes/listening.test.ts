import { type Duplex, duplexPair } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";

import { FakeCluster, keptOf } from "../../../test/fakes/fake-cluster.ts";
import { kinds } from "../../wire/kubernetes.ts";
import type { Exec, ExecRequest } from "./api/cluster-api.ts";
import { type Listening, makeListening } from "./listening.ts";

const ENTRANCE = {
  ...{ user: "dev", workspaceFolder: "/workspace/hello", labels: { app: "hello" }, container: "main" },
  ...{ hostKey: "", serviceNames: [], warnings: [] },
};

let cluster: FakeCluster;
let closing: AbortController;
let listening: Listening;
/** The program's side of each exec, oldest first. */
let insides: Duplex[];
let asked: string[];
let failure: Error | undefined;

beforeEach(() => {
  cluster = new FakeCluster();
  closing = new AbortController();
  [insides, asked, failure] = [[], [], undefined];
  const exec = async ({ pod, argv }: ExecRequest): Promise<Exec> => {
    asked.push(`${pod} ${argv.join(" ")}`);
    if (failure !== undefined) throw failure;
    const [stream, inside] = duplexPair();
    insides.push(inside);
    return { stream, ended: Promise.resolve({ type: "exited", exitCode: 0 }), canEndInput: true, stderr: () => "" };
  };
  const own = cluster.as();
  listening = makeListening({ ...own, api: { ...own.api, exec } }, closing.signal);
});

afterEach(async () => {
  closing.abort();
  await cluster.clock.advance(0);
  expect(cluster.clock.pendingCount).toBe(0);
});

/** Puts a pod there that runs. @returns its uid */
function putPod(name: string): string {
  const status = {
    phase: "Running",
    containerStatuses: [{ name: "main", image: "", state: { running: {} }, restartCount: 0 }],
  };
  const pod = cluster.put(kinds.pod, {
    metadata: { name, namespace: "slipway-k3x9", labels: ENTRANCE.labels },
    status,
  });
  return pod.metadata.uid ?? "";
}

function putReady(readyPod: string): void {
  cluster.putEnvironment(keptOf({}, { entrance: ENTRANCE, isCheckedOut: true, readyPod }), "ours");
}

const tick = (): Promise<void> => cluster.clock.advance(0);
const hex = (text: string): string => `${Buffer.from(text).toString("hex")}\n`;

/** Calls from inside of the newest stream, and reads the answer. */
async function call(text: string): Promise<string> {
  const inside = insides.at(-1);
  const answer = new Promise<string>((resolve) => inside?.once("data", (chunk: Buffer) => resolve(chunk.toString())));
  inside?.write(hex(text));
  return Buffer.from((await answer).trimEnd(), "hex").toString();
}

test("listen() takes calls in the pod that is ready, or will be, and not before", async () => {
  listening.listen("k3x9", (stream) => void stream.end("answer"));
  await tick();
  const uid = putPod("one");
  putReady("another");
  await tick();
  expect(asked).toEqual([]);
  putReady(uid);
  await tick();
  expect(asked).toEqual(["one /opt/slipway/libexec/calls serve /run/slipway/calls.sock"]);
  expect(await call("question")).toBe("answer");
});

test("listen() opens a stream again that is lost: after 1 s, twice as long each time, at most 30 s, and at 1 s again after one that lasted", async () => {
  putReady(putPod("one"));
  listening.listen("k3x9", () => undefined);
  await tick();
  failure = new Error("The cluster is away");
  insides[0]?.end();
  const at: number[] = [];
  for (let second = 1; second <= 110; second++) {
    const before = asked.length;
    await cluster.clock.advance(1_000);
    if (asked.length > before) at.push(second);
  }
  expect(at).toEqual([1, 3, 7, 15, 31, 61, 91]);
  failure = undefined;
  await cluster.clock.advance(30_000 + 60_000);
  expect(asked).toHaveLength(9);
  insides.at(-1)?.end();
  await cluster.clock.advance(1_000);
  expect(asked).toHaveLength(10);
});

test("listen() goes on in the pod that is ready after one that ended", async () => {
  putReady(putPod("one"));
  listening.listen("k3x9", (stream) => void stream.end("answer"));
  await tick();
  const deletionTimestamp = "2026-01-01T00:00:00Z";
  cluster.put(kinds.pod, {
    metadata: { name: "one", namespace: "slipway-k3x9", labels: ENTRANCE.labels, deletionTimestamp },
  });
  await tick();
  await cluster.clock.advance(60_000);
  expect(asked).toHaveLength(1);
  putReady(putPod("two"));
  await tick();
  expect(asked[1]).toMatch(/^two /);
  expect(await call("question")).toBe("answer");
});

test("listen() warns of what no program of ours says, and believes that stream no more", async () => {
  putReady(putPod("one"));
  listening.listen("k3x9", () => undefined);
  await tick();
  insides[0]?.write("give me your secrets\n");
  await tick();
  const warned = cluster.logged.lines.filter(({ level }) => level === "warn");
  expect(warned).toMatchObject([{ event: "kubernetes.calls-strange", facts: { environment: "k3x9" } }]);
  expect(JSON.stringify(warned)).not.toContain("secrets");
  await cluster.clock.advance(1_000);
  expect(asked).toHaveLength(2);
});

test("listen() takes calls in the stead of an earlier one, whose end is then nobody's", async () => {
  putReady(putPod("one"));
  const first = listening.listen("k3x9", (stream) => void stream.end("first"));
  await tick();
  listening.listen("k3x9", (stream) => void stream.end("second"));
  await first.close();
  await tick();
  expect(await call("question")).toBe("second");
});

test.each([
  ["its listener", (listener: { close(): Promise<void> }) => listener.close()],
  ["the environment", () => listening.close("k3x9")],
  ["the runtime", async () => closing.abort()],
])("nothing is open any more after %s is closed, whether it waited, took calls or failed", async (_, close) => {
  const hungUp: boolean[] = [];
  for (const state of ["waiting", "taking", "failing"]) {
    if (state === "taking") putReady(putPod("one"));
    failure = state === "failing" ? new Error("The cluster is away") : undefined;
    const listener = listening.listen("k3x9", (stream) => stream.once("close", () => hungUp.push(true)));
    await tick();
    if (state === "taking") insides.at(-1)?.write(hex("question"));
    await tick();
    await close(listener);
    await tick();
    const count = asked.length;
    await cluster.clock.advance(60_000);
    expect(asked).toHaveLength(count);
    if (closing.signal.aborted) break;
  }
  if (!closing.signal.aborted) expect(hungUp).toEqual([true]);
});
