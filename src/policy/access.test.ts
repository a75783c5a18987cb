import { expect, test } from "vitest";
import { type AccessFacts, type AccessRules, ageOf, isAtLeast, judgeAccess } from "./access.ts";

const NOW = 1_800_000_000_000;
const rules: AccessRules = { now: NOW, pollMs: 30_000, graceMs: 3_600_000, minimumRole: "write" };

/** Everything good, and verified so long ago. */
function facts(ageMs: number, changed: Partial<AccessFacts> = {}): AccessFacts {
  const said = (source: string) => ({ verifiedAt: NOW - ageMs, source, suspectAt: 0 });
  return {
    forge: "hub",
    account: { login: "ada", state: "active", ...said("GET account") },
    keys: { isListed: true, isShared: false, ...said("GET keys") },
    target: {
      repository: { name: "acme/shop", state: "connected", ...said("GET repository") },
      role: { role: "write", ...said("GET role") },
    },
    ...changed,
  };
}

test.each([
  ["fresh", 0, { allowed: true, isStale: false }, []],
  ["as old as may be", 30_000, { allowed: true, isStale: false }, []],
  ["older", 30_001, { allowed: true, isStale: true }, ["keys", "repository", "role"]],
  ["older than the state of an account may be", 300_001, { allowed: true }, ["account", "keys", "repository", "role"]],
  ["as old as the grace time", 3_600_000, { allowed: true, isStale: true }, ["account", "keys", "repository", "role"]],
  [
    "older than the grace time",
    3_600_001,
    { allowed: false, type: "unverified" },
    ["account", "keys", "repository", "role"],
  ],
  ["of the near future", -1_000, { allowed: true, isStale: true }, ["account", "keys", "repository", "role"]],
  [
    "of a future that cannot be",
    -60_001,
    { allowed: false, type: "unverified" },
    ["account", "keys", "repository", "role"],
  ],
])("judgeAccess() with answers that are %s", (_, ageMs, decision, due) => {
  const verdict = judgeAccess(facts(ageMs), rules);
  expect(verdict.decision).toMatchObject(decision);
  expect(verdict.due).toEqual(due);
});

test("judgeAccess() says until when it holds, and on which requests it rests", () => {
  const verdict = judgeAccess(facts(1_000), rules);
  expect(verdict.holdsUntil).toBe(NOW - 1_000 + 3_600_000);
  expect(verdict.decision).toMatchObject({
    verifiedAt: NOW - 1_000,
    sources: ["GET account", "GET keys", "GET repository", "GET role"],
  });
});

// Law: "suspended … live sessions cut … within the poll interval". In the lobby, and in repositories of the settings, it was ten
// times that, since keys were taken to go with the account: GitLab lists those of blocked people.
test("judgeAccess() looks at the state of an account as often as at all else when no role goes with it, or no key", () => {
  const { keys: _, ...keyless } = facts(31_000);
  const { target: __, ...lobby } = facts(31_000);
  expect(judgeAccess(keyless, rules).due).toContain("account");
  expect(judgeAccess(lobby, rules).due).toEqual(["account", "keys"]);
});

test("judgeAccess() asks for what a hint put in doubt, and holds without an answer for the grace time only", () => {
  const doubted = facts(10_000);
  const role = { role: "write", verifiedAt: NOW - 10_000, source: "GET role", suspectAt: NOW } as const;
  const target = { repository: { ...(doubted.target?.repository ?? never()) }, role };
  const verdict = judgeAccess({ ...doubted, target }, rules);
  expect(verdict).toMatchObject({ decision: { allowed: true, isStale: true }, due: ["role"] });
  const unanswered = { why: "it is down" };
  expect(judgeAccess({ ...doubted, target }, { ...rules, unanswered }).decision.allowed).toBe(true);
  const strict = { ...rules, graceMs: 0 };
  expect(judgeAccess({ ...doubted, target }, strict).decision.allowed).toBe(true);
  expect(judgeAccess({ ...doubted, target }, { ...strict, unanswered }).decision).toMatchObject({ type: "unverified" });
});

test("judgeAccess() keeps to a no however old it is, and asks again for one that is older than 1 s", () => {
  const taken = (ageMs: number): AccessFacts => {
    const { target, ...rest } = facts(0);
    const role = { role: "none", verifiedAt: NOW - ageMs, source: "GET role", suspectAt: 0 } as const;
    return { ...rest, target: { repository: target?.repository ?? never(), role } };
  };
  const told = "ada is no collaborator of acme/shop";
  expect(judgeAccess(taken(1_000), rules)).toMatchObject({ decision: { allowed: false, type: "no", told }, due: [] });
  expect(judgeAccess(taken(1_001), rules)).toMatchObject({ decision: { allowed: false, type: "no" }, due: ["role"] });
  expect(judgeAccess(taken(9e9), rules)).toMatchObject({ decision: { allowed: false, type: "no" } });
});

test("judgeAccess() says nothing of a repository to somebody without a role in it", () => {
  const { target: _, ...rest } = facts(0);
  const repository = { name: "secret", state: "archived", verifiedAt: NOW, source: undefined, suspectAt: 0 } as const;
  const role = { role: "none", source: undefined, suspectAt: 0 } as const;
  const asked = judgeAccess({ ...rest, target: { repository, role: { ...role, verifiedAt: NOW } } }, rules);
  expect(asked.decision).toMatchObject({ told: "ada is no collaborator of secret", hasRole: false });
  const reading = { ...role, role: "read", verifiedAt: NOW } as const;
  expect(judgeAccess({ ...rest, target: { repository, role: reading } }, rules).decision).toMatchObject({
    told: "secret is archived",
    hasRole: true,
  });
  const unasked = judgeAccess({ ...rest, target: { repository, role: { ...role, verifiedAt: undefined } } }, rules);
  expect(unasked.decision).toMatchObject({
    type: "unverified",
    told: "hub could not be asked whether ada may use secret, and it has never said so",
  });
});

test("isAtLeast() orders roles", () => {
  const roles = ["none", "read", "write", "admin"] as const;
  const table = roles.map((role) => roles.filter((least) => isAtLeast(role, least)).length);
  expect(table).toEqual([1, 2, 3, 4]);
});

test("ageOf() is never below 0, and Infinity for what was never verified", () => {
  expect([ageOf(NOW - 5, NOW), ageOf(NOW + 5, NOW), ageOf(undefined, NOW)]).toEqual([5, 0, Infinity]);
});

function never(): never {
  throw new Error("Cannot be: the facts of this test have a target");
}
