import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault, toldOf } from "../base/fault.ts";
import { encodeBranch, exactLoginOf, hostnameOf, LOGIN_LENGTH_MAX, loginOf, readLogin } from "./login.ts";

test.each([
  ["slip", { type: "lobby" }],
  ["SLIP", { type: "lobby" }],
  ["hello-main", { type: "hyphenated", text: "hello-main" }],
  ["Hello-Feature-X", { type: "hyphenated", text: "Hello-Feature-X" }],
  ["hello", { type: "hyphenated", text: "hello" }],
  ["slip-main", { type: "hyphenated", text: "slip-main" }],
  ["hello-main+@ada", { type: "hyphenated", text: "hello-main", person: "ada" }],
  ["hello+main", { type: "plus", repository: "hello", branch: "main" }],
  ["acme+hello+v1.2_x", { type: "plus", owner: "acme", repository: "hello", branch: "v1.2_x" }],
  ["acme+hello+main+@ada", { type: "plus", owner: "acme", repository: "hello", branch: "main", person: "ada" }],
  ["hello+pr12", { type: "pull", repository: "hello", pull: 12 }],
  ["acme+hello+PR7+@Ada-L", { type: "pull", owner: "acme", repository: "hello", pull: 7, person: "Ada-L" }],
  ["hello+pr012", { type: "plus", repository: "hello", branch: "pr012" }],
  ["hello+a-b..0k3F9x2", { type: "plus", repository: "hello", branch: "a-b", tag: "0k3f9x2" }],
  ["hello+..0k3f9x2", { type: "plus", repository: "hello", branch: "", tag: "0k3f9x2" }],
])("readLogin() reads %s", (text, login) => {
  expect(readLogin(text)).toEqual(login);
});

const CHARACTERS = "it has a character other than letters, digits and . _ - + @";

test.each([
  ["nothing at all", "", "it is empty"],
  ["300 characters", "a".repeat(300), "it is longer than 200 characters"],
  ["a path", "../../etc/passwd", CHARACTERS],
  ["a slash", "hello-feature/x", CHARACTERS],
  ["a percent sign", "hello-%2e%2e", CHARACTERS],
  ["a shell's substitution", "hello-$(id)", CHARACTERS],
  ["a NUL", "hello-main\0", CHARACTERS],
  ["a line break at the end", "hello-main\n", CHARACTERS],
  ["an escape sequence", "hello-\u001b[31m", CHARACTERS],
  ["letters beyond ASCII", "hello-größe", CHARACTERS],
  ["a letter that looks like another", "hell\u043e-main", CHARACTERS],
  ["a space", "hello main", CHARACTERS],
  ["an option", "-oProxyCommand=id", CHARACTERS],
  ["an option without a value", "-l", 'it begins with "-"'],
  ["a plus at the beginning", "+main", 'it begins with "+"'],
  ["an at sign at the beginning", "@ada", 'it begins with "@"'],
  ["only dots", "..", "it has two dots in a row"],
  ["two dots in a repository", "hello..x+main", "it has two dots in a row"],
  ["a tag that is too short", "hello+main..123456", "it has two dots in a row"],
  ["a tag on a hyphenated login", "hello-a-b..0k3f9x2", "it has two dots in a row"],
  ["two dots in a hyphenated login", "hello-a..b-x", "it has two dots in a row"],
  ["a plus at the end", "hello+main+", 'a name is missing beside "+"'],
  ["two pluses together", "hello++main", 'a name is missing beside "+"'],
  ["four names", "a+b+c+d", 'it has more than two "+"'],
  ["an at sign without a plus", "hello-main@ada", 'an "@" belongs into "+@<person>" at the end'],
  ["a person in the middle", "hello+@ada+main", 'an "@" belongs into "+@<person>" at the end'],
  ["two persons", "hello+main+@ada@bob", 'an "@" belongs into "+@<person>" at the end'],
  ["no person", "hello+main+@", 'an "@" belongs into "+@<person>" at the end'],
])("readLogin() refuses %s and says what to type", (_, text, because) => {
  expect(() => readLogin(text)).toThrow(expect.objectContaining({ code: "login.malformed" }));
  expect(told(text)).toBe(
    `This user name is no login: ${because}; type <repository>-<branch>, as in "hello-main", or "slip" for the lobby`,
  );
});

