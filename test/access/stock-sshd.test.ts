/**
 * The same people on a stock OpenSSH server: by its AuthorizedKeysCommand and by files, each login with its routing, and
 * nobody in whom the forge has taken out.
 *
 * @module
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, type TestContext } from "vitest";
import { authorizedKeysLines } from "../../src/policy/authorized-keys-lines.ts";
import { makeKey, readPublicKey } from "../harness/client.ts";
import { whyNoService } from "../harness/needs.ts";
import type { Ended } from "../harness/program.ts";
import type { TestService } from "../harness/service.ts";
import { openSshd, type Sshd } from "../harness/sshd.ts";
import { until } from "../harness/wait.ts";
import { openForgeService } from "./open-forge-service.ts";

const SLIP = join(import.meta.dirname, "../../src/cmd/slip.ts");
const USER = userInfo().username;

/** Says who came, where to, and what they asked for. */
const COMMAND = `printf '%s\\n' "$SLIPWAY_PERSON" "$SLIPWAY_REPOSITORY" "$SSH_ORIGINAL_COMMAND" {login} {repository} {user}`;

/** Below nothing that others may write to, as sshd has it: sshd_config(5), StrictModes. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(whyNoService() === undefined ? "/run/slipway-stock-" : join(tmpdir(), "slipway-stock-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function skipWhere(context: TestContext): void {
  const why = whyNoService();
  if (why !== undefined) context.skip(why);
}

function settingsFor(users: Readonly<Record<string, string>>, more: Readonly<Record<string, unknown>> = {}) {
  return { authorizedKeys: { command: COMMAND, users, ...more } };
}

/** Opens a stock sshd and makes it known to everybody at their laptops. */
async function openStock(service: TestService, settings: readonly string[]): Promise<Sshd> {
  const shared = ["StrictModes yes", "PermitUserEnvironment SLIPWAY_*"];
  const sshd = await openSshd(join(folder, "sshd"), [], [...shared, ...settings]);
  appendFileSync(service.knownHosts, `${sshd.knownHost}\n`);
  return sshd;
}

async function loginOf(
  service: TestService,
  name: string,
  { port }: Sshd,
  more: readonly string[] = [],
): Promise<Ended> {
  return service.as(name).ssh(["-p", String(port), ...more, `${USER}@127.0.0.1`, "git  status"]);
}

function expectedFor(id: number, login: string): string {
  return [`github.${id}`, "acme/shop", "git  status", login, "acme/shop", USER, ""].join("\n");
}

const REFUSED = { exitCode: 255, stderr: expect.stringContaining("Permission denied (publickey") as string };

test(
  "slip authorized-keys, as AuthorizedKeysCommand, lets in who is a collaborator now, restricted and routed",
  { timeout: 120_000 },
  async (context) => {
    skipWhere(context);
    await using world = await openForgeService({ settings: settingsFor({ [USER]: "acme/shop" }), webhooks: true });
    const { github, service } = world;
    const command = `/usr/bin/env SLIPWAY_HOME=${service.stateFolder} ${process.execPath} ${SLIP} authorized-keys --user %u`;
    await using sshd = await openStock(service, [
      "AuthorizedKeysFile none",
      `AuthorizedKeysCommand ${command}`,
      "AuthorizedKeysCommandUser root",
    ]);
    expect(await loginOf(service, "ivy", sshd)).toMatchObject(REFUSED);
    github.world.setCollaborator("acme/shop", "ivy", "push");
    const ivy = await until("ivy to be let in", async () => {
      const login = await loginOf(service, "ivy", sshd);
      return login.exitCode === 0 && login;
    });
    expect(ivy.stdout).toBe(expectedFor(github.world.user("ivy").id, "ivy"));
    expect(await loginOf(service, "max", sshd)).toMatchObject(REFUSED);
    const through = await loginOf(service, "ivy", sshd, ["-W", `127.0.0.1:${sshd.port}`]);
    expect(through.stderr).toContain("administratively prohibited");
    github.world.removeCollaborator("acme/shop", "ivy");
    await until("ivy to be refused", async () => (await loginOf(service, "ivy", sshd)).exitCode === 255);
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await until("ivy to be let in again", async () => (await loginOf(service, "ivy", sshd)).exitCode === 0);
    await service.stop();
    expect(await loginOf(service, "ivy", sshd)).toMatchObject(REFUSED);
    const asked = await service.as("root").run([process.execPath, SLIP, "authorized-keys", "--user", USER], {
      env: { SLIPWAY_HOME: service.stateFolder },
    });
    expect(asked).toMatchObject({ exitCode: 69, stdout: "" });
    expect(asked.stderr).toMatch(
      /^slip: Cannot ask the service: no service answers on \S+; SLIPWAY_HOME names [^\n]+\n$/,
    );
  },
);

