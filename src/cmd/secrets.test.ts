import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { toldOf } from "../base/fault.ts";
import { checkSettings, type Settings } from "../wire/settings.ts";
import { readSecrets, secretFilesOf } from "./secrets.ts";

let folder: string;
let pem: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-secrets-"));
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  pem = privateKey.export({ type: "pkcs1", format: "pem" });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string, mode = 0o600): void {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), mode);
}

function settingsOf(yaml: string): Settings {
  return checkSettings(`version: 1\n${yaml}`, "slipway.yaml");
}

const ALL = `listen: { webhooks: "127.0.0.1:0" }
forges:
  github: { app: { id: 1, privateKeyFile: app.pem }, webhook: { secretEnv: HOOK }, organizations: [acme] }
  gitlab: { tokenFile: token, organizations: [acme] }
database: { urlEnv: DATABASE_URL }
`;

test("readSecrets() reads files and variables without the newline at their ends", () => {
  write("app.pem", pem);
  write("token", "glpat-abc\r\n");
  const env = { HOOK: "one two\n", DATABASE_URL: "postgres://slipway:word@127.0.0.1/slipway" };
  const secrets = readSecrets(settingsOf(ALL), { folder, env });
  expect([...secrets.forges]).toEqual([
    ["github", { credential: pem.trimEnd(), webhook: "one two" }],
    ["gitlab", { credential: "glpat-abc" }],
  ]);
  expect(secrets.databaseUrl).toBe(env.DATABASE_URL);
  expect(secrets.warnings).toEqual([]);
});

// Those below /etc could be read in environments, which run as the service's own user where that is an ordinary one.
test("secretFilesOf() lists the files of all secrets, as they are on this machine", () => {
  expect(secretFilesOf(settingsOf(ALL), "/etc/slipway")).toEqual(["/etc/slipway/app.pem", "/etc/slipway/token"]);
  const more = settingsOf(
    ALL.replace("secretEnv: HOOK", "secretFile: hook").replace("urlEnv: DATABASE_URL", "urlFile: /run/url"),
  );
  expect(secretFilesOf(more, "/etc/slipway")).toEqual([
    ...["/etc/slipway/app.pem", "/etc/slipway/hook", "/etc/slipway/token", "/run/url"],
  ]);
});

test("readSecrets() complains of all that is missing or cannot be used at once, and repeats none of it", () => {
  write("app.pem", "hunter2\n");
  write("token", "hunter2\n", 0o644);
  write("two", "hunter2\nhunter3\n");
  const settings = settingsOf(
    ALL.replace(
      "database",
      "  more: { type: gitea, url: https://git.example, tokenFile: two, repositories: [a/b] }\n  none: { type: github, url: https://ghe.example, tokenFile: none, repositories: [a/b] }\n  dir: { type: gitlab, url: https://gl.example, tokenFile: ., repositories: [a/b] }\ndatabase",
    ),
  );
  let told = "";
  try {
    readSecrets(settings, { folder, env: { DATABASE_URL: "mysql://hunter2@x" } });
  } catch (error) {
    told = toldOf(error);
  }
  expect(told).not.toMatch(/hunter/);
  expect(told.replaceAll(folder, "<folder>")).toBe(`Cannot read the secrets that the settings name: 7 complaints
forges.github.webhook.secretEnv: the variable HOOK is not set
forges.github.app.privateKeyFile: <folder>/app.pem is no private key in PEM
forges.gitlab.tokenFile: <folder>/token is open to every user of the machine (mode 644): "chmod 600" it, and count it as stolen
forges.more.tokenFile: <folder>/two has more than one line
forges.none.tokenFile: <folder>/none cannot be read (ENOENT)
forges.dir.tokenFile: <folder> is no file
database.urlEnv: the variable DATABASE_URL is no URL that begins with postgres://`);
});

test("readSecrets() warns of files that a group can read", () => {
  write("token", "glpat-abc", 0o640);
  const settings = settingsOf("forges: { gitlab: { tokenFile: token, organizations: [acme] } }");
  expect(readSecrets(settings, { folder, env: {} }).warnings).toEqual([
    `forges.gitlab.tokenFile: ${join(folder, "token")} can be read by its whole group (mode 640)`,
  ]);
});
