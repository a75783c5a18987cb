/**
 * Each way to lose a right × each kind of live connection × told by webhook or found by polling: all of it is cut, with a
 * sentence, and nothing new is let in.
 *
 * The bounds are those of the promise: 2 s from the webhook, or the poll interval and an answer. What was measured is
 * printed for each kind, so that the slowest of a run on a quiet machine can be copied into docs/forges.md.
 *
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mustBeCut, openEveryKind } from "../faults/every-kind.ts";
import type { World } from "../forges/github/world.ts";
import { readPublicKey } from "../harness/client.ts";
import { oneIn } from "../harness/rounds.ts";
import { until } from "../harness/wait.ts";
import { whyNoService } from "../harness/needs.ts";
import { openForgeService, skipWithoutService, type ForgeService } from "./open-forge-service.ts";

skipWithoutService();

interface Cause {
  readonly what: string;
  /** Name of the repository that the sessions are in. */
  readonly repository: string;
  /** Gives ivy the right. */
  readonly give: (world: World, fullName: string) => void;
  /** Takes it away. */
  readonly take: (world: World, fullName: string) => void;
  readonly told: RegExp;
  /** Whether GitHub tells of it. */
  readonly isHooked: boolean;
}

const collaborate = (world: World, fullName: string): void => world.setCollaborator(fullName, "ivy", "push");

const join = (world: World, fullName: string): void => {
  const team = `acme/${fullName.split("/")[1]}`;
  world.addTeam(team);
  world.setTeamPermission(team, fullName, "push");
  world.addToTeam(team, "ivy");
};

const causes: readonly Cause[] = [
  {
    ...{
      what: "removed as a collaborator",
      repository: "direct",
      isHooked: true,
      told: /no collaborator of acme\/direct/,
    },
    give: collaborate,
    take: (world, fullName) => world.removeCollaborator(fullName, "ivy"),
  },
  {
    ...{ what: "lowered to reading", repository: "lowered", isHooked: true, told: /acme\/lowered/ },
    give: collaborate,
    take: (world, fullName) => world.setCollaborator(fullName, "ivy", "pull"),
  },
  {
    ...{ what: "taken out of the team", repository: "teamed", isHooked: true, told: /no collaborator of acme\/teamed/ },
    give: join,
    take: (world) => world.removeFromTeam("acme/teamed", "ivy"),
  },
  {
    ...{ what: "their team lost the repository", repository: "unteamed", isHooked: true, told: /acme\/unteamed/ },
    give: join,
    take: (world, fullName) => world.removeTeamPermission("acme/unteamed", fullName),
  },
  {
    ...{ what: "their team was deleted", repository: "disbanded", isHooked: true, told: /acme\/disbanded/ },
    give: join,
    take: (world) => world.deleteTeam("acme/disbanded"),
  },
  {
    ...{
      what: "removed from the organisation",
      repository: "orged",
      isHooked: true,
      told: /no collaborator of acme\/orged/,
    },
    give: join,
    take: (world) => world.removeMember("acme", "ivy"),
  },
  {
    ...{
      what: "the repository was archived",
      repository: "archived",
      isHooked: true,
      told: /acme\/archived is archived/,
    },
    give: collaborate,
    take: (world, fullName) => world.archive(fullName),
  },
  {
    ...{
      what: "the repository was transferred",
      repository: "moved",
      isHooked: true,
      told: /moved/,
    },
    give: collaborate,
    take: (world, fullName) => world.transfer(fullName, "elsewhere"),
  },
  {
    ...{
      what: "the repository was deleted",
      repository: "deleted",
      isHooked: true,
      told: /acme\/deleted/,
    },
    give: collaborate,
    take: (world, fullName) => world.deleteRepository(fullName),
  },
  {
    ...{
      what: "their key was deleted",
      repository: "keyless",
      isHooked: false,
      told: /not among the keys that github lists/,
    },
    give: collaborate,
    take: (world) => world.removeKey("ivy"),
  },
  {
    ...{
      what: "their account was suspended",
      repository: "suspended",
      isHooked: false,
      told: /suspended|no account ivy|not among the keys/,
    },
    give: collaborate,
    take: (world) => world.suspend("ivy"),
  },
];

const POLL_MS = 5_000;

/** Milliseconds from the change at the forge to the sentence, a row for each cause and a column for each kind. */
function tableOf(
  by: string,
  measured: readonly { readonly what: string; readonly msByKind: Readonly<Record<string, number>> }[],
): string {
  const kinds = Object.keys(measured[0]?.msByKind ?? {});
  const rows = [
    [`by ${by}, in ms`, ...kinds, "slowest"],
    ["---", ...kinds.map(() => "---"), "---"],
    ...measured.map(({ what, msByKind }) => {
      const times = kinds.map((kind) => Math.ceil(msByKind[kind] ?? NaN));
      return [what, ...times.map(String), String(Math.max(...times))];
    }),
  ];
  return rows.map((row) => `| ${row.join(" | ")} |\n`).join("");
}

describe.each([
  { by: "webhook", withinMs: 2_000 },
  // The interval, and the time for answers that come one after the other.
  { by: "poll", withinMs: POLL_MS + 2_000 },
])("by $by", ({ by, withinMs }) => {
  let opened: ForgeService | undefined;
  const measured: { readonly what: string; readonly msByKind: Readonly<Record<string, number>> }[] = [];

  beforeAll(async () => {
    if (whyNoService() !== undefined) return;
    const world = await openForgeService({
      webhooks: by === "webhook",
      // Webhooks have to do it by themselves.
      forge: { poll: by === "webhook" ? "10m" : `${POLL_MS / 1_000}s` },
      github: { repos: ["shop", ...causes.map(({ repository }) => repository)] },
    });
    world.github.world.addOrganization("elsewhere");
    for (const { repository } of causes) await world.github.fill(`acme/${repository}`, { main: { "a.txt": "a\n" } });
    opened = world;
  });
  afterAll(async () => {
    process.stdout.write(tableOf(by, measured));
    await opened?.[Symbol.asyncDispose]();
  });

  const mine = causes.filter(({ isHooked }) => isHooked || by === "poll");
  const title = "$what: every kind of connection is cut, and none comes back";
  test.for(mine)(title, { timeout: 90_000 }, async (cause, ctx) => {
    if (by === "poll") oneIn(3, mine.indexOf(cause), ctx); // each waits a poll interval; what follows is as by webhook
    if (opened === undefined) throw new Error("Cannot lose a right: the service is not there yet");
    const { github, service } = opened;
    const ivy = service.as("ivy");
    const fullName = `acme/${cause.repository}`;
    const login = `${cause.repository}-main`;
    cause.give(github.world, fullName);
    await until("ivy to get in", async () => (await ivy.ssh([`${login}@slipway`, "true"])).exitCode === 0, 30_000);
    const everyKind = await openEveryKind(ivy, login);
    cause.take(github.world, fullName);
    // As one group: one kind is verbose, and names the login before it is cut.
    const told = new RegExp(`(?:${cause.told.source}).*\\(session s-[a-z0-9]{8}\\)`);
    measured.push({ what: cause.what, msByKind: await mustBeCut(everyKind, told, withinMs) });
    const again = await ivy.ssh([`${login}@slipway`, "echo in"]);
    expect(again).toMatchObject({ exitCode: 255, stdout: "" });
    // As they were, for the next.
    if (cause.what.includes("key")) github.world.addKey("ivy", readPublicKey(ivy.identityFile));
    if (cause.what.includes("suspended")) github.world.suspend("ivy", false);
  });
});
