/**
 * `kill -9` of the service while it makes an environment, at moments that a seed picks: the next service has it whole or
 * not at all, and nothing else was touched.
 *
 * @module
 */
import { once } from "node:events";
import { readdirSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Running } from "../harness/program.ts";
import { findLeftovers } from "../harness/leftovers.ts";
import { oneIn } from "../harness/rounds.ts";
import { openSeeded } from "../harness/seeded.ts";
import { until } from "../harness/wait.ts";
import { makeWitness, type Witness } from "../harness/witness.ts";
import { useService } from "../interop/use-service.ts";

/** A branch whose onCreateCommand, and one whose postCreateCommand does not end before its service was killed. */
const HELD = ["b5", "b12"] as const;
const hold = (branch: string): string =>
  `[ "$(git branch --show-current)" != ${branch} ] || until [ -e ~/go ]; do sleep 0.05; done`;

/** The onCreateCommand says in the home folder when it begins and ends, and takes long enough to be hit. */
const DEFINITION = JSON.stringify({
  onCreateCommand: `echo begun >>~/on-create; sleep 0.3; ${hold(HELD[0])}; echo ended >>~/on-create`,
  postCreateCommand: {
    one: "echo one >>~/post-create",
    two: ["sh", "-c", `sleep 0.1; ${hold(HELD[1])}; echo two >>~/post-create`],
  },
  waitFor: "postCreateCommand",
});
const FILES = 500;
const ROUNDS = 20;

/** What the service that was killed had done, as the one after it found it: the further, the later in this list. */
const PHASES = ["not begun", "half made, cleared", "kept", "done"] as const;
type Phase = (typeof PHASES)[number];

/**
 * What is to be seen of the work before the time begins to run, the longest time from then on, and how far it has come
 * at least by then, however fast or slow the machine is.
 */
const STAGES = [
  { seen: "the start of the client", withinMs: 250, least: "not begun" },
  { seen: /fetching/, withinMs: 20, least: "not begun" },
  { seen: "a folder", withinMs: 40, least: "half made, cleared" },
  { seen: /preparing/, withinMs: 60, least: "half made, cleared" },
  { seen: /checking out/, withinMs: 60, least: "half made, cleared" },
  { seen: /starting/, withinMs: 450, least: "kept" },
  { seen: "the end of the client", withinMs: 250, least: "done" },
] as const;
type Seen = (typeof STAGES)[number]["seen"];

const seeded = openSeeded("crash-creating");
const rounds = Array.from({ length: ROUNDS }, (_, at) => {
  const { withinMs, ...stage } = STAGES[at % STAGES.length]!;
  const isHeld = HELD.some((branch) => branch === `b${at}`);
  // The first of each kind at once, so that no machine is too fast for it, and the very first of all before it can begin.
  const afterMs = at < STAGES.length ? 0 : seeded.between(0, withinMs);
  const most: Phase = at === 0 ? "not begun" : isHeld ? "kept" : "done";
  return { round: at, name: `big-b${at}`, ...stage, most, isHeld, afterMs };
});
const service = useService({
  repositories: {
    hello: {},
    big: { fileCount: FILES, definition: DEFINITION, branches: rounds.map((_, at) => `b${at}`) },
  },
  network: "nat",
});

let witness: Witness | undefined;

const moments: { readonly after: string; readonly phase: Phase }[] = [];

interface Row {
  readonly login: string;
  readonly phase: string;
  readonly power: string;
}

async function listRows(): Promise<Row[]> {
  const { stdout } = await service().as("ada").lobby("ls", "--all", "--json");
  return JSON.parse(stdout) as Row[];
}

function environmentFolders(): string[] {
  return readdirSync(join(service().stateFolder, "environments"));
}

/** What there may be of one environment on the machine. */
async function tracesOf(id: string): Promise<string[]> {
  const folder = join(service().stateFolder, "environments", id);
  return findLeftovers({ folder, firstUid: 0, uidCount: 0, environments: [id] });
}

/** Begins to look for one; resolves when the work has come so far. */
function watchFor(seen: Seen): (client: Running) => Promise<unknown> {
  if (seen === "the start of the client") return async () => undefined;
  if (seen === "the end of the client") return ({ ended }) => ended;
  if (seen !== "a folder") return (client) => client.untilError(seen);
  const watcher = watch(join(service().stateFolder, "environments"));
  const changed = once(watcher, "change").finally(() => watcher.close());
  return () => changed;
}

