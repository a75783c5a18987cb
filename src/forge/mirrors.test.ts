import { execFileSync, spawn } from "node:child_process";
import { chownSync } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { type Clock, makeClock } from "../base/clock.ts";
import { type Facts, type Log, makeLog } from "../base/log.ts";
import { type Mirrors, openMirrors } from "./mirrors.ts";

let folder: string;
let origin: string;
let stateDir: string;
const logged: { event: string; facts: Facts | undefined }[] = [];
const quiet = makeLog("silent");
const log: Log = {
  ...quiet,
  debug: (event, facts) => logged.push({ event, facts }),
  warn: (event, facts) => logged.push({ event, facts }),
};
const never = new AbortController().signal;
const opened: Mirrors[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-mirrors-"));
  origin = join(folder, "hello");
  stateDir = join(folder, "state");
  await mkdir(stateDir, { mode: 0o700 });
  git("init", "-q", "-b", "main", origin);
  commit("first");
  logged.length = 0;
});
afterEach(async () => {
  for (const mirrors of opened.splice(0)) await mirrors.close();
  await rm(folder, { recursive: true });
});

function git(...args: string[]): string {
  const identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  return execFileSync("git", [...identity, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env,
  }).trim();
}

function commit(subject: string, ...args: string[]): string {
  git("-C", origin, "commit", "-q", "--allow-empty", "-m", subject, ...args);
  return git("-C", origin, "rev-parse", "HEAD");
}

async function open(url = origin, clock: Clock = makeClock()): Promise<Mirrors> {
  const mirrors = await openMirrors({ stateDir, folder: "/", repositories: [{ name: "hello", url }], clock, log });
  opened.push(mirrors);
  return mirrors;
}

const countOf = (event: string): number => logged.filter((line) => line.event === event).length;
const has = async (mirrors: Mirrors, object: string): Promise<boolean> => {
  try {
    git("--git-dir", mirrors.pathOf("hello"), "cat-file", "-e", object);
    return true;
  } catch {
    return false;
  }
};

test("refresh() copies a repository that was never fetched, with its branches and its HEAD", async () => {
  git("-C", origin, "branch", "feature/x");
  git("-C", origin, "checkout", "-q", "-b", "trunk");
  const mirrors = await open();
  expect(await mirrors.branches("hello")).toEqual([]);
  expect(await mirrors.defaultBranch("hello")).toBeUndefined();
  expect(await mirrors.refresh("hello", 0, never)).toMatchObject({ stale: false });
  expect(await mirrors.branches("hello")).toEqual(["feature/x", "main", "trunk"]);
  expect(await mirrors.defaultBranch("hello")).toBe("trunk");
});

test("refresh() follows branches that were pushed, forced and deleted, and keeps the commits left behind", async () => {
  git("-C", origin, "checkout", "-q", "-b", "topic");
  const first = commit("to be amended");
  git("-C", origin, "checkout", "-q", "-b", "gone");
  const second = commit("to be deleted");
  const mirrors = await open();
  await mirrors.refresh("hello", 0, never);
  git("-C", origin, "checkout", "-q", "topic");
  git("-C", origin, "branch", "-q", "-D", "gone");
  const third = commit("amended", "--amend");
  await mirrors.refresh("hello", 0, never);
  expect(await mirrors.branches("hello")).toEqual(["main", "topic"]);
  expect(git("--git-dir", mirrors.pathOf("hello"), "rev-parse", "topic")).toBe(third);
  const kept = git("--git-dir", mirrors.pathOf("hello"), "for-each-ref", "--format=%(refname)", "refs/slipway/");
  expect(kept.split("\n").sort()).toEqual([first, second].map((id) => `refs/slipway/kept/${id}`).sort());
  git("--git-dir", mirrors.pathOf("hello"), "gc", "--quiet", "--prune=now");
  for (const id of [first, second, third]) expect(await has(mirrors, id)).toBe(true);
});

test("refresh() keeps no extra ref for a branch that went forward", async () => {
  const mirrors = await open();
  await mirrors.refresh("hello", 0, never);
  commit("second");
  await mirrors.refresh("hello", 0, never);
  expect(git("--git-dir", mirrors.pathOf("hello"), "for-each-ref", "refs/slipway/")).toBe("");
});

test("refresh() replaces a branch by one below its name", async () => {
  git("-C", origin, "branch", "a");
  const mirrors = await open();
  await mirrors.refresh("hello", 0, never);
  git("-C", origin, "branch", "-q", "-D", "a");
  git("-C", origin, "branch", "a/b");
  await mirrors.refresh("hello", 0, never);
  expect(await mirrors.branches("hello")).toEqual(["a/b", "main"]);
});

test("refresh() asks the origin only when what is known is too old", async () => {
  const clock = new HandClock(1_000_000);
  const mirrors = await open(origin, clock);
  await mirrors.refresh("hello", 0, never);
  await clock.advance(10_000);
  expect(await mirrors.refresh("hello", 10_001, never)).toEqual({ stale: false, askedAt: 1_000_000 });
  expect(countOf("mirror.fetched")).toBe(1);
  expect(await mirrors.refresh("hello", 10_000, never)).toEqual({ stale: false, askedAt: 1_010_000 });
  expect(countOf("mirror.fetched")).toBe(2);
});

