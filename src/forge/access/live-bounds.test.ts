/**
 * For how many people with live sessions the promised bounds hold, against a GitHub that answers in 120 ms and our own
 * rationing, and that the figure which operators watch says when they do not. docs/forges.md names these numbers.
 */
import { expect, test } from "vitest";
import { START_AT, subjectOf } from "../../../test/fakes/access-world.ts";
import { makeForgeSettings, makeKey } from "../../../test/fakes/fake-forge-client.ts";
import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { MemoryKnowledge } from "../../../test/fakes/memory-knowledge.ts";
import { recordingLog } from "../../../test/fakes/recording-log.ts";
import { SimulatedGithub } from "../../../test/fakes/simulated-github.ts";
import type { Hint } from "../forge-client.ts";
import type { Access } from "./access.ts";
import { openAccess } from "./open-access.ts";

const REPOSITORIES = 400;
const POLL_MS = 30_000;

interface Watched extends AsyncDisposable {
  readonly access: Access;
  readonly clock: HandClock;
  /** The most that an answer was late while so much time went by. */
  readonly latest: (ms: number) => Promise<number>;
}

/** Fills the store with what was verified at times spread evenly, as when people came one by one. */
async function fill(knowledge: MemoryKnowledge, github: SimulatedGithub, spreadMs: number): Promise<void> {
  const store = knowledge.open();
  for (let id = 0; id < REPOSITORIES; id += 1) {
    const at = START_AT - Math.floor(spreadMs * spreadOf(id));
    const collaborators = github.collaborators(id);
    for (const { id: accountId, login } of collaborators) {
      const account = { forge: "hub", id: accountId, login, fullName: "", email: "" };
      const keys = [makeKey(Number(accountId))];
      await store.saveAccount({ ...account, state: "active", keys, stateVerifiedAt: at, keysVerifiedAt: at });
    }
    const { isArchived: _, ...facts } = github.repository(id);
    const repository = { ...facts, forge: "hub" };
    await store.saveRepository({ ...repository, state: "connected", stateVerifiedAt: at, rolesVerifiedAt: undefined });
    const roles = collaborators.map(({ id: accountId, role }) => ({ accountId, role }));
    await store.saveRoles(repository, { verifiedAt: at, source: "GET list", roles });
  }
}

/** Numbers from 0 to below 1 that lie evenly, however many are taken: multiples of the golden ratio. */
function spreadOf(index: number): number {
  return (index * 0.618_034) % 1;
}

interface Crowd {
  readonly liveCount: number;
  /** @default 1 */
  readonly inEach?: number;
  /** @default 30_000 */
  readonly pollMs?: number;
  /** For how long they came. @default most of the poll interval */
  readonly spreadMs?: number;
}

async function watch({ liveCount, inEach = 1, pollMs = POLL_MS, ...given }: Crowd): Promise<Watched> {
  const spreadMs = given.spreadMs ?? pollMs * 0.7;
  const clock = new HandClock(START_AT);
  const size = { repositoryCount: REPOSITORIES, personCount: REPOSITORIES, collaboratorCount: inEach };
  const github = new SimulatedGithub({ clock, ...size, tokenMs: Infinity, changedAnHour: 0, pagesChangedAnHour: 0 });
  github.remember();
  const knowledge = new MemoryKnowledge(clock);
  await fill(knowledge, github, spreadMs);
  const subjects = Array.from({ length: liveCount }, (_, index) => {
    const repository = Math.floor(index / inEach);
    const person = github.collaborators(repository)[index % inEach]?.id ?? "";
    return subjectOf(person, Number(person), String(repository));
  });
  const { log } = recordingLog();
  const forges = [{ settings: makeForgeSettings({ pollMs }), client: github }];
  let step = 0;
  const random = (): number => spreadOf(step++);
  const access = await openAccess({ forges, store: knowledge.open(), clock, log, holder: "one", random });
  for (const subject of subjects) access.watch(subject, (told) => expect.unreachable(told));
  const lateNow = (): number => access.health()[0]?.watchedLateMs ?? Infinity;
  return {
    access,
    clock,
    latest: async (ms) => {
      let latest = 0;
      for (let waitedMs = 0; waitedMs < ms; waitedMs += 250) {
        await clock.advance(250);
        latest = Math.max(latest, lateNow());
      }
      return latest;
    },
    [Symbol.asyncDispose]: async () => {
      const closing = access.close();
      await clock.advance(1_000);
      await closing;
    },
  };
}

/** Hints, and looks for how long until all was asked that live sessions rest on, and how late it was at most. */
async function hinted({ access, clock, latest }: Watched, hint: Hint): Promise<{ tookMs: number; lateMs: number }> {
  const begunAt = clock.now();
  let tookMs = Infinity;
  void access.hint("hub", [hint]).then(() => (tookMs = clock.now() - begunAt));
  const lateMs = await latest(10_000);
  return { tookMs, lateMs };
}

// Law: "within the poll interval". What was due was begun eight at a time once a second, however fast the forge answered, so that
// 60 people were late, and 50 who had come at once.
test.each<Crowd>([
  { liveCount: 75 },
  { liveCount: 170, inEach: 10 },
  { liveCount: 150, pollMs: 2 * POLL_MS },
  // As after a restart of the service.
  { liveCount: 50, spreadMs: 1_000 },
])("watch() keeps within the poll interval for %o", async (crowd) => {
  await using watched = await watch(crowd);
  expect(await watched.latest(600_000)).toBe(0);
});

test("watch() is late with 150 people, each in a repository of their own, and health() says by how much", async () => {
  await using watched = await watch({ liveCount: 150 });
  const latest = await watched.latest(300_000);
  expect(latest).toBeGreaterThan(5_000);
  expect(latest).toBeLessThan(POLL_MS);
});

const narrow: readonly Hint[] = [
  { type: "account", accountId: "7" },
  { type: "roles-of", accountId: "7" },
  { type: "role", accountId: "7", repositoryId: "1" },
  { type: "repository", repositoryId: "1" },
];

test.each(narrow)("hint() of the type $type is answered within 2 s whatever the number of people", async (hint) => {
  await using watched = await watch({ liveCount: 300 });
  await watched.latest(60_000);
  expect((await hinted(watched, hint)).tookMs).toBeLessThan(2_000);
});

test.each<Crowd>([{ liveCount: 40 }, { liveCount: 170, inEach: 10 }])(
  "hint() of everything is answered within 2 s for %o",
  async (crowd) => {
    await using watched = await watch(crowd);
    await watched.latest(60_000);
    expect((await hinted(watched, { type: "everything" })).lateMs).toBe(0);
  },
);

test("hint() of everything is late with 100 people, each in a repository of their own, and health() says by how much", async () => {
  // Nothing is late for being polled: what is seen is the webhook alone.
  await using watched = await watch({ liveCount: 100, pollMs: 600_000, spreadMs: POLL_MS });
  expect(await watched.latest(1_000)).toBe(0);
  const { tookMs, lateMs } = await hinted(watched, { type: "everything" });
  expect(tookMs).toBeGreaterThan(2_000);
  expect(lateMs).toBeGreaterThan(2_000);
});
