import { Linter } from "eslint";
import { expect, test } from "vitest";

import { slipwayRules } from "./lint-rules.ts";

/** Ids of what one of our rules finds in `code`. */
function found(rule: string, code: string): (string | undefined)[] {
  const config = { plugins: { slipway: slipwayRules }, rules: { [`slipway/${rule}`]: "error" as const } };
  return new Linter().verify(code, [config]).map((message) => message.messageId);
}

test.each([
  ["// eslint-disable-next-line no-var -- old API\nx();", []],
  ["/* eslint-disable max-lines -- a table */\nx();", []],
  ["// eslint-disable-next-line no-var\nx();", ["silent"]],
  ["/* eslint-disable */\nx();", ["silent"]],
  ["x(); // eslint-disable-line no-var --", ["silent"]],
  ["// a comment about eslint-disable\nx();", []],
])("disable-says-why judges %j", (code, expected) => {
  // An unused directive is a warning of its own, without an id.
  expect(found("disable-says-why", code).filter((id) => id !== undefined)).toEqual(expected);
});

test.each([
  ['new Fault("a.b", "Cannot open it: it is closed, needs to be open");', []],
  ['new Fault("a.b", "cannot open it");', ["capital"]],
  ['new Error("Cannot open it.");', ["stop"]],
  ['new Error("Cannot open it…");', []],
  ["new TypeError(\"Can't, and doesn't\");", ["contraction"]],
  ["new Fault('a.b', `cannot open ${it}.`);", ["capital", "stop"]],
  ["new Fault('a.b', `${who} cannot open it`);", []],
  ["new Map('lower case.');", []],
  ["new Error();", []],
])("message-grammar judges %s", (code, expected) => {
  expect(found("message-grammar", code)).toEqual(expected);
});
