import fc from "fast-check";
import { expect, test } from "vitest";
import { type AllowedKey, authorizedKeysLines, type LineOptions } from "./authorized-keys-lines.ts";

const KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt";
const ADA: AllowedKey = { person: "github.583231", login: "ada", type: "ssh-ed25519", key: KEY };
const SHOP: LineOptions = { user: "shop", repository: "acme/shop", command: "enter {repository} {person}", allow: [] };

test("authorizedKeysLines() restricts each key, and puts into it who comes and where to", () => {
  const lines = authorizedKeysLines([ADA, { ...ADA, login: "bob b", expiresAt: 1_800_000_000_999 }], {
    ...SHOP,
    allow: ["pty", "port-forwarding"],
  });
  const routing =
    'environment="SLIPWAY_PERSON=github.583231",environment="SLIPWAY_REPOSITORY=acme/shop",command="enter acme/shop github.583231"';
  expect(lines).toEqual([
    `restrict,pty,port-forwarding,${routing} ssh-ed25519 ${KEY} ada`,
    `restrict,pty,port-forwarding,expiry-time="20270115080000Z",${routing} ssh-ed25519 ${KEY} bob?b`,
  ]);
});

test("authorizedKeysLines() has nothing for nobody", () => {
  expect(authorizedKeysLines([], SHOP)).toEqual([]);
});

test.each([
  ["a newline in a name", { ...SHOP, repository: "acme/x\nssh-ed25519 AAAA eve" }, ADA],
  ["a NUL in an id", SHOP, { ...ADA, person: "a\0b" }],
  ["a backslash at the end of a name", { ...SHOP, repository: "acme\\" }, ADA],
  ["a key with options in it", SHOP, { ...ADA, key: `${KEY} x\nssh-ed25519 AAAA` }],
  ["a type that is none", SHOP, { ...ADA, type: "no-pty ssh-rsa" }],
])("authorizedKeysLines() throws rather than write %s", (_, options, key) => {
  expect(() => authorizedKeysLines([key], options)).toThrow(/^Cannot write a line of authorized_keys/);
});

/** Takes the options of a line apart as sshd does: sshkey_advance_past_options and opt_dequote of OpenSSH 9.2. */
function readLine(line: string): { options: { name: string; value: string | undefined }[]; rest: string } {
  const options: { name: string; value: string | undefined }[] = [];
  let at = 0;
  for (;;) {
    const name = /^[a-zA-Z0-9-]+/.exec(line.slice(at))?.[0] ?? "";
    at += name.length;
    let value: string | undefined;
    if (line[at] === "=") {
      at += 2; // and the quote
      value = "";
      for (; line[at] !== '"'; at++) {
        if (line[at] === "\\" && line[at + 1] === '"') at++;
        value += line[at] ?? "";
      }
      at++;
    }
    options.push({ name, value });
    if (line[at] !== ",") break;
    at++;
  }
  return { options, rest: line.slice(at) };
}

test("authorizedKeysLines() writes what sshd reads back as it was, whatever names have in them", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !/\p{Cc}|\\$/u.test(text));
  fc.assert(
    fc.property(name, name, name, (repository, login, command) => {
      const options = { ...SHOP, repository, command: `${command} {repository}` };
      const [line = ""] = authorizedKeysLines([{ ...ADA, login }], options);
      expect(line).not.toContain("\n");
      const read = readLine(line);
      expect(read.options.map((option) => option.name)).toEqual(["restrict", "environment", "environment", "command"]);
      expect(read.options[2]?.value).toBe(`SLIPWAY_REPOSITORY=${repository}`);
      expect(read.options[3]?.value?.startsWith(command)).toBe(true);
      expect(read.rest).toMatch(/^ ssh-ed25519 [A-Za-z0-9+/=]+ [A-Za-z0-9._@?-]+$/);
    }),
  );
});
