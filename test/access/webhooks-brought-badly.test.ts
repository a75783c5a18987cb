/**
 * Webhooks of an App, and those of an organisation beside a token, brought twice, late, in another order and again later: each
 * is only a reason to ask, so who was removed is out, and who may go on does. Polling is too rare here to help.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { until } from "../harness/wait.ts";
import { openForgeService, skipWithoutService } from "./open-forge-service.ts";

skipWithoutService();

const CUT_MS = 2_000;
const OUT = /no collaborator of acme\/shop.*\(session s-/;

test.each([
  { name: "an App", byToken: false },
  { name: "an organisation, beside a token", byToken: true },
])(
  "webhooks of $name that come twice, late, in reverse and again do as one that comes well",
  { timeout: 120_000 },
  async ({ byToken }) => {
    await using opened = await openForgeService({ webhooks: true, byToken, forge: { poll: "10m" } });
    const { service, github } = opened;
    const { courier, world, hooks } = github;
    const ivy = service.as("ivy");
    const give = (): void => world.setCollaborator("acme/shop", "ivy", "push");
    const take = (): void => world.removeCollaborator("acme/shop", "ivy");
    const enter = async () => {
      give();
      await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
      const live = ivy.startSsh(["shop-main@slipway", "echo up; cat"], { timeoutMs: 60_000 });
      await live.untilOutput(/up/);
      return live;
    };

    const twice = await enter();
    courier.treat({ copyCount: 3 });
    take();
    await twice.untilError(OUT, CUT_MS);
    courier.treat({});

    const late = await enter();
    courier.treat({ delayMs: 1_500 });
    take();
    await late.untilError(OUT, 1_500 + CUT_MS);
    courier.treat({});

    const reversed = await enter();
    await courier.settled();
    courier.hold();
    take();
    give();
    take();
    courier.release("reversed");
    await reversed.untilError(OUT, CUT_MS);

    // Again, when they are not true any more.
    await courier.settled();
    const all = [...courier.deliveries];
    const ofEvent = (event: string): string[] => all.filter((one) => one.event === event).map(({ id }) => id);
    expect(ofEvent("member.added").length).toBeGreaterThan(0);
    for (const id of ofEvent("member.added")) hooks.redeliver(id);
    await courier.settled();
    expect(await ivy.ssh(["shop-main@slipway", "echo in"])).toMatchObject({ exitCode: 255, stdout: "" });
    const good = await enter();
    expect(ofEvent("member.removed").length).toBeGreaterThan(0);
    for (const id of ofEvent("member.removed")) hooks.redeliver(id);
    await courier.settled();
    await sleep(CUT_MS);
    good.stdin.end("still here\n");
    expect(await good.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
    expect(courier.deliveries.filter(({ status }) => status !== 202)).toEqual([]);
  },
);
