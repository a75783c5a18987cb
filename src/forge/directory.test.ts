import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AuthorizedKey } from "../wire/authorized-keys.ts";
import { openDirectory } from "./directory.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-directory-"));
});
afterEach(() => rm(folder, { recursive: true }));

function makeKey(): AuthorizedKey & { bytes: Buffer; line: string } {
  const field = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(0, 0, 0, bytes.length), bytes]);
  const bytes = Buffer.concat([field(Buffer.from("ssh-ed25519")), field(randomBytes(32))]);
  const blob = bytes.toString("base64");
  return { type: "ssh-ed25519", blob, comment: "", bytes, line: `ssh-ed25519 ${blob}\n` };
}

const ada = { id: "ada", name: "ada", fullName: "Ada Lovelace", email: "ada@example.com", admin: true };
const bob = { id: "bob", name: "bob", fullName: "Bob", email: "bob@example.com", admin: false };
const repositories = ["hello", "tools", "secret"].map((name) => ({ name, url: `/srv/${name}` }));

test("whose() finds the person of a key in the settings or in a key file, and nobody of another key", async () => {
  const [one, two, three, strange] = [makeKey(), makeKey(), makeKey(), makeKey()];
  await writeFile(join(folder, "bob.pub"), `# bob\n${two.line}\n${three.line}`);
  const people = [
    { ...ada, keys: [one] },
    { ...bob, keys: [], keysFile: "bob.pub" },
  ];
  const directory = await openDirectory({ settings: { people, repositories, grants: [], forges: [] }, folder });
  expect(directory.whose(one.blob)).toEqual({ type: "person", person: ada });
  expect(directory.whose(two.blob)).toEqual({ type: "person", person: bob });
  expect(directory.whose(three.blob)).toEqual({ type: "person", person: bob });
  expect(directory.whose(strange.blob)).toBeUndefined();
  expect(directory.whose("")).toBeUndefined();
  expect(directory.find("bob")).toEqual(bob);
  expect(directory.find("__proto__")).toBeUndefined();
});

test("usable() follows the grants, and gives somebody without one nothing", async () => {
  const people = [ada, bob, { ...bob, id: "eve", name: "eve" }].map((person) => ({ ...person, keys: [makeKey()] }));
  const grants = [
    { people: "*" as const, repositories: ["hello"] },
    { people: ["ada"], repositories: "*" as const },
    { people: ["bob"], repositories: ["tools"] },
  ];
  const directory = await openDirectory({ settings: { people, repositories, grants, forges: [] }, folder });
  const login = { type: "hyphenated", text: "x-main" } as const;
  const namesOf = async (person: string) => {
    const { repositories: usable } = await directory.usable({ person, key: "" }, login, AbortSignal.abort());
    return usable.map(({ name }) => name);
  };
  expect(await namesOf("ada")).toEqual(["hello", "tools", "secret"]);
  expect(await namesOf("bob")).toEqual(["hello", "tools"]);
  expect(await namesOf("eve")).toEqual(["hello"]);
  expect(await namesOf("nobody")).toEqual([]);
});

test("openDirectory() complains of every key file at once, and of a key that two people have", async () => {
  const key = makeKey();
  await writeFile(join(folder, "ada.pub"), `ssh-ed25519 AAAA\nnonsense\n${key.line}`);
  const people = [
    { ...ada, keys: [], keysFile: "ada.pub" },
    { ...bob, keys: [key], keysFile: "absent.pub" },
  ];
  const refusal: unknown = await openDirectory({
    settings: { people, repositories, grants: [], forges: [] },
    folder,
  }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: "settings.invalid" });
  const { message } = refusal as Error;
  expect(message).toMatch(/^Cannot use the keys of people: 4 problems\n/);
  for (const part of [
    "  ada.pub:1: ",
    "  ada.pub:2: ",
    "  absent.pub: cannot be read (ENOENT)",
    "  bob has a key of ada",
  ]) {
    expect(message).toContain(part);
  }
});

test("reload() takes new and removed keys, and keeps those it had when a file is damaged", async () => {
  const [old, young] = [makeKey(), makeKey()];
  const path = join(folder, "ada.pub");
  await writeFile(path, old.line);
  const people = [{ ...ada, keys: [], keysFile: path }];
  const directory = await openDirectory({
    settings: { people, repositories, grants: [], forges: [] },
    folder: "/nowhere",
  });
  await writeFile(path, young.line);
  await directory.reload();
  expect(directory.whose(old.blob)).toBeUndefined();
  expect(directory.whose(young.blob)).toEqual({ type: "person", person: ada });
  await writeFile(path, "nonsense");
  await expect(directory.reload()).rejects.toMatchObject({ code: "settings.invalid" });
  expect(directory.whose(young.blob)).toEqual({ type: "person", person: ada });
});
