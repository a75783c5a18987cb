import fc from "fast-check";
import { expect, test } from "vitest";
import { makeCredentialAnswer, readCredentialQuestion } from "./credential-words.ts";

const ABOUT = "protocol=https\nhost=github.example\npath=acme/shop.git\n";
const QUESTION = { protocol: "https", host: "github.example", path: "acme/shop.git" };

test.each([
  ["the end of input", `git-credential\n${ABOUT}`, QUESTION],
  ["an empty line, and no further", `git-credential\n${ABOUT}\nhost=other.example\n`, QUESTION],
  ["words it does not know", `git-credential\ncapability[]=authtype\nwwwauth[]=Basic realm="x"\n${ABOUT}`, QUESTION],
  ["an account", `git-credential\n${ABOUT}username=ada\n`, { ...QUESTION, username: "ada" }],
  ["the last of two hosts, as git does", `git-credential\nhost=other.example\n${ABOUT}`, QUESTION],
])("readCredentialQuestion() reads up to %s", (_, text, question) => {
  expect(readCredentialQuestion(text)).toEqual(question);
});

test.each([
  ["nothing", ""],
  ["no line break", "git-credential"],
  ["another call", `git-something\n${ABOUT}`],
  ["no call", ABOUT],
  ["no repository", "git-credential\nprotocol=https\nhost=github.example\n"],
  ["a line without a name", `git-credential\n${ABOUT}=value\n`],
  ["a line without a value", `git-credential\n${ABOUT}username\n`],
  ["a NUL", `git-credential\n${ABOUT.replace("shop", "shop\0")}`],
])("readCredentialQuestion() takes %s for no question", (_, text) => {
  expect(readCredentialQuestion(text)).toBeUndefined();
});

test("readCredentialQuestion() never throws, whatever is said", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      readCredentialQuestion(text);
      readCredentialQuestion(`git-credential\n${text}`);
    }),
  );
});

test("makeCredentialAnswer() writes what git reads, with the expiry in whole seconds", () => {
  const credential = { username: "x-access-token", password: "secret", expiresAt: 4_000_000_000_999 };
  const answer = "username=x-access-token\npassword=secret\n";
  expect(makeCredentialAnswer(credential)).toBe(`${answer}password_expiry_utc=4000000000\n`);
  expect(makeCredentialAnswer({ ...credential, expiresAt: undefined })).toBe(answer);
});

test("makeCredentialAnswer() refuses what would forge another line", () => {
  const credential = { username: "a", password: "b\nhost=other.example", expiresAt: undefined };
  expect(() => makeCredentialAnswer(credential)).toThrow("it has a line break");
});
