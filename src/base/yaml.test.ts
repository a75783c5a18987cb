import { expect, test } from "vitest";
import * as fc from "fast-check";
import { parseYaml, parseYamlDocuments, readYamlDocuments, YamlError } from "./yaml.ts";

function complaintOf(text: string): string {
  try {
    parseYamlDocuments(text, "api.yaml");
  } catch (error) {
    if (error instanceof YamlError) return error.message;
    throw error;
  }
  return "no complaint";
}

test.each([
  ["an octal number of YAML 1.1", "mode: 0644", { mode: 420 }],
  ["an octal number of YAML 1.2", "mode: 0o644", { mode: 420 }],
  ["words for true and false", "a: yes\nb: off", { a: true, b: false }],
  ["y as text", "a: y", { a: "y" }],
  ["quoted words as text", "a: 'yes'\nb: \"0644\"", { a: "yes", b: "0644" }],
  ["a port mapping as text", "a: 22:22", { a: "22:22" }],
  ["a time as text", "a: 2026-11-21", { a: "2026-11-21" }],
  ["numbers as keys", "80: a", { "80": "a" }],
  ["an alias", "a: &x [1]\nb: *x", { a: [1], b: [1] }],
  ["an anchor given twice", "a: &x 1\nb: &x 2\nc: *x", { a: 1, b: 2, c: 2 }],
  ["a merge key", "a: &x {b: 1, c: 2}\nd:\n  c: 3\n  <<: *x", { a: { b: 1, c: 2 }, d: { b: 1, c: 3 } }],
  ["a list of merges", "a:\n  <<: [{b: 1}, {b: 2, c: 3}]", { a: { b: 1, c: 3 } }],
  ["JSON with tabs", '{\n\t"a": [1, null]\n}', { a: [1, null] }],
  ["nothing", "", null],
  ["a comment", "# nothing\n", null],
])("parseYaml() reads %s", (_, text, value) => {
  expect(parseYaml(text, "a.yaml")).toEqual(value);
});

test("parseYaml() refuses a second document with its line", () => {
  expect(() => parseYaml("a: 1\n---\nb: 2\n", "config")).toThrow("config:3: is a second document, needs one");
});

test("parseYamlDocuments() gives every document, empty ones too", () => {
  expect(parseYamlDocuments("a: 1\n---\n---\nb: 2\n", "a.yaml")).toEqual([{ a: 1 }, null, { b: 2 }]);
});

test("readYamlDocuments() finds the line of what is in a document", () => {
  const [, second] = readYamlDocuments("a: 1\n---\nb:\n  - c: 1\n    d: 2\n", "a.yaml");
  expect(second?.lineOf(["b", 0, "d"])).toBe(5);
  expect(second?.lineOf(["b", 0, "nothing"])).toBe(4);
  expect(second?.lineOf([])).toBe(3);
});

test.each([
  ["what is no YAML", "a: [\n", "api.yaml:2: this is no YAML that we read: Flow sequence in block"],
  ["a key given twice", "a: 1\nb: 2\na: 3", "api.yaml:3: a: is here twice"],
  ["a mapping as a key", "? {a: 1}\n: 2", "api.yaml:1: needs a plain word as its key"],
  ["a key of JavaScript's own", "a:\n  __proto__: {b: 1}", "api.yaml:2: a: cannot have __proto__ as a key"],
  ["infinity", "a: .inf", "api.yaml:1: a: needs a text, a number, true, false or null"],
  ["an unknown alias", "a: *b", "api.yaml:1: a: is an alias of an anchor that is not there before it"],
  ["an alias of what it is in", "a: &a [*a]", "api.yaml:1: a[0]: is an alias of something that it is a part of"],
  ["a merge of a number", "a:\n  <<: 1", 'api.yaml:2: a["<<"]: needs objects to merge'],
  ["deep nesting", `a: ${"[".repeat(300)}${"]".repeat(300)}`, "api.yaml:1: is nested deeper than 100 levels"],
  ["very deep nesting", "[".repeat(20_000), "api.yaml:1: this is no YAML that we read"],
  ["mappings as keys of mappings", "? ".repeat(2_000), "api.yaml:1: "],
  ["a text of too many parts", `a: [${"a,".repeat(400_000)}a]`, "api.yaml:1: has more than 1000000 signs and words"],
  ["a text too long", `a: ${"x".repeat(5_000_000)}`, "api.yaml:1: is larger than 4194304 characters"],
  ["100,000 documents", "---\na: 1\n".repeat(100_000), "api.yaml:1: has more than 1000 documents"],
])("parseYamlDocuments() refuses %s", (_, text, complaint) => {
  expect(complaintOf(text)).toContain(complaint);
});

test("parseYamlDocuments() refuses aliases that unfold to more than it reads", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 10; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  }
  expect(complaintOf(lines.join("\n"))).toContain("has more in it than we read, aliases unfolded");
});

test("parseYamlDocuments() reads 20,000 aliases in the time of as many scalars", () => {
  const text = Array.from({ length: 20_000 }, (_, index) => `- &a${index} x\n- *a${index}`).join("\n");
  expect(parseYamlDocuments(text, "a.yaml")).toEqual([Array(40_000).fill("x")]);
});

test("parseYamlDocuments() complains of everything at once", () => {
  expect(complaintOf("a: 1\na: 2\n---\nb: *c\n")).toBe(`Cannot use api.yaml: 2 complaints
api.yaml:2: a: is here twice
api.yaml:4: b: is an alias of an anchor that is not there before it`);
});

test("parseYaml() reads back what JSON writes", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const text = JSON.stringify(value);
      if (text.includes("__proto__")) return;
      expect(parseYaml(text, "a.json")).toEqual(JSON.parse(text));
    }),
  );
});

test("parseYamlDocuments() throws nothing but complaints", () => {
  const piece = fc.constantFrom(
    "- ",
    "? ",
    ": ",
    "a",
    "&a ",
    "*a",
    "\n",
    "  ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "---\n",
    "!!str ",
    "|",
    "'",
    '"',
    "#",
    "%",
    "<<",
    "\t",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
      complaintOf(pieces.join(""));
    }),
    { numRuns: 500 },
  );
});
