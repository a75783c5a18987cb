import { expect, test } from "vitest";

import { findMissing } from "./mirror-pack.ts";

const refs = (heads: Record<string, string>, tags: Record<string, string> = {}) => ({
  heads: new Map(Object.entries(heads)),
  tags: new Map(Object.entries(tags)),
  defaultBranch: "main",
});
const had = (all: Record<string, string>) => new Map(Object.entries(all));

test("findMissing() finds nothing where all is there", () => {
  const there = had({ "refs/remotes/origin/main": "aa", "refs/remotes/origin/HEAD": "aa", "refs/tags/v1": "bb" });
  expect(findMissing(there, refs({ main: "aa" }, { v1: "bb" }))).toMatchObject({ commands: "", wants: [] });
});

test("findMissing() takes branches away before others come, and asks for an object once", () => {
  const there = had({ "refs/remotes/origin/a": "11", "refs/remotes/origin/HEAD": "11", "refs/tags/old": "22" });
  const { commands, wants, haves } = findMissing(there, refs({ "a/b": "33", c: "33", d: "11" }, { v1: "44" }));
  const deleted = "start\ndelete refs/remotes/origin/a\ncommit\n";
  const updated = ["a/b 33", "c 33", "d 11"].map((line) => `update refs/remotes/origin/${line}\n`).join("");
  expect(commands).toBe(`${deleted}start\n${updated}update refs/tags/v1 44\ncommit\n`);
  expect([wants, haves]).toEqual([
    ["33", "44"],
    ["11", "22"],
  ]);
});
