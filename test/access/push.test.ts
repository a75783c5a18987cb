import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeClient, readPublicKey, type Client } from "../harness/client.ts";
import { makeRepository } from "../harness/repositories.ts";
import { openTestService, type TestService } from "../harness/service.ts";
import { openSshd, type Sshd } from "../harness/sshd.ts";
import { until } from "../harness/wait.ts";
import { openForgeService, skipWithoutService } from "./open-forge-service.ts";

skipWithoutService();

test(
  "with a GitHub App a plain git push from inside works, by a token for that repository alone, until the right is gone",
  { timeout: 120_000 },
  async () => {
    await using world = await openForgeService({ github: { repos: ["shop", "vault"] } });
    const { github, service } = world;
    const ivy = service.as("ivy");
    await github.fill("acme/vault", { main: { "secret.txt": "s\n" } });
    for (const name of ["shop", "vault"]) github.world.setCollaborator(`acme/${name}`, "ivy", "push");
    await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
    const ca = await ivy.run([
      "sh",
      "-c",
      `ssh -F ${ivy.configFile} shop-main@slipway 'cat > ~/ca.pem' < ${github.caFile}`,
    ]);
    expect(ca.exitCode).toBe(0);

    // An environment of these tests has no way out but through the person's own client.
    const { hostname, port } = new URL(github.url);
    const wayOut = ["-R", `${port}:${hostname}:${port}`];
    const pushed = await ivy.ssh([
      ...wayOut,
      "shop-main@slipway",
      "export GIT_SSL_CAINFO=~/ca.pem && echo more >> README.md && git commit -qam more && git push -q origin HEAD:topic && echo pushed",
    ]);
    expect(pushed).toMatchObject({ exitCode: 0, stdout: "pushed\n" });
    const other = await ivy.ssh([
      ...wayOut,
      "shop-main@slipway",
      `GIT_SSL_CAINFO=~/ca.pem GIT_TERMINAL_PROMPT=0 git ls-remote ${github.url}/acme/vault.git`,
    ]);
    expect(other.exitCode).toBe(128);

    github.world.setCollaborator("acme/shop", "ivy", "pull");
    expect((await ivy.ssh(["vault-main@slipway", "true"])).exitCode).toBe(0);
    await until(
      "the right to be gone",
      async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 255,
      40_000,
    );
  },
);

/** Asks for a credential again and again, as a program does that somebody left behind. */
const LEFT_BEHIND = `cat > asker <<'END'
while :; do
  printf 'protocol=https\nhost=%s\npath=acme/shop.git\n\n' "$1" | GIT_TERMINAL_PROMPT=0 git credential fill > answer.new 2>&1
  mv answer.new answer; sleep 0.2
done
END
setsid nohup sh asker "$HOST" > /dev/null 2>&1 < /dev/null &
until grep -q ^password= answer 2> /dev/null; do sleep 0.1; done; cat answer`;

