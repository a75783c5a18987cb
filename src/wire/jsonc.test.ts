import fc from "fast-check";
import { expect, test } from "vitest";
import { readJsonc } from "./jsonc.ts";

test("readJsonc() reads comments, trailing commas and a byte order mark, and knows the line of everything", () => {
  const read = readJsonc('\uFEFF{ // first\n  "a": [1, /* two */\n    2,\n    {"b": null,},],\n  "c.d": "x"\n}\n');
  expect(read.value).toEqual({ a: [1, 2, { b: null }], "c.d": "x" });
  expect(read.complaints).toEqual([]);
  const paths = [
    [],
    ["a"],
    ["a", 0],
    ["a", 1],
    ["a", 2, "b"],
    ["c.d"],
    ["a", 2, "absent"],
    ["absent", "deep"],
    ["a", 9],
  ];
  expect(paths.map(read.lineOf)).toEqual([1, 2, 2, 3, 4, 5, 4, 1, 2]);
});

test("readJsonc() lets the last of several keys count and names the others", () => {
  const read = readJsonc('{"a": 1,\n"b": {"x": 1, "x": 2},\n"a": 3}');
  expect(read.value).toEqual({ a: 3, b: { x: 2 } });
  expect(read.repeated).toEqual([["b", "x"], ["a"]]);
  expect(read.lineOf(["a"])).toBe(3);
});

test("readJsonc() takes __proto__ for a key like any other", () => {
  const { value } = readJsonc('{"__proto__": {"remoteUser": "root"}}');
  expect(Object.keys(value as object)).toEqual(["__proto__"]);
  expect((value as { remoteUser?: string }).remoteUser).toBeUndefined();
});

test.each([
  ["nothing", "", 1, "is no JSON with comments: Value expected"],
  ["a missing comma", '{"a": 1\n"b": 2}', 2, "is no JSON with comments: Comma expected"],
  ["a missing value", '{\n"a": }', 2, "is no JSON with comments: Value expected"],
  ["a comment that never ends", "{}\n/* x", 2, "is no JSON with comments: Unexpected end of comment"],
  ["single quotes", "{'a': 1}", 1, "is no JSON with comments: Invalid symbol"],
  ["more behind the end", "{}\n{}", 2, "is no JSON with comments: End of file expected"],
  ["a text that nests too deep", `[\n${"[".repeat(60_000)}`, 2, "is nested deeper than 64 levels"],
  ["a text that is too large", `{"a": "${"x".repeat(300_000)}"}`, 1, "is larger than 65536 characters"],
])("readJsonc() complains of %s", (_, text, line, message) => {
  const read = readJsonc(text);
  expect(read.complaints[0]).toEqual({ line, path: [], message });
  expect(read.value).toBeUndefined();
});

test("readJsonc() reads what JSON.stringify writes, whatever it is", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2), (value, indent) => {
      const json = JSON.stringify(value, undefined, indent);
      expect(readJsonc(json).value).toEqual(JSON.parse(json));
    }),
  );
});

test("readJsonc() reads or complains of any text, and quickly of one that is all complaints", () => {
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    '"a"',
    ":",
    ",",
    "//",
    "/*",
    "*/",
    "\n",
    "1",
    "null",
    "\\",
    '"',
    "x",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((pieces) => pieces.join("")),
      ),
      (text) => {
        const read = readJsonc(text);
        expect(read.lineOf(["a", 1, "b"])).toBeGreaterThan(0);
        if (read.complaints.length > 0) expect(read.value).toBeUndefined();
      },
    ),
    { numRuns: 1_000 },
  );
  expect(readJsonc("x\n".repeat(30_000)).complaints).toHaveLength(20);
});
