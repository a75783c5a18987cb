import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeBranch, exactLoginOf, readLogin } from "./login.ts";
import { type Candidate, clearLoginOf, type Match, matchLogin } from "./match-login.ts";

const hello: Candidate = { repository: "hello", branches: ["main", "feature/x", "world-main", "pr12"] };
const world: Candidate = { repository: "hello-world", branches: ["main", "Release/1.0"] };
const twins: Candidate = { repository: "twins", branches: ["a/b", "a-b", "a#b", "c/d", "c#d", "Case", "case"] };
const acme: Candidate = { owner: "acme", repository: "shop", branches: ["main", "dev"] };
const globex: Candidate = { owner: "globex", repository: "shop", branches: ["main"] };
const all = [hello, world, twins, acme, globex];

function match(text: string, candidates: readonly Candidate[] = all): Match {
  const login = readLogin(text);
  if (login.type === "lobby") throw new Error("The lobby is no branch");
  return matchLogin(login, candidates);
}

test.each([
  ["a plain name", "hello-feature-x", { repository: "hello", branch: "feature/x" }],
  ["another case", "HELLO-Feature-X", { repository: "hello", branch: "feature/x" }],
  ["the longer of two repositories", "hello-world-release-1.0", { repository: "hello-world", branch: "Release/1.0" }],
  ["a plus where hyphens are not clear", "hello+world-main", { repository: "hello", branch: "world-main" }],
  ["a plus the other way", "hello-world+main", { repository: "hello-world", branch: "main" }],
  ["the exact name before an encoded one", "twins+a-b", { repository: "twins", branch: "a-b" }],
  ["the exact case before another", "twins-Case", { repository: "twins", branch: "Case" }],
  ["the exact case before another with a plus", "twins+case", { repository: "twins", branch: "case" }],
  ["an owner", "acme+shop+main", { owner: "acme", repository: "shop", branch: "main" }],
  ["an owner in another case", "Globex+Shop+MAIN", { owner: "globex", repository: "shop", branch: "main" }],
  ["no owner where one has the branch", "shop-dev", { owner: "acme", repository: "shop", branch: "dev" }],
  ["a branch that looks like a pull request", "hello-pr12", { repository: "hello", branch: "pr12" }],
  ["a tag", exactLoginOf({ repository: "twins", branch: "a/b" }), { repository: "twins", branch: "a/b" }],
  [
    "a tag in upper case",
    exactLoginOf({ repository: "twins", branch: "a#b" }).toUpperCase(),
    { repository: "twins", branch: "a#b" },
  ],
])("matchLogin() finds the one branch by %s", (_, text, place) => {
  expect(match(text)).toEqual({ type: "one", ...place });
});

test.each([
  [
    "branches encode alike",
    "twins-a-b",
    ["twins+a-b (branch a-b)", "twins+a-b..0g8wk3l (branch a/b)", "twins+a-b..0ihzmul (branch a#b)"],
  ],
  [
    "a plus leaves only encoded ones",
    "twins+c-d",
    ["twins+c-d..1t7vkat (branch c#d)", "twins+c-d..1t91ti1 (branch c/d)"],
  ],
  ["only the case differs from both", "twins-CASE", ["twins-Case (branch Case)", "twins-case (branch case)"]],
  [
    "it splits in two ways",
    "hello-world-main",
    ["hello+world-main (branch world-main)", "hello-world+main (branch main)"],
  ],
  ["two owners have it", "shop-main", ["acme+shop+main (branch main)", "globex+shop+main (branch main)"]],
])("matchLogin() lists a login for each choice when %s", (_, text, choices) => {
  expect(match(text)).toEqual({ type: "many", choices, leftOutCount: 0 });
});

