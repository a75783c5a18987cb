import { expect, test } from "vitest";
import type { Grant } from "../wire/person.ts";
import { mayOpenEnvironment, repositoriesOf } from "./grants.ts";

const grants: readonly Grant[] = [
  { people: ["ada", "bob"], repositories: ["hello"] },
  { people: ["ada"], repositories: "*" },
  { people: "*", repositories: ["docs"] },
  { people: [], repositories: "*" },
  { people: "*", repositories: [] },
];

test.each([
  ["a grant that names both", "bob", "hello", true],
  ["a grant of everything", "ada", "secret", true],
  ["a grant to everybody", "eve", "docs", true],
  ["no grant", "bob", "secret", false],
  ["two grants that only meet in part", "eve", "hello", false],
  ["another case", "Bob", "hello", false],
  ["a person called *", "*", "hello", false],
])("mayOpenEnvironment() decides by %s", (_, name, repository, may) => {
  expect(mayOpenEnvironment({ name }, repository, grants)).toBe(may);
});

test("mayOpenEnvironment() refuses everything when nothing was granted, to admins too", () => {
  const admin = { name: "ada", fullName: "Ada", email: "ada@example.dev", admin: true };
  expect(mayOpenEnvironment(admin, "hello", [])).toBe(false);
});

test("repositoriesOf() lists what a person may use, in the order given", () => {
  const repositories = ["secret", "hello", "docs"].map((name) => ({ name }));
  const namesFor = (name: string): string[] => repositoriesOf({ name }, grants, repositories).map((one) => one.name);
  expect([namesFor("ada"), namesFor("bob"), namesFor("eve")]).toEqual([
    ["secret", "hello", "docs"],
    ["hello", "docs"],
    ["docs"],
  ]);
});
