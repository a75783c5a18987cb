import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mustRun } from "../../test/harness/program.ts";
import { checkSettings } from "../wire/settings.ts";
import { personName, prepareDemo, settingsText } from "./demo.ts";
import { ownKeys } from "./own-keys.ts";
import { makeStateFolder, stateFolder } from "./state-folder.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIYSZMoGHFMYqkqcO0IsJZ9ZkVZL8yWyDqmNdqSTz9tF ada@laptop";
const EXAMPLES = join(import.meta.dirname, "../../examples");

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-demo-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Makes a pair of keys in `~/.ssh`. @returns its public part in base64 */
async function makeKey(name: string, ...options: readonly string[]): Promise<string> {
  mkdirSync(join(folder, ".ssh"), { recursive: true });
  const file = join(folder, ".ssh", name);
  await mustRun(["ssh-keygen", "-q", "-N", "", "-C", "my laptop", "-f", file, ...options]);
  return readFileSync(`${file}.pub`, "utf8").split(" ")[1] ?? "";
}

/** One old key made the settings of the first start unsound, which then kept every start from serving. */
test("prepareDemo() writes sound settings whatever keys the person has", async () => {
  const good = await makeKey("id_ed25519", "-t", "ed25519");
  const old = await makeKey("id_rsa", "-t", "rsa", "-b", "1024");
  writeFileSync(join(folder, ".ssh/id_broken.pub"), "ssh-ed25519 AAAA\n");
  mkdirSync(join(folder, ".ssh/id_folder.pub"));
  const state = stateFolder({ SLIPWAY_HOME: join(folder, "state") }, folder);
  makeStateFolder(state);
  const demo = prepareDemo(state, EXAMPLES, { HOME: folder });
  const { people, grants } = checkSettings(readFileSync(demo.settingsFile, "utf8"), "slipway.yaml");
  const [ours = ""] = readFileSync(`${demo.identityFile}.pub`, "utf8").split(" ").slice(1);
  expect(people.map(({ keys }) => keys.map(({ blob }) => blob))).toEqual([[ours, good]]);
  expect(grants).toHaveLength(1);
  expect(readFileSync(demo.settingsFile, "utf8")).not.toContain(old);
  expect(demo.hasOwnKey).toBe(true);
});

test("prepareDemo() leaves what is there as it is, and makes a lost public key again", () => {
  const state = stateFolder({ SLIPWAY_HOME: join(folder, "state") }, folder);
  makeStateFolder(state);
  const demo = prepareDemo(state, EXAMPLES, {});
  const read = (): string[] => [demo.settingsFile, demo.identityFile].map((file) => readFileSync(file, "utf8"));
  const [before, key] = [read(), readFileSync(`${demo.identityFile}.pub`, "utf8").split(" ").slice(0, 2)];
  rmSync(`${demo.identityFile}.pub`);
  expect(prepareDemo(state, EXAMPLES, {})).toEqual(demo);
  expect(read()).toEqual(before);
  expect(readFileSync(`${demo.identityFile}.pub`, "utf8").trim().split(" ").slice(0, 2)).toEqual(key);
});

test("ownKeys() takes each key once, and does without a folder, a file and an agent that do not answer", async () => {
  const key = await makeKey("id_ed25519", "-t", "ed25519");
  writeFileSync(join(folder, ".ssh/id_again.pub"), `# two lines\nssh-ed25519 ${key} elsewhere\n`);
  symlinkSync("absent", join(folder, ".ssh/id_gone.pub"));
  const environment = { HOME: folder, SSH_AUTH_SOCK: join(folder, "absent"), PATH: process.env["PATH"] };
  expect(ownKeys(environment).map(({ blob }) => blob)).toEqual([key]);
  expect(ownKeys({ HOME: join(folder, "absent") })).toEqual([]);
});

test.each([
  ["ada", "ada"],
  ["Ada..Lovelace@EXAMPLE", "ada.lovelace-example"],
  ["_svc$", "svc-"],
  ["1000", "1000"],
  ["null", "null"],
  ["日本", "you"],
  ["", "you"],
  ["x".repeat(100), "x".repeat(64)],
])("personName() makes of the user %j a name that the settings take", (user, name) => {
  expect(personName(user)).toBe(name);
  expect(checkSettings(settingsText(name, [KEY]), "slipway.yaml").people).toMatchObject([{ name }]);
});