test("refresh() shares one fetch among calls at the same time, and one more among those that come while it runs", async () => {
  const clock = new HandClock(1_000_000);
  const mirrors = await open(origin, clock);
  const early = Array.from({ length: 10 }, () => mirrors.refresh("hello", 0, never));
  await clock.advance(5);
  const late = Array.from({ length: 10 }, () => mirrors.refresh("hello", 0, never));
  await Promise.all([...early, ...late]);
  expect(countOf("mirror.fetched")).toBe(2);
});

test("refresh() ends the waiting of one caller when its signal aborts, and the others get their answer", async () => {
  const mirrors = await open();
  const stop = new AbortController();
  const impatient = mirrors.refresh("hello", 0, stop.signal);
  const patient = mirrors.refresh("hello", 0, never);
  stop.abort();
  await expect(impatient).rejects.toThrow("aborted");
  expect(await patient).toMatchObject({ stale: false });
});

test("refresh() reports what it has as stale while the origin is away, and recovers", async () => {
  const clock = new HandClock(1_000_000);
  const mirrors = await open(origin, clock);
  await mirrors.refresh("hello", 0, never);
  await rename(origin, `${origin}-away`);
  await clock.advance(1);
  expect(await mirrors.refresh("hello", 0, never)).toEqual({ stale: true, askedAt: 1_000_000 });
  expect(await mirrors.refresh("hello", 0, never)).toEqual({ stale: true, askedAt: 1_000_000 });
  expect(countOf("mirror.stale")).toBe(1); // the second did not try again so soon
  expect(await mirrors.branches("hello")).toEqual(["main"]);
  await rename(`${origin}-away`, origin);
  await clock.advance(5_000);
  expect(await mirrors.refresh("hello", 0, never)).toEqual({ stale: false, askedAt: 1_005_001 });
});

/** Ages were reckoned by the wall clock: set back an hour, it hid pushed branches, and a failed fetch, for an hour. */
test("refresh() asks the origin though the clock was set back since, and tries again soon after a failure", async () => {
  const clock = new HandClock(1_000_000);
  const mirrors = await open(origin, clock);
  await mirrors.refresh("hello", 0, never);
  git("-C", origin, "branch", "new");
  clock.setBack(3_600_000);
  await clock.advance(10);
  expect(await mirrors.refresh("hello", 0, never)).toEqual({ stale: false, askedAt: 1_000_010 - 3_600_000 });
  expect(await mirrors.branches("hello")).toEqual(["main", "new"]);
  await rename(origin, `${origin}-away`);
  await clock.advance(1);
  expect(await mirrors.refresh("hello", 0, never)).toMatchObject({ stale: true });
  await rename(`${origin}-away`, origin);
  clock.setBack(3_600_000);
  await clock.advance(5_000);
  expect(await mirrors.refresh("hello", 0, never)).toMatchObject({ stale: false });
});

test("refresh() refuses when there is no copy and the origin is away, and works when it comes back", async () => {
  await rename(origin, `${origin}-away`);
  const mirrors = await open();
  await expect(mirrors.refresh("hello", 0, never)).rejects.toMatchObject({
    code: "repository.unreached",
    told: "repository hello cannot be fetched at the moment",
  });
  expect(await readdir(join(stateDir, "mirrors"))).toEqual([]);
  await rename(`${origin}-away`, origin);
  await mirrors.refresh("hello", 0, never);
  expect(await mirrors.branches("hello")).toEqual(["main"]);
});

test("refresh() copies an empty repository, which has no default branch", async () => {
  const empty = join(folder, "empty");
  git("init", "-q", "--bare", empty);
  const mirrors = await open(empty);
  await mirrors.refresh("hello", 0, never);
  expect(await mirrors.branches("hello")).toEqual([]);
  expect(await mirrors.defaultBranch("hello")).toBeUndefined();
});

test("refresh() never runs a hook or program that an origin names", async () => {
  const witness = join(folder, "witness");
  const program = join(folder, "program");
  await writeFile(program, `#!/bin/sh\ntouch ${witness}\nexec "$@"\n`, { mode: 0o755 });
  git("-C", origin, "config", "uploadpack.packObjectsHook", program);
  git("-C", origin, "config", "core.fsmonitor", program);
  for (const hook of ["post-update", "pre-auto-gc", "reference-transaction"]) {
    await writeFile(join(origin, ".git", "hooks", hook), `#!/bin/sh\ntouch ${witness}\n`, { mode: 0o755 });
  }
  const mirrors = await open();
  await mirrors.refresh("hello", 0, never);
  commit("second");
  await rm(witness, { force: true }); // the commit itself runs hooks of the origin
  await mirrors.refresh("hello", 0, never);
  await expect(access(witness)).rejects.toThrow("ENOENT");
});

