import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault } from "../../base/fault.ts";
import { splitWords } from "./words.ts";

test.each([
  ["", []],
  ["  ", []],
  ["ls --json", ["ls", "--json"]],
  [" new\thello  'my branch' ", ["new", "hello", "my branch"]],
  ['a"b c"d', ["ab cd"]],
  ["a\\ b \\'", ["a b", "'"]],
  ["''", [""]],
  ['"say \\"hi\\""', ['say "hi"']],
  ["$(id) `id` *", ["$(id)", "`id`", "*"]],
])("splitWords() splits %j", (line, words) => {
  expect(splitWords(line)).toEqual(words);
});

test.each(["'open", 'a "b', "end\\"])("splitWords() refuses %j", (line) => {
  expect(() => splitWords(line)).toThrow(Fault);
});

test("splitWords() gives back any words that were quoted", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 20 }), { maxLength: 8 }), (words) => {
      const line = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
      expect(splitWords(line)).toEqual(words);
    }),
  );
});
