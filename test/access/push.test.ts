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
