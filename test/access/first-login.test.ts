import { expect, test } from "vitest";
import { openForgeService, skipWithoutService } from "./open-forge-service.ts";

skipWithoutService();

test(
  "a collaborator of a connected repository gets in at once, with a key that only the forge knows",
  { timeout: 120_000 },
  async () => {
    await using world = await openForgeService();
    const { github, service } = world;
    const ivy = service.as("ivy");
    const stranger = await ivy.ssh(["shop-main@slipway", "true"]);
    expect(stranger).toMatchObject({ exitCode: 255 });
    expect(stranger.stderr).toContain("Permission denied (publickey)");
    github.world.setCollaborator("acme/shop", "ivy", "push");
    const first = await ivy.ssh([
      "shop-main@slipway",
      "cat README.md; echo $SLIPWAY_PERSON; git remote get-url origin",
    ]);
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.stdout.split("\n").slice(0, 2)).toEqual(["# shop", "ivy"]);
    const whoami = JSON.parse((await ivy.lobby("whoami", "--json")).stdout) as unknown;
    expect(whoami).toMatchObject({ name: "ivy", keyFrom: "github", account: { login: "ivy", state: "active" } });
    // Somebody else's key and account open nothing.
    expect(await service.as("max").ssh(["shop-main@slipway", "true"])).toMatchObject({ exitCode: 255 });
  },
);