test("readLogin() logs a hostile name as short printable ASCII", () => {
  expect(() => readLogin("a\u202e\u001b]0;x\u0007\u{1f600}\u007f\ud800")).toThrow(
    `Cannot read login "a\\u{202e}\\u001b]0;x\\u0007\\u{1f600}\\u{7f}\\ud800": ${CHARACTERS}`,
  );
  expect(() => readLogin("é".repeat(150))).toThrow(`Cannot read login "${"\\u{e9}".repeat(80)}…": ${CHARACTERS}`);
});

test("readLogin() reads or refuses whatever arrives, and what it reads is safe everywhere", () => {
  const code = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) }, fc.nat(0xffff));
  const near = fc.stringMatching(/^[a-c.+@-]{0,12}(pr[0-9]+)?(\.\.[0-9a-z]{6,8})?(\+@?[a-c]*)?$/);
  const hostile = fc.oneof(near, fc.string({ unit: code.map((one) => String.fromCharCode(one)), maxLength: 220 }));
  fc.assert(
    fc.property(hostile, (text) => {
      try {
        for (const name of Object.values(readLogin(text)).map(String)) {
          expect(name).toMatch(/^[A-Za-z0-9._-]{0,200}$/);
          expect(name).not.toContain("..");
        }
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        expect(error).toHaveProperty("code", "login.malformed");
        expect(String(error)).toMatch(/^[ -~…]+$/);
      }
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ["a slash", "feature/x", "feature-x"],
  ["what git allows and a login does not", "fix#12@{a}+ü~日本", "fix-12--a------"],
  ["a character outside the basic plane as one", "a\u{1f600}b", "a-b"],
  ["half a character", "a\ud800b", "a-b"],
  ["dots, which stay", "v1.2.3", "v1.2.3"],
  ["two dots, which announce a tag", "a..b...c", "a-.b--.c"],
])("encodeBranch() encodes %s", (_, branch, encoded) => {
  expect(encodeBranch(branch)).toBe(encoded);
});

test("loginOf() shows the hyphenated form, and an exact one when that is too long", () => {
  expect(loginOf("hello", "feature/x")).toBe("hello-feature-x");
  const long = loginOf("hello", "x".repeat(250));
  expect(long).toBe(`hello+${"x".repeat(185)}..${long.slice(-7)}`);
  expect(long).toHaveLength(LOGIN_LENGTH_MAX);
});

test("exactLoginOf() makes a login that readLogin() takes, whatever the branch", () => {
  expect(exactLoginOf({ owner: "acme", repository: "hello", branch: "a/b" })).toBe("acme+hello+a-b..0g8wk3l");
  const branch = fc.string({
    unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 260,
  });
  fc.assert(
    fc.property(fc.oneof(branch, fc.stringMatching(/^[.a]{1,9}$/)), (name) => {
      expect(readLogin(exactLoginOf({ repository: "hello", branch: name }))).toMatchObject({
        type: "plus",
        repository: "hello",
      });
      expect(readLogin(loginOf("hello", name)).type).toMatch(/hyphenated|plus/);
    }),
  );
});

test.each([
  ["lower case", "Hello", "Main", "hello-main"],
  ["runs of what a label cannot hold as one hyphen", "hello.js", "feature//_x", "hello-js-feature-x"],
  ["no hyphen at the ends", "_hello", "x/", "hello-x"],
  ["a cut name with a tag", "hello", "x".repeat(80), `hello-${"x".repeat(49)}-1hwsw41`],
  ["a tag alone when no letter is left", "_", "日本", "021c4w6"],
])("hostnameOf() makes %s", (_, repository, branch, hostname) => {
  expect(hostnameOf(repository, branch)).toBe(hostname);
});

test("hostnameOf() is an RFC 1123 label whatever the branch", () => {
  const branch = fc.string({
    unit: fc.oneof(
      fc.constantFrom("a", "-", "/", "."),
      fc.nat(0xffff).map((code) => String.fromCharCode(code)),
    ),
    maxLength: 90,
  });
  fc.assert(
    fc.property(branch, (name) => {
      expect(hostnameOf("hello", name)).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
    }),
  );
});

function told(text: string): string {
  try {
    readLogin(text);
    return "";
  } catch (error) {
    return toldOf(error);
  }
}
