import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { Fault, toldOf } from "./fault.ts";
import { checkSettings } from "./settings.ts";

const Schema = z.strictObject({
  version: z.literal(1),
  listen: z
    .strictObject({ ssh: z.array(z.string()).default(["a:1"]), mode: z.enum(["auto", "off"]).default("auto") })
    .prefault({}),
  people: z.record(
    z.string(),
    z.strictObject({ admin: z.boolean().default(false), age: z.number().nullable().optional() }),
  ),
  rules: z.array(z.strictObject({ names: z.array(z.string()) })).default([]),
});

/** Everything that a person is told about a text, or what the schema made of it. */
function check(text: string): unknown {
  try {
    return checkSettings(Schema, text, "slipway.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ code: "settings.invalid", message: toldOf(error) });
    return toldOf(error);
  }
}

test("checkSettings() returns what the schema makes of the file, frozen all through", () => {
  const settings = checkSettings(Schema, "version: 1\npeople:\n  ada: { admin: true }\n", "slipway.yaml");
  expect(settings).toEqual({
    version: 1,
    listen: { ssh: ["a:1"], mode: "auto" },
    people: { ada: { admin: true } },
    rules: [],
  });
  expect([settings, settings.listen, settings.listen.ssh, settings.people["ada"]].every(Object.isFrozen)).toBe(true);
});

test("checkSettings() reports every complaint at once, each with its line and path", () => {
  const text = `# a comment
version: 2
lisen: {}
listen:
  ssh: 22
  mode: of
  colour: red
people:
  ada:
    admin: "yes"
    "the age":
      - 1
  bob.b: []
  eve:
    age: true
rules:
  - names:
      - ok
      - 5
  - name: [x]
`;
  expect(check(text)).toBe(`Cannot use slipway.yaml: 12 complaints
slipway.yaml:2: version: needs 1, is 2
slipway.yaml:3: lisen: unknown key; did you mean "listen"?
slipway.yaml:5: listen.ssh: needs a list, is 22
slipway.yaml:6: listen.mode: needs "auto" or "off", is "of"
slipway.yaml:7: listen.colour: unknown key; known are ssh, mode
slipway.yaml:10: people.ada.admin: needs true or false, is a string
slipway.yaml:11: people.ada["the age"]: unknown key; known are admin, age
slipway.yaml:13: people["bob.b"]: needs an object, is a list
slipway.yaml:15: people.eve.age: needs a number, is true
slipway.yaml:19: rules[0].names[1]: needs a string, is 5
slipway.yaml:20: rules[1].names: is missing, needs a list
slipway.yaml:20: rules[1].name: unknown key; did you mean "names"?`);
});

test.each([
  ["a sentence", "hello there", "slipway.yaml:1: needs an object, is a string"],
  [
    "a tab as indentation",
    "version: 1\npeople:\n\tada: {}\n",
    "slipway.yaml:3: this is no YAML that we read: Tabs are not allowed as indentation",
  ],
  [
    "a quote that never ends",
    "version: 1\npeople: 'x\n",
    "slipway.yaml:3: this is no YAML that we read: Missing closing 'quote",
  ],
  [
    "two documents",
    "version: 1\n---\nversion: 1\n",
    "slipway.yaml:2: this is no YAML that we read: Source contains multiple documents",
  ],
  [
    "a tag that nobody knows",
    "version: !one 1\npeople: {}",
    "slipway.yaml:1: this is no YAML that we read: Unresolved tag: !one",
  ],
  [
    "an alias without its anchor",
    "version: 1\npeople: *x\n",
    "slipway.yaml:1: this is no YAML that we read: Unresolved alias (the anchor must be set before the alias): x",
  ],
  [
    "a key given twice",
    "version: 1\npeople:\n  ada: {}\n  eve: {}\n  ada: {}\n",
    "slipway.yaml:5: people.ada: is here twice, first on line 3",
  ],
  [
    "a key that is no key",
    "version: 1\npeople:\n  __proto__: {}\n",
    "slipway.yaml:3: people.__proto__: cannot be used as a key",
  ],
  [
    "a list where keys belong",
    "version: 1\npeople:\n  ? [a, b]\n  : {}\n",
    'slipway.yaml:3: people["?"]: needs a plain word as its key',
  ],
])("checkSettings() refuses %s", (_, text, complaint) => {
  expect(check(text)).toBe(`Cannot use slipway.yaml: 1 complaint\n${complaint}`);
});

test.each(["", "# later\n", "---\n", "null\n"])(
  "checkSettings() says what is missing in a file with nothing in it: %j",
  (text) => {
    expect(check(text)).toBe(`Cannot use slipway.yaml: 2 complaints
slipway.yaml:1: version: is missing, needs 1
slipway.yaml:1: people: is missing, needs an object`);
  },
);

test("checkSettings() reads keys that YAML takes for numbers and such", () => {
  expect(check("version: 1\npeople:\n  22: {}\n  true: {}\n  0x10: {}\n  16: {}\n")).toBe(
    "Cannot use slipway.yaml: 1 complaint\nslipway.yaml:6: people.16: is here twice, first on line 5",
  );
});

test("checkSettings() refuses aliases that would fill the memory", () => {
  const text = `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
  expect(check(text)).toBe(
    "Cannot use slipway.yaml: 1 complaint\nslipway.yaml:1: this is no YAML that we read: Excessive alias count indicates a resource exhaustion attack",
  );
});

test("checkSettings() finds the line of what an alias repeats", () => {
  expect(check("version: 1\npeople:\n  ada: &a { age: x }\n  eve: *a\n")).toBe(`Cannot use slipway.yaml: 2 complaints
slipway.yaml:3: people.ada.age: needs a number, is a string
slipway.yaml:4: people.eve.age: needs a number, is a string`);
});

test("checkSettings() returns or complains whatever the text", () => {
  const piece = fc.constantFrom(
    "version: 1",
    "people:",
    "  ada:",
    "    admin: true",
    "- x",
    "{",
    "]",
    "'",
    "&a ",
    "*a",
    "|",
    "? ",
    ": ",
    "\t",
    "\n",
    "\n",
    "!",
    "#",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece).map((pieces) => pieces.join("")),
        fc.string(),
      ),
      (text) => {
        check(text);
      },
    ),
    { numRuns: 300 },
  );
});
