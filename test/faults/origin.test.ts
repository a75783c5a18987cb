/**
 * The origin of a repository is away, comes back, and changes its mind about its branches.
 *
 * @module
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { mustRun } from "../harness/program.ts";
import { useService } from "../interop/use-service.ts";

const service = useService({
  repositories: { hello: { branches: ["one", "two", "three", "forced", "deleted", "gone"] }, never: {} },
});

const originOf = (name: string): string => join(service().folder, "repositories", `${name}.git`);
let away: string[] = [];

function takeAway(name: string): void {
  renameSync(originOf(name), `${originOf(name)}.away`);
  away.push(name);
}

function bringBack(): void {
  for (const name of away) renameSync(`${originOf(name)}.away`, originOf(name));
  away = [];
}

beforeEach(bringBack);

const git = (...words: string[]): Promise<string> => mustRun(["git", "--git-dir", originOf("hello"), ...words]);

/** Puts a branch of the origin on a commit of its own, whatever it was on before. */
async function force(branch: string, subject: string): Promise<string> {
  const author = ["-c", "user.name=F", "-c", "user.email=f@example.org"];
  const tree = (await git("rev-parse", "main^{tree}")).trim();
  const commit = (await git(...author, "commit-tree", "-m", subject, tree)).trim();
  await git("update-ref", `refs/heads/${branch}`, commit);
  return commit;
}

test("a branch that was forced elsewhere is new for the next, and whole for who is on the old one", async () => {
  await force("forced", "The old one");
  const [ada, bob] = [service().as("ada"), service().as("bob")];
  expect((await ada.ssh(["hello-forced@slipway", "git log --format=%s"])).stdout).toBe("The old one\n");
  await force("forced", "The new one");
  // What nothing in the origin leads to any more is thrown away there.
  await git("reflog", "expire", "--expire=now", "--all");
  await git("gc", "--prune=now", "--quiet");
  expect((await bob.ssh(["hello-forced@slipway", "git log --format=%s"])).stdout).toBe("The new one\n");
  const old = await ada.ssh([
    "hello-forced@slipway",
    "git log --format=%s && git fsck --no-dangling --no-progress && git status --porcelain",
  ]);
  expect([old.exitCode, old.stdout, old.stderr]).toEqual([0, "The old one\n", ""]);
});

test("a branch that was deleted is refused to the next, and goes on for who has it", async () => {
  const [ada, bob] = [service().as("ada"), service().as("bob")];
  await force("deleted", "To be deleted");
  expect((await ada.ssh(["hello-deleted@slipway", "true"])).exitCode).toBe(0);
  await git("update-ref", "-d", "refs/heads/deleted");
  const next = await bob.ssh(["hello-deleted@slipway", "true"]);
  expect([next.exitCode, next.stderr]).toEqual([
    255,
    expect.stringMatching(/:11: hello has no branch deleted any more \(session/),
  ]);
  const after = await bob.ssh(["hello-deleted@slipway", "true"]);
  expect([after.exitCode, after.stderr]).toEqual([
    255,
    expect.stringMatching(/:11: no repository and branch of yours fits hello-deleted; nearest: /),
  ]);
  expect((await bob.lobby("ls")).stdout).not.toMatch(/hello-deleted/);
  const mine = await ada.ssh(["hello-deleted@slipway", "git log --format=%s"]);
  expect([mine.exitCode, mine.stdout]).toEqual([0, "To be deleted\n"]);
});

test("an environment that exists needs no origin, and a new one is made of what is known and says so", async () => {
  const { ssh } = service().as("ada");
  expect((await ssh(["hello-one@slipway", "echo mine >mine"])).exitCode).toBe(0);
  takeAway("hello");
  const existing = await ssh(["hello-one@slipway", "cat mine"]);
  expect([existing.exitCode, existing.stdout, existing.stderr]).toEqual([0, "mine\n", ""]);

  const fresh = await ssh(["hello-two@slipway", "git status --porcelain; git log --format=%s"]);
  expect([fresh.exitCode, fresh.stdout]).toEqual([0, "A page and the service that shows it\n"]);
  expect(fresh.stderr).toMatch(
    /slipway: the origin of hello cannot be reached; this is the state of 20[0-9T:.-]+Z\r\n/,
  );

  await service().stop();
  await service().restart();
  const later = await ssh(["hello-three@slipway", "true"]);
  expect(later.exitCode).toBe(0);
  expect(later.stderr).toMatch(/the origin of hello cannot be reached; this is the state of the last fetch\r\n/);
});

test("a branch that is not known is refused with the reason while its origin is away", async () => {
  const { ssh } = service().as("ada");
  expect((await ssh(["hello-one@slipway", "true"])).exitCode).toBe(0);
  await force("new-today", "Made while nobody looked");
  takeAway("hello");
  const refused = await ssh(["hello-new-today@slipway", "true"]);
  expect([refused.exitCode, refused.stderr]).toEqual([
    255,
    expect.stringMatching(/; the origin of hello cannot be reached, so what is new is not known \(session/),
  ]);
  bringBack();
  await sleep(5_100); // for so long a mirror does not ask again (AWAY_MS)
  const taken = await ssh(["hello-new-today@slipway", "git log --format=%s"]);
  expect([taken.exitCode, taken.stdout]).toEqual([0, "Made while nobody looked\n"]);
});

test("a repository that was never fetched is refused with a sentence while its origin is away, and works when it is back", async () => {
  const { ssh, lobby } = service().as("ada");
  takeAway("never");
  const refused = await ssh(["never-main@slipway", "true"]);
  expect([refused.exitCode, refused.stderr]).toEqual([
    255,
    expect.stringMatching(/:11: repository never cannot be fetched at the moment \(session s-[a-z0-9]{8}\)/),
  ]);
  const made = await lobby("new", "never", "main");
  expect([made.exitCode, made.stderr]).toEqual([69, "slipway: repository never cannot be fetched at the moment\n"]);
  bringBack();
  expect((await ssh(["never-main@slipway", "true"])).exitCode).toBe(0);
});