// Law: "removed … no new session, and live sessions cut". Programs inside go on, and the token that they hold pushed for up to an
// hour more.
test(
  "who is removed leaves no program behind that can push: it is given no token, and the one that it has is revoked",
  { timeout: 120_000 },
  async () => {
    await using world = await openForgeService({ webhooks: true });
    const { github, service } = world;
    const ivy = service.as("ivy");
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
    const { host } = new URL(github.url);
    const asked = await ivy.ssh(["shop-main@slipway", `HOST=${host}; ${LEFT_BEHIND}`]);
    const token = /^password=(ghs_\w+)$/m.exec(asked.stdout)?.[1] ?? "";
    expect(token).not.toBe("");
    const statusOf = async (): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${github.apiUrl}/repos/acme/shop`, { headers })).status;
    };
    expect(await statusOf()).toBe(200);
    const found = execFileSync("find", [join(service.stateFolder, "environments"), "-name", "answer"], {
      encoding: "utf8",
    });
    const answer = (): string => execFileSync("cat", [found.trim()], { encoding: "utf8" });
    expect(answer()).toContain(token);
    github.world.removeCollaborator("acme/shop", "ivy");
    await until("the token to be revoked", async () => (await statusOf()) === 401, 5_000);
    const refusal = (): string | undefined => /cannot push to acme\/shop.*/.exec(answer())?.[0];
    const told = await until("the helper to give nothing", refusal, 5_000);
    expect(told).toContain("ivy is no collaborator of acme/shop");
    expect(answer()).not.toContain("password=");
    expect(service.events("push.revoked")).toHaveLength(1);
    // Her account is as good as before, and lets her into the lobby.
    expect((await ivy.lobby("ls")).stdout).toContain("shop-main");
    for (const words of [
      ["log", "shop-main"],
      ["sleep", "shop-main"],
    ]) {
      const refused = await ivy.lobby(...words);
      expect(refused).toMatchObject({ exitCode: 77, stdout: "" });
      expect(refused.stderr).toContain("ivy is no collaborator of acme/shop");
    }
    expect(await ivy.lobby("rm", "shop-main", "--force")).toMatchObject({ exitCode: 0 });
    expect(service.log()).not.toContain(token);
  },
);

interface SshOrigin extends AsyncDisposable {
  readonly service: TestService;
  readonly sshd: Sshd;
  /** Of the bare repository. */
  readonly path: string;
}

/** A service whose repository is behind a stock sshd, which it reads with a key of its own, and ada with hers. */
async function openSshOrigin(): Promise<SshOrigin> {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "slipway-origin-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "shop.git");
  await makeRepository(path);
  const knownHosts = join(folder, "known_hosts");
  const deployer = await makeClient({
    ...{ name: "deploy", folder: join(folder, "deploy"), port: 1, knownHosts, keyTypes: ["ed25519"] },
  });
  const sshd = parts.use(await openSshd(join(folder, "sshd"), [deployer]));
  const url = `ssh://${userInfo().username}@127.0.0.1:${sshd.port}${path}`;
  const service = parts.use(
    await openTestService({
      people: { ada: {} },
      repositories: {},
      env: { GIT_SSH_COMMAND: `ssh -F ${deployer.configFile}` },
      settings: { repositories: { shop: { url } } },
    }),
  );
  appendFileSync(join(folder, "sshd/authorized_keys"), `${readPublicKey(service.as("ada").identityFile)}\n`);
  const owned = parts.move();
  return { service, sshd, path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Starts an agent with somebody's key. */
async function startAgent(client: Client): Promise<AsyncDisposable & { readonly socket: string }> {
  const socket = join(client.folder, "agent");
  const agent = client.start(["ssh-agent", "-D", "-a", socket]);
  const env = { SSH_AUTH_SOCK: socket };
  await until("the agent", async () => (await client.run(["ssh-add", "-l"], { env })).exitCode !== 2);
  expect(await client.run(["ssh-add", "-q", client.identityFile], { env })).toMatchObject({ exitCode: 0 });
  return {
    socket,
    [Symbol.asyncDispose]: async () => {
      agent.kill();
      await agent.ended;
    },
  };
}

test(
  "git push from inside to an origin by ssh goes by the agent that ssh -A forwards, and not without it",
  { timeout: 120_000 },
  async () => {
    await using world = await openSshOrigin();
    const { service, sshd, path } = world;
    const ada = service.as("ada");
    await using agent = await startAgent(ada);
    const env = { SSH_AUTH_SOCK: agent.socket };
    // An environment of these tests has no way out but through the person's own client.
    const wayOut = ["-R", `${sshd.port}:127.0.0.1:${sshd.port}`];
    const commit = `mkdir -p -m 700 ~/.ssh && echo '${sshd.knownHost}' > ~/.ssh/known_hosts &&
      echo more >> README.md && git commit --quiet --all --message more && git rev-parse HEAD`;
    const committed = await ada.ssh(["shop-main@slipway", commit], { env });
    expect(committed).toMatchObject({ exitCode: 0 });

    const push = "git push --quiet origin HEAD:refs/heads/topic && echo pushed";
    const topic = (): string =>
      execFileSync("git", ["-C", path, "for-each-ref", "--format=%(objectname)", "refs/heads/topic"], {
        encoding: "utf8",
      });
    const refused = await ada.ssh([...wayOut, "shop-main@slipway", push], { env });
    expect(refused).toMatchObject({ exitCode: 128, stdout: "" });
    expect(refused.stderr).toContain("Permission denied (publickey");
    expect(topic()).toBe("");

    const pushed = await ada.ssh(["-A", ...wayOut, "shop-main@slipway", push], { env });
    expect(pushed).toMatchObject({ exitCode: 0, stdout: "pushed\n" });
    expect(topic()).toBe(committed.stdout);
    const { stdout } = await ada.run(["ssh-keygen", "-lf", ada.identityFile]);
    const accepted = sshd
      .said()
      .split("\n")
      .filter((line) => line.startsWith("Accepted publickey"));
    // Before, the service read it by a key that is not hers.
    expect(accepted.filter((line) => line.includes(stdout.split(" ")[1] ?? "?"))).toHaveLength(1);
    expect(accepted.length).toBeGreaterThan(1);
  },
);