test("refresh() reads a local repository that belongs to somebody else", async (context) => {
  if (process.getuid?.() !== 0) context.skip("only root can give a file away");
  for (const name of await readdir(origin, { recursive: true })) chownSync(join(origin, name), 12_345, 12_345);
  chownSync(origin, 12_345, 12_345);
  const mirrors = await open();
  await mirrors.refresh("hello", 0, never);
  expect(await mirrors.branches("hello")).toEqual(["main"]);
});

test("refresh() shows no password of an address, in its fault or in the log", async () => {
  // A port of this machine that nobody listens on.
  const mirrors = await open("https://ada:hunter2@127.0.0.1:1/hello");
  expect(mirrors.originUrlOf("hello")).toBe("https://127.0.0.1:1/hello");
  const refusal: unknown = await mirrors.refresh("hello", 0, never).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: "repository.unreached" });
  expect(inspect([refusal, logged], { depth: 9 })).toContain("127.0.0.1");
  expect(inspect([refusal, logged], { depth: 9 })).not.toMatch(/hunter2|YWRhOmh1bnRlcjI/);
});

test("close() ends a fetch under way, whose callers are refused", async () => {
  // An origin that accepts and then says nothing.
  const server = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const mirrors = await open(`https://127.0.0.1:${port}/hello`);
  const waiting = mirrors.refresh("hello", 0, never);
  const refused = expect(waiting).rejects.toMatchObject({ code: "repository.unreached" });
  await once(server, "connection");
  await mirrors.close();
  await refused;
  server.close();
});

test("a mirror can be read by every uid whatever the umask", async () => {
  // A process of its own, since the umask belongs to all threads of one.
  const program = `
    process.umask(0o077);
    const { openMirrors } = await import(${JSON.stringify(new URL("./mirrors.ts", import.meta.url).href)});
    const { makeClock } = await import(${JSON.stringify(new URL("../base/clock.ts", import.meta.url).href)});
    const { makeLog } = await import(${JSON.stringify(new URL("../base/log.ts", import.meta.url).href)});
    const options = ${JSON.stringify({ stateDir, folder: "/", repositories: [{ name: "hello", url: origin }] })};
    const mirrors = await openMirrors({ ...options, clock: makeClock(), log: makeLog("silent") });
    await mirrors.refresh("hello", 0, new AbortController().signal);
    await mirrors.close();`;
  execFileSync(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" });
  const path = join(stateDir, "mirrors", "hello.git");
  for (const name of ["", ...(await readdir(path, { recursive: true }))]) {
    const entry = await stat(join(path, name));
    expect([name, (entry.mode & (entry.isDirectory() ? 0o005 : 0o004)) !== 0]).toEqual([name, true]);
  }
});

test("openMirrors() clears away what a killed process left, and the next refresh works", async () => {
  const mirrors = await open();
  await mirrors.refresh("hello", 0, never);
  const path = mirrors.pathOf("hello");
  await mirrors.close();
  const leftovers = ["packed-refs.lock", "refs/heads/main.lock", "refs/heads/a/b.lock", "objects/pack/tmp_pack_x1"];
  await mkdir(join(path, "refs/heads/a"), { recursive: true });
  for (const name of leftovers) await writeFile(join(path, name), "");
  await mkdir(`${path}.part-0123`);
  const again = await open();
  for (const name of leftovers) await expect(access(join(path, name))).rejects.toThrow("ENOENT");
  expect(await readdir(join(stateDir, "mirrors"))).toEqual(["hello.git"]);
  commit("second");
  expect(await again.refresh("hello", 0, never)).toMatchObject({ stale: false });
});

test("refresh() that is killed at any moment leaves a whole mirror or none", { timeout: 60_000 }, async () => {
  for (let file = 0; file < 200; file++) await writeFile(join(origin, `file-${file}`), "x".repeat(file * 50));
  git("-C", origin, "add", ".");
  commit("files");
  const program = `
    import { openMirrors } from ${JSON.stringify(new URL("./mirrors.ts", import.meta.url).href)};
    import { makeClock } from ${JSON.stringify(new URL("../base/clock.ts", import.meta.url).href)};
    import { makeLog } from ${JSON.stringify(new URL("../base/log.ts", import.meta.url).href)};
    const options = ${JSON.stringify({ stateDir, folder: "/", repositories: [{ name: "hello", url: origin }] })};
    const mirrors = await openMirrors({ ...options, clock: makeClock(), log: makeLog("silent") });
    process.stdout.write("begun\\n");
    await mirrors.refresh("hello", 0, new AbortController().signal);`;
  for (let round = 0; round < 8; round++) {
    if (round === 4) commit("another");
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await makeClock().sleep(round * 4);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
  }
  const mirrors = await open();
  expect(await mirrors.refresh("hello", 0, never)).toMatchObject({ stale: false });
  git("--git-dir", mirrors.pathOf("hello"), "fsck", "--strict");
  expect(git("--git-dir", mirrors.pathOf("hello"), "rev-parse", "main")).toBe(git("-C", origin, "rev-parse", "main"));
});
