import { expect, test } from "vitest";
import { Fault } from "../base/fault.ts";
import { commandSpecs, helpText, readInvocation } from "./commands.ts";

/** What a person is told when reading fails. */
function refusalOf(words: readonly string[]): string {
  try {
    readInvocation(words);
  } catch (error) {
    if (error instanceof Fault) return error.told;
    throw error;
  }
  throw new Error("Nothing was refused");
}

test.each([
  [["serve"], { name: "slip serve", args: [], options: {} }],
  [
    ["serve", "--settings", "a.yaml", "--drain-ms=5"],
    { name: "slip serve", args: [], options: { settings: "a.yaml", "drain-ms": "5" } },
  ],
  [["hostkey", "rotate", "--json"], { name: "slip hostkey rotate", args: [], options: { json: true } }],
  [["access", "explain", "a", "b"], { name: "slip access explain", args: ["a", "b"], options: {} }],
  [["authorized-keys", "--user", "a"], { name: "slip authorized-keys", args: [], options: { user: "a" } }],
  [[], { name: "slip help", args: [], options: {} }],
  [["--help"], { name: "slip help", args: [], options: {} }],
  [["audit", "verify", "--help"], { name: "slip help", args: ["audit", "verify"], options: {} }],
] as const)("readInvocation() reads %j", (words, expected) => {
  const { name, args, options } = readInvocation(words);
  expect({ name, args, options: { ...options } }).toEqual(expected);
});

test.each([
  [["sevre"], 'there is no command "sevre"; did you mean "slip serve"?'],
  [["hostkey"], 'there is no command "hostkey"'],
  [["check", "now"], "usage: slip check [--settings <file>] [--online] [--json]"],
  [["check", "--bogus"], "Unknown option '--bogus'; usage: slip check [--settings <file>] [--online] [--json]"],
  [["access", "explain", "ada"], "usage: slip access explain <person> <repository> [--json]"],
])("readInvocation() refuses %j", (words, told) => {
  expect(refusalOf(words)).toContain(told);
});

test("helpText() names every command, and explains each", () => {
  for (const { name } of commandSpecs) {
    expect(helpText([])).toContain(`  ${name} `);
    expect(helpText(name.split(" ").slice(1))).toContain(name);
  }
  expect(() => helpText(["nothing"])).toThrow(Fault);
});
