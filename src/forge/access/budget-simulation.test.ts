/**
 * 10,000 repositories and 5,000 people within GitHub's 5,000 requests an hour: hours of refreshing, logins and live
 * sessions, moved through by hand, with our own rationing and GitHub's way of counting.
 */
import { expect, test } from "vitest";
import { never, START_AT, subjectOf } from "../../../test/fakes/access-world.ts";
import { makeForgeSettings, makeKey } from "../../../test/fakes/fake-forge-client.ts";
import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { MemoryKnowledge } from "../../../test/fakes/memory-knowledge.ts";
import { skipUnlessEveryRound } from "../../../test/harness/rounds.ts";
import { recordingLog } from "../../../test/fakes/recording-log.ts";
import { SimulatedGithub } from "../../../test/fakes/simulated-github.ts";
import type { Access } from "./access.ts";
import { openAccess } from "./open-access.ts";

const HOUR_MS = 3_600_000;
const REPOSITORIES = 10_000;
const PEOPLE = 5_000;
const COLLABORATORS = 30;
/** A login of somebody else every so often. */
const LOGIN_EVERY_MS = 20_000;

interface Circumstances {
  readonly tokenMs: number;
  /** How old the oldest of what the store has is at the beginning. */
  readonly agesMs: number;
  /** People with a live session, each in a repository of their own. */
  readonly liveCount: number;
}

interface Simulated {
  readonly github: SimulatedGithub;
  readonly access: Access;
  readonly clock: HandClock;
  readonly logins: { waitMs: number; isFresh: boolean }[];
  readonly revoked: string[];
}

/** Fills the store as a service does that has run for long, everything at most so old. */
async function fill(knowledge: MemoryKnowledge, github: SimulatedGithub, agesMs: number): Promise<void> {
  const store = knowledge.open();
  const at = (number: number, count: number): number => START_AT - 1_000 - Math.floor((agesMs * number) / count);
  for (let id = 0; id < PEOPLE; id += 1) {
    const account = { forge: "hub", id: String(id), login: `person-${id}`, fullName: `person-${id}`, email: "" };
    const verified = { stateVerifiedAt: at(id, PEOPLE), keysVerifiedAt: at(id, PEOPLE) };
    await store.saveAccount({ ...account, state: "active", keys: [makeKey(id)], ...verified });
  }
  for (let id = 0; id < REPOSITORIES; id += 1) {
    const { isArchived: _, ...facts } = github.repository(id);
    const repository = { ...facts, forge: "hub" };
    const verified = { stateVerifiedAt: START_AT - 1_000, rolesVerifiedAt: undefined };
    await store.saveRepository({ ...repository, state: "connected", ...verified });
    const roles = github.collaborators(id).map(({ id: accountId, role }) => ({ accountId, role }));
    await store.saveRoles(repository, { verifiedAt: at(id, REPOSITORIES), source: "GET list", roles });
  }
}

async function simulate(hours: number, { tokenMs, agesMs, liveCount }: Circumstances): Promise<Simulated> {
  const clock = new HandClock(START_AT);
  const size = { repositoryCount: REPOSITORIES, personCount: PEOPLE, collaboratorCount: COLLABORATORS };
  const github = new SimulatedGithub({ clock, ...size, tokenMs, changedAnHour: 0.01, pagesChangedAnHour: 1 });
  github.remember();
  const knowledge = new MemoryKnowledge(clock);
  await fill(knowledge, github, agesMs);
  const { log } = recordingLog();
  const forges = [{ settings: makeForgeSettings(), client: github }];
  const access = await openAccess({ forges, store: knowledge.open(), clock, log, holder: "one", random: () => 0.5 });
  const logins: Simulated["logins"] = [];
  const revoked: string[] = [];
  const logIn = async (repository: number): Promise<void> => {
    const person = Number(github.collaborators(repository)[0]?.id);
    const begunAt = clock.now();
    const decision = await access.decide(subjectOf(String(person), person, String(repository)), never);
    const isFresh = decision.allowed && !decision.isStale;
    logins.push({ waitMs: clock.now() - begunAt, isFresh });
  };
  for (let number = 0; number < liveCount; number += 1) {
    const person = Number(github.collaborators(number * 100)[0]?.id);
    const subject = subjectOf(String(person), person, String(number * 100));
    const deciding = access.decide(subject, never);
    await clock.advance(2_000);
    await deciding;
    access.watch(subject, (told) => revoked.push(told));
  }
  for (let ms = 0, repository = 1; ms < hours * HOUR_MS; ms += LOGIN_EVERY_MS, repository += 37) {
    void logIn(repository % REPOSITORIES);
    await clock.advance(LOGIN_EVERY_MS);
  }
  return { github, access, clock, logins, revoked };
}

