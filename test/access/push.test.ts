import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
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
