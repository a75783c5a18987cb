import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkSettings } from "../../wire/settings.ts";
import { lacksForTour, localAddress } from "./tour-needs.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIYSZMoGHFMYqkqcO0IsJZ9ZkVZL8yWyDqmNdqSTz9tF ada@laptop";
const OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIaGDBPAANxpiQhFnKNzzd7N4sTp1ljdKCGDwd+fQmf bob@laptop";
const SOUND = `version: 1
listen: { ssh: ["127.0.0.1:2222"] }
people: { ada: { keys: ["${KEY}"] } }
repositories: { hello: { url: ./demo/hello.git } }
grants: [{ people: [ada], repositories: "*" }]
`;
const NEEDS_KEY = "a person with the key of demo/id_ed25519.pub";
const NEEDS_REPOSITORY = "the repository hello at ./demo/hello.git";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-needs-"));
  mkdirSync(join(folder, "demo"));
  writeFileSync(join(folder, "demo/id_ed25519.pub"), `${KEY}\n`);
  writeFileSync(join(folder, "ada.pub"), `${KEY}\n`);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each<[string, string | RegExp, string, readonly string[]]>([
  ["nothing", "", "", []],
  ["nothing but where a key is written", `keys: ["${KEY}"]`, "keysFile: ada.pub", []],
  ["the key", KEY, OTHER, [NEEDS_KEY]],
  ["the repository", "hello:", "others:", [NEEDS_REPOSITORY]],
  ["the sample", "./demo/hello.git", "https://git.example.com/hello.git", [NEEDS_REPOSITORY]],
  ["the grant", /grants: .*/, "", ["a grant of hello to that person"]],
  ["the listener", "127.0.0.1:2222", "192.0.2.1:2222", ["a listener on localhost"]],
  [
    "what comes first",
    "listen: {",
    "listen: { proxyProtocolFrom: [127.0.0.0/8],",
    ["connections from localhost without a PROXY header"],
  ],
  [
    "key and repository",
    /people: [^]*hello.git/,
    `people: { ada: { keys: ["${OTHER}"] } }\nrepositories: { o: { url: x`,
    [NEEDS_KEY, NEEDS_REPOSITORY],
  ],
])("lacksForTour() names what is lacking when somebody has changed %s", async (_what, from, to, lacks) => {
  const settings = checkSettings(SOUND.replace(from, to), "slipway.yaml");
  const sample = { repository: join(folder, "demo/hello.git"), identityFile: join(folder, "demo/id_ed25519") };
  const read = { settings, path: join(folder, "slipway.yaml") };
  expect(await lacksForTour(read, sample, localAddress(settings.listen.ssh))).toEqual(lacks);
});