/** The oldest of what the background refreshes, in hours. */
function oldestHours({ access, clock }: Simulated): number {
  let oldestAt = clock.now();
  for (const { rolesVerifiedAt } of access.repositories()) oldestAt = Math.min(oldestAt, rolesVerifiedAt ?? 0);
  for (const { keysVerifiedAt } of access.accounts()) oldestAt = Math.min(oldestAt, keysVerifiedAt ?? 0);
  return (clock.now() - oldestAt) / HOUR_MS;
}

async function close({ access, clock }: Simulated): Promise<void> {
  const closing = access.close();
  await clock.advance(1_000);
  await closing;
}

function print(name: string, simulated: Simulated): void {
  const { github, logins } = simulated;
  const lines = github.hours.map(
    ({ sent, charged, remainingMin, byPriority }, hour) =>
      `hour ${hour + 1}: ${sent} sent (${JSON.stringify(byPriority)}), ${charged} charged, at least ${remainingMin} left`,
  );
  const slowest = Math.max(...logins.map(({ waitMs }) => waitMs));
  const summary = `oldest ${oldestHours(simulated).toFixed(2)} h; ${logins.length} logins, slowest ${slowest} ms`;
  process.stdout.write(`${name}\n${[...lines, summary].map((line) => `  ${line}\n`).join("")}`);
}

test(
  "openAccess() refreshes 10,000 repositories and 5,000 people with a token, whose ETags hold, in 2 hours at most",
  { timeout: 120_000 },
  async () => {
    const simulated = await simulate(1, { tokenMs: Infinity, agesMs: 1.5 * HOUR_MS, liveCount: 50 });
    print("personal access token", simulated);
    for (const { charged, remainingMin } of simulated.github.hours) {
      expect(charged).toBeLessThanOrEqual(5_000);
      expect(remainingMin).toBeGreaterThanOrEqual(1_000);
    }
    expect(oldestHours(simulated)).toBeLessThan(2);
    expect(simulated.logins.filter(({ isFresh, waitMs }) => !isFresh || waitMs > 2_000)).toEqual([]);
    expect(simulated.revoked).toEqual([]);
    await close(simulated);
  },
);

test(
  "openAccess() refreshes 3,000 of them an hour as an App, whose ETags are lost each hour, and leaves logins their share",
  { timeout: 120_000 },
  async (ctx) => {
    skipUnlessEveryRound(ctx); // three simulated hours of 5,000 requests each take 6 s
    const simulated = await simulate(3, { tokenMs: HOUR_MS, agesMs: 6 * HOUR_MS, liveCount: 10 });
    print("GitHub App", simulated);
    for (const { charged, remainingMin } of simulated.github.hours) {
      expect(charged).toBeLessThanOrEqual(5_000);
      expect(remainingMin).toBeGreaterThanOrEqual(1_000);
    }
    // All the rest of the background is pages of the list of repositories: at most 1,000 an hour.
    for (const { byPriority } of simulated.github.hours.slice(0, 3)) {
      expect(byPriority.background).toBeGreaterThanOrEqual(3_400);
    }
    expect(simulated.logins.filter(({ isFresh, waitMs }) => !isFresh || waitMs > 2_000)).toEqual([]);
    expect(simulated.revoked).toEqual([]);
    await close(simulated);
  },
);