test.each([
  ["a slip of the hand", "hello-mian", ["hello-main", "hello-pr12", "hello-world-main", "hello-feature-x"]],
  ["a repository alone", "hello", ["hello-main", "hello-pr12", "hello-feature-x", "hello-world-main"]],
  ["a slip in the repository", "helo-main", ["hello-main"]],
  [
    "a slip in the longer repository",
    "hello-wrld-main",
    ["hello-world-main", "hello-main", "hello-pr12", "hello-feature-x"],
  ],
  ["a pull request", "hello+pr12", ["hello-pr12", "hello-main", "hello-feature-x", "hello-world-main"]],
  ["an owner who has it not", "initech+shop+main", ["shop-main", "shop-dev"]],
  ["a wrong tag", "twins+a-b..0000000", ["twins-a-b", "twins-c-d", "twins-Case", "twins-case"]],
])("matchLogin() names the nearest logins when nothing fits: %s", (_, text, nearest) => {
  expect(match(text)).toEqual({ type: "none", nearest });
});

test("matchLogin() tells nothing to a person who may see nothing", () => {
  expect(match("hello-main", [])).toEqual({ type: "none", nearest: [] });
});

test("matchLogin() names only what is near when the login is far from everything", () => {
  expect(match("x".repeat(100))).toEqual({ type: "none", nearest: [] });
});

test("matchLogin() writes out ten choices and counts the rest", () => {
  const separators = ["/", "#", "@", "%", "~", "!", "$", "&", ",", ";", "=", "|"];
  const found = match("hello-a-b", [{ repository: "hello", branches: separators.map((one) => `a${one}b`) }]);
  expect(found).toMatchObject({ type: "many", leftOutCount: 2 });
  expect(found.type === "many" && found.choices.length).toBe(10);
});

test("matchLogin() prefers the repository without an owner, which no other login could name", () => {
  const plain: Candidate = { repository: "shop", branches: ["main"] };
  expect(match("shop+main", [acme, plain, globex])).toEqual({ type: "one", repository: "shop", branch: "main" });
  expect(match("shop-main", [acme, plain])).toEqual({
    type: "many",
    choices: ["acme+shop+main (branch main)", "shop+main (branch main)"],
    leftOutCount: 0,
  });
});

test("matchLogin() keeps controls and direction marks of a branch out of the choices", () => {
  expect(match("hello-a-b", [{ repository: "hello", branches: ["a\u202eb", "a/b"] }])).toMatchObject({
    choices: [expect.stringMatching(/\(branch a\/b\)$/), expect.stringMatching(/\(branch a\?b\)$/)],
  });
});

const branch = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "A", "b", "-", "/", "#", ".", "+", "ü"), minLength: 1, maxLength: 6 }),
  fc.constantFrom("main", "pr1", "a/b", "a-b", "x".repeat(240), `${"x".repeat(239)}y`),
);
const candidate = fc.record(
  {
    owner: fc.constantFrom("acme", "Acme", "globex"),
    repository: fc.constantFrom("a", "a-a", "A", "a-b", "hello", "hello-world"),
    branches: fc.uniqueArray(branch, { maxLength: 8 }),
  },
  { requiredKeys: ["repository", "branches"] },
);
const candidateLists = fc.uniqueArray(candidate, {
  maxLength: 6,
  selector: (one) => `${one.owner ?? ""} ${one.repository}`,
});

test("clearLoginOf() makes for each branch a login that means it alone, whatever the others are called", () => {
  fc.assert(
    fc.property(candidateLists, (candidates) => {
      for (const { branches, ...where } of candidates) {
        for (const name of branches) {
          const place = { ...where, branch: name };
          expect(match(clearLoginOf(place, candidates), candidates)).toEqual({ type: "one", ...place });
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("matchLogin() offers only choices that mean one branch each, the one in brackets", () => {
  fc.assert(
    fc.property(candidateLists, fc.constantFrom("a", "a-b", "hello"), branch, (candidates, repository, name) => {
      for (const text of [`${repository}-${encodeBranch(name)}`, `${repository}+${encodeBranch(name)}`]) {
        if (text.length > 200) continue;
        const found = match(text, candidates);
        if (found.type !== "many") continue;
        for (const choice of found.choices) {
          const [, login = "", shown] = /^(\S+) \(branch (.*)\)$/.exec(choice) ?? [];
          expect(match(login, candidates)).toMatchObject({ type: "one", branch: shown });
        }
      }
    }),
    { numRuns: 300 },
  );
});