/** Every file as it was committed, and each command ended once, or twice when its end could not be written down. */
const LOOK = `git status --porcelain; git fsck --no-progress 2>&1; find many -type f | wc -l
sort -u ~/on-create | tr '\\n' ' '; sort -u ~/post-create | tr '\\n' ' '; tail -n 1 ~/on-create; grep -c ended ~/on-create
ps -eo args= | grep -c '^sh /opt/slipway/init.sh'`;

test.for(rounds)(
  "a service killed while it makes $name leaves it whole or absent",
  { timeout: 90_000 },
  async ({ round, name, seen, afterMs, least, most, isHeld }, ctx) => {
    oneIn(3, round, ctx); // each of the seven stages once
    const ada = service().as("ada");
    witness ??= await makeWitness(service().as("bob"), "hello-main");
    const logged = service().log().length;
    const before = environmentFolders();
    if (most === "not begun") process.kill(service().pid, "SIGSTOP"); // the kernel takes the client, and nobody else does
    const untilSeen = watchFor(seen);
    const client = ada.startSsh([`${name}@slipway`, "echo inside"], { timeoutMs: 25_000 });
    await untilSeen(client);
    if (afterMs > 0) await sleep(afterMs);
    await service().kill9();
    const first = await client.ended;
    // Whoever was told that it worked was inside.
    expect(first.exitCode === 0 ? first.stdout : "inside\n").toBe("inside\n");
    expect([0, 255]).toContain(first.exitCode);
    const added = environmentFolders().filter((id) => !before.includes(id));
    for (const id of isHeld ? added : []) writeFileSync(join(service().stateFolder, "environments", id, "home/go"), "");

    await service().restart();
    // What is on the disk is recorded, and nothing half made stays.
    const rows = await until("records and folders to be as many", async () => {
      const listed = await listRows();
      return listed.length === environmentFolders().length && listed;
    });
    const found = rows.find(({ login }) => login === name);
    const phase = phaseOf(first.exitCode === 0, added.length > 0, found !== undefined);
    moments.push({ after: `${afterMs} ms after ${seen instanceof RegExp ? seen.source : seen}`, phase });
    expect(PHASES.slice(PHASES.indexOf(least), PHASES.indexOf(most) + 1)).toContain(phase);
    if (found === undefined) for (const id of addedSince(logged)) expect(await tracesOf(id)).toEqual([]);
    await witness.mustBeUnharmed();

    const second = await ada.ssh([`${name}@slipway`, LOOK]);
    const [files, onCreate, endedCount = "", inits] = second.stdout.split("\n");
    expect({ exitCode: second.exitCode, files, onCreate, inits, stdout: second.stdout }).toEqual({
      exitCode: 0,
      files: String(FILES),
      onCreate: "begun ended one two ended",
      inits: "1",
      stdout: second.stdout,
    });
    expect(Number(endedCount)).toBeLessThanOrEqual(2);

    expect((await ada.lobby("rm", name, "--force")).exitCode).toBe(0);
    for (const id of addedSince(logged)) expect(await tracesOf(id)).toEqual([]);
  },
);

function addedSince(logged: number): string[] {
  const lines = service().log().slice(logged);
  return [...lines.matchAll(/"event":"environment.added".*?"environment":"([a-z0-9]+)"/g)].map(([, id = ""]) => id);
}

function phaseOf(isDone: boolean, wasBegun: boolean, isThere: boolean): Phase {
  if (isDone) return "done";
  if (!wasBegun) return "not begun";
  return isThere ? "kept" : "half made, cleared";
}

/**
 * Issue 2: this asserted nothing, so kills that all came when the work was done would have passed. How many came where
 * is a matter of luck, but for those that are held; what is cleared away is held still in `environments.test.ts`.
 */
test("the moments at which the service was killed cover what it does", (ctx) => {
  if (moments.length < ROUNDS) ctx.skip("not every round was run");
  process.stderr.write(`crash-creating: ${moments.map(({ after, phase }) => `${after}: ${phase}`).join("; ")}\n`);
  const phases = moments.map(({ phase }) => phase);
  for (const phase of ["not begun", "kept", "done"] as const) expect(phases).toContain(phase);
});