test(
  "the files of keys follow the forge: each user its own repository's people, all of them, and empty when the last one goes",
  { timeout: 120_000 },
  async (context) => {
    skipWhere(context);
    const files = join(folder, "keys");
    // GitHub gives 30 on a page unless asked for more, and 100 at most: docs.github.com/en/rest, "Pagination".
    const crowd = Array.from({ length: 130 }, (_, at) => `worker-${at}`);
    await using world = await openForgeService({
      github: { org: "acme", repos: ["shop", "site"], people: ["ivy", "max", ...crowd].map((login) => ({ login })) },
      settings: settingsFor({ [USER]: "acme/shop", other: "acme/site" }, { folder: files }),
      webhooks: true,
    });
    const { github, service } = world;
    await using sshd = await openStock(service, [`AuthorizedKeysFile ${files}/%u`]);
    const keyCount = (user: string): number =>
      readFileSync(join(files, user), "utf8").match(/ssh-ed25519 /g)?.length ?? 0;
    await until("files", () => statSync(join(files, "other")).size === 0, 20_000);
    expect(await loginOf(service, "ivy", sshd)).toMatchObject(REFUSED);

    github.world.setCollaborator("acme/shop", "ivy", "push");
    github.world.setCollaborator("acme/site", "max", "push");
    await until("both files", () => keyCount(USER) === 1 && keyCount("other") === 1);
    expect(statSync(join(files, USER))).toMatchObject({ uid: 0, mode: 0o100644 });
    expect((await loginOf(service, "ivy", sshd)).stdout).toBe(expectedFor(github.world.user("ivy").id, "ivy"));
    expect(await loginOf(service, "max", sshd)).toMatchObject(REFUSED);

    const removedAt = performance.now();
    github.world.removeCollaborator("acme/shop", "ivy");
    await until("the file to be empty", () => statSync(join(files, USER)).size === 0);
    expect(performance.now() - removedAt).toBeLessThan(2_000);
    expect(await loginOf(service, "ivy", sshd)).toMatchObject(REFUSED);
    expect(keyCount("other")).toBe(1);

    const keys = join(folder, "key");
    await makeKey(keys, "ed25519", "worker");
    const [type = "", blob = ""] = readPublicKey(keys).split(" ");
    for (const [at, login] of crowd.entries()) {
      const bytes = Buffer.from(blob, "base64");
      bytes.writeUInt32BE(at, bytes.length - 4);
      github.world.addKey(login, `${type} ${bytes.toString("base64")}`);
      github.world.setCollaborator("acme/shop", login, "push");
    }
    await until("everybody's key", () => keyCount(USER) === crowd.length, 60_000);
  },
);

test(
  "a file of keys that outlives its service lets nobody in beyond the grace time",
  { timeout: 60_000 },
  async (context) => {
    skipWhere(context);
    const files = join(folder, "keys");
    await using world = await openForgeService();
    const { service } = world;
    await using sshd = await openStock(service, [`AuthorizedKeysFile ${files}/%u`]);
    const [type = "", key = ""] = readPublicKey(service.as("ivy").identityFile).split(" ");
    mkdirSync(files);
    const write = (expiresAt: number): void => {
      const line = { user: USER, repository: "acme/shop", command: "echo in", allow: [] };
      const lines = authorizedKeysLines([{ person: "github.1", login: "ivy", type, key, expiresAt }], line);
      writeFileSync(join(files, USER), `${lines.join("\n")}\n`, { mode: 0o644 });
    };
    write(Date.now() + 60_000);
    expect((await loginOf(service, "ivy", sshd)).stdout).toBe("in\n");
    write(Date.now() - 1_000);
    expect(await loginOf(service, "ivy", sshd)).toMatchObject(REFUSED);
  },
);
