import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf, makeFakeAccess, no, repositoryOf, YES } from "../../test/fakes/fake-access.ts";
import type { AuthorizedKey } from "../wire/authorized-keys.ts";
import type { ForgeSettings } from "../wire/forge-settings.ts";
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

describe("with a forge", () => {
  const forge: ForgeSettings = {
    ...{ name: "github", type: "github", url: "https://github.example", apiUrl: "https://api.github.example" },
    ...{ credential: { type: "token", token: { env: "TOKEN" } }, organizations: ["acme"], repositories: [] },
    ...{ minimumRole: "write", graceMs: 3_600_000, pollMs: 30_000 },
  };
  const [settingsKey, forgeKey, ivysKey, sharedKey] = [makeKey(), makeKey(), makeKey(), makeKey()];
  const never = new AbortController().signal;
  const shop = { type: "hyphenated", text: "shop-main" } as const;

  /** Ada is in the settings and is account 1; ivy, account 2, is known to the forge alone. */
  async function open(options: { readonly makesTokens?: (forge: string) => boolean } = {}) {
    const access = makeFakeAccess({
      accounts: [accountOf("1", "ada-at-work", [forgeKey.blob]), accountOf("2", "Ivy", [ivysKey.blob, sharedKey.blob])],
      repositories: [repositoryOf("10", "acme", "shop"), repositoryOf("11", "other", "shop")],
    });
    const linked = { ...ada, account: { forge: "github", id: "1" }, keys: [settingsKey] };
    const people = [linked, { ...bob, keys: [sharedKey] }];
    const grants = [{ people: ["ada"], repositories: ["hello"] }];
    return {
      access,
      directory: await openDirectory({
        ...{ settings: { people, repositories, grants, forges: [forge] }, folder, access },
        ...options,
      }),
    };
  }

  test("whose() joins a person and their account, knows those of the forge, and gives a shared key to nobody", async () => {
    const { directory } = await open();
    expect(directory.whose(settingsKey.blob)).toMatchObject({ person: { id: "ada" } });
    expect(directory.whose(forgeKey.blob)).toMatchObject({ person: { id: "ada" } });
    expect(directory.whose(ivysKey.blob)).toMatchObject({ person: { id: "github.2", name: "Ivy", admin: false } });
    expect(directory.whose(sharedKey.blob)).toEqual({ type: "shared" });
    expect(directory.find("github.2")).toMatchObject({ fullName: "Full Ivy", account: { forge: "github", id: "2" } });
    expect(directory.find("github.1")).toMatchObject({ id: "ada" });
    expect(directory.find("github.3")).toBeUndefined();
  });

  test("usable() lists what the grants give and what the forge allows of what the login may mean", async () => {
    const { directory, access } = await open();
    access.says.set("1 10", YES).set("2 11", { ...YES, isStale: true, verifiedAt: 5 });
    const adas = await directory.usable({ person: "ada", key: settingsKey.blob }, shop, never);
    expect(adas.repositories.map(({ id }) => id)).toEqual(["hello", "github.10"]);
    expect(adas.repositories[1]).toMatchObject({
      ...{ name: "shop", owner: "acme", url: "https://github.example/acme/shop.git" },
      pushUrl: "git@github.example:acme/shop.git",
    });
    // The settings vouch for this key; for one of the forge's, the forge has to.
    expect(access.asked.map(({ key }) => key)).toEqual([undefined, undefined]);
    const ivys = await directory.usable({ person: "github.2", key: ivysKey.blob }, shop, never);
    expect(ivys.repositories).toMatchObject([{ id: "github.11", asOf: { forge: "github", at: 5 } }]);
    expect(access.asked.at(-1)?.key).toBe(ivysKey.blob);
  });

  test("usable() asks of the owner that was typed alone, and says what could not be verified", async () => {
    const { directory, access } = await open();
    access.says.set("2 10", no("github has not answered since noon", "unverified"));
    const login = { type: "plus", owner: "ACME", repository: "Shop", branch: "main" } as const;
    expect(await directory.usable({ person: "github.2", key: ivysKey.blob }, login, never)).toEqual({
      repositories: [],
      told: ["github has not answered since noon"],
    });
    expect(access.asked).toHaveLength(1);
  });

  // Whoever was refused by readOnly: none heard that no repository of theirs fits, and looked for a mistake in its name.
  test("usable() tells those who may only read that they may, and whoever has no role nothing of what there is", async () => {
    const { directory, access } = await open();
    const reading = "Ivy may only read acme/shop, and an environment needs the right to write";
    const refusal = { allowed: false, type: "no", verifiedAt: 0, sources: [] } as const;
    access.says.set("2 10", { ...refusal, told: reading, hasRole: true });
    access.says.set("2 11", { ...refusal, told: "Ivy is no collaborator of other/shop", hasRole: false });
    const { repositories, told } = await directory.usable({ person: "github.2", key: ivysKey.blob }, shop, never);
    expect({ repositories, told }).toEqual({ repositories: [], told: [reading] });
  });

  // An account that was only listed has been verified never, and not in 1970.
  test("known() says what somebody may use and since when that is known, and nothing of what was never verified", async () => {
    const { directory, access } = await open();
    access.says.set("1 10", { ...YES, verifiedAt: 7_000 });
    const known = directory.known({ person: "ada", key: settingsKey.blob });
    expect(known).toMatchObject({ keyFrom: "settings", account: { login: "ada-at-work" } });
    expect(known?.account?.stateVerifiedAt).toBeUndefined();
    expect(known?.repositories).toEqual([{ name: "hello" }, { name: "acme/shop", role: "write", verifiedAt: 7_000 }]);
    expect(directory.known({ person: "bob", key: "" })).toMatchObject({ keyFrom: "settings", repositories: [] });
    expect(directory.known({ person: "github.2", key: ivysKey.blob })?.repositories).toEqual([]);
  });

  test("watchPush() tells once when somebody may not push any more, be it that they may read still", async () => {
    const { directory, access } = await open();
    access.says.set("2 10", YES);
    const lost: string[] = [];
    for (const name of ["read", "gone", "unverified"]) {
      directory.watchPush("github.2", "github.10", () => lost.push(name));
      await Promise.resolve();
      access.change();
      access.says.set("2 10", { ...YES, isStale: true });
      access.change();
      expect(lost).not.toContain(name);
      if (name === "read") access.says.set("2 10", { ...YES, role: "read" });
      if (name === "gone") access.revoke("ivy is no collaborator of acme/shop");
      if (name === "unverified") access.says.set("2 10", no("github could not be asked", "unverified"));
      access.change();
      access.change();
      access.says.set("2 10", YES);
    }
    expect(lost).toEqual(["read", "gone"]);
    // Whose right ended while their token was made is told of it as well.
    access.says.set("2 10", no("ivy is no collaborator of acme/shop"));
    directory.watchPush("github.2", "github.10", () => lost.push("before"));
    await Promise.resolve();
    expect(lost).toContain("before");
  });

  test("mayUse() asks the settings of what is theirs and the forge of what is its own, never one for the other", async () => {
    const { directory, access } = await open();
    access.says.set("2", YES).set("2 10", YES);
    const ivy = { person: "github.2", key: ivysKey.blob };
    expect(await directory.mayUse(ivy, undefined, never)).toEqual({ allowed: true });
    expect(await directory.mayUse(ivy, "github.10", never)).toEqual({ allowed: true });
    expect(await directory.mayUse(ivy, "github.11", never)).toMatchObject({ allowed: false, isUnverified: false });
    expect(await directory.mayUse(ivy, "hello", never)).toMatchObject({
      allowed: false,
      told: "you have no grant for hello",
    });
    expect(await directory.mayUse({ person: "ada", key: settingsKey.blob }, "hello", never)).toEqual({ allowed: true });
    expect(await directory.mayUse({ person: "bob", key: sharedKey.blob }, "hello", never)).toMatchObject({
      told: "this key belongs to more than one account",
    });
    // Somebody else's key is no proof of being ada.
    expect(directory.judge({ person: "ada", key: sharedKey.blob })).toMatchObject({ allowed: false });
  });

  const reads = { ...YES, role: "read" as const };
  const refused = no("Ivy is no collaborator of acme/shop");
  test.each([
    ["of an account", ["github.2", "github.10"], YES, ""],
    ["of somebody in the settings", ["ada", "github.10"], { ...YES, role: "admin" as const }, ""],
    ["of who may only read", ["github.2", "github.10"], reads, "you may read it and not push to it"],
    [
      "by an old answer",
      ["github.2", "github.10"],
      { ...YES, isStale: true },
      "github cannot be asked whether you may",
    ],
    ["of who is refused", ["github.2", "github.10"], refused, "Ivy is no collaborator of acme/shop"],
    ["to a repository of the settings", ["ada", "hello"], YES, "no forge says that you may push to it"],
    ["of somebody without an account", ["bob", "github.10"], YES, "no forge says that you may push to it"],
    ["of nobody", ["github.9", "github.10"], YES, "no forge says that you may push to it"],
  ])("mayPush() judges a push %s by what the forge says now", async (_, [person = "", repository = ""], ...given) => {
    const [decision, refusal] = given;
    const { directory, access } = await open();
    access.says.set("1 10", decision).set("2 10", decision);
    const use = await directory.mayPush(person, repository, never);
    expect(use.allowed ? "" : use.told).toBe(refusal);
    expect(access.asked.every(({ key }) => key === undefined)).toBe(true);
  });

  test("repository() says that one can be pushed to by token where its forge makes them", async () => {
    const makesTokens = (name: string): boolean => name === "github";
    expect((await open({ makesTokens })).directory.repository("github.10")).toMatchObject({ canPushByToken: true });
    expect((await open()).directory.repository("github.10")).not.toHaveProperty("canPushByToken");
    expect((await open({ makesTokens })).directory.repository("hello")).not.toHaveProperty("canPushByToken");
  });

  test("watch() ends a session once, whether the forge says so or the settings do", async () => {
    const { directory, access } = await open();
    access.says.set("2 10", YES).set("1", YES);
    const told: string[] = [];
    const who = { person: "github.2", key: ivysKey.blob };
    directory.watch({ who, repository: "github.10" }, (why) => told.push(why));
    access.revoke("Ivy is no collaborator of acme/shop any more");
    access.revoke("again");
    const unwatch = directory.watch({ who, repository: "github.10" }, (why) => told.push(why));
    unwatch();
    access.revoke("nobody listens");
    expect(told).toEqual(["Ivy is no collaborator of acme/shop any more"]);
  });

  test("reload() ends the sessions of keys that are no longer in their file", async () => {
    const [old, young] = [makeKey(), makeKey()];
    await writeFile(join(folder, "bob.pub"), old.line + young.line);
    const people = [{ ...bob, keys: [], keysFile: "bob.pub" }];
    const directory = await openDirectory({ settings: { people, repositories, grants: [], forges: [] }, folder });
    const told: string[] = [];
    for (const key of [old, young]) {
      directory.watch({ who: { person: "bob", key: key.blob } }, (why) =>
        told.push(`${key === old ? "old" : "young"}: ${why}`),
      );
    }
    await writeFile(join(folder, "bob.pub"), young.line);
    await directory.reload();
    expect(told).toEqual(["old: the key of this session was withdrawn"]);
  });
});
