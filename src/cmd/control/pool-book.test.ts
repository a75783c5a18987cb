import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordingLog } from "../../../test/fakes/recording-log.ts";
import { Fault } from "../../base/fault.ts";
import type { LobbyPools } from "../../gateway/lobby/commands.ts";
import type { PoolExplanation, PoolRow } from "../../wire/lobby.ts";
import { explainPool, listPools } from "../pool-commands.ts";
import { stateFolder } from "../state-folder.ts";
import { type ControlHandlers, openControl } from "./open-control.ts";
import { makePoolBook } from "./pool-book.ts";

const row: PoolRow = { name: "shop", repository: "shop", wanted: 5, ready: 5, filling: 0, failed: 0 };
const explanation: PoolExplanation = {
  ...row,
  ...{ sinceStart: { hits: 0, misses: 0 }, lastDay: { hits: 0, misses: 0 }, missesBecause: {}, members: [] },
  ...{ idleUsd: 0, idleUsdPerHour: 0 },
};
const pools: LobbyPools = {
  list: async () => [row],
  explain: async (name) => {
    if (name === "shop") return explanation;
    throw new Fault("usage.wrong", "Cannot explain", { told: "there is no such pool" });
  },
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-pools-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs a command against a service that has these pools. @returns what it prints */
async function run(command: typeof listPools, args: string[], { json = false, has = true } = {}): Promise<string> {
  const state = stateFolder({ SLIPWAY_HOME: folder }, folder);
  const none = async (): Promise<never> => Promise.reject(new Error("Cannot answer: the test does not ask this"));
  const handlers: ControlHandlers = {
    ...{ "/access/explain": none, "/access/list": none, "/authorized-keys": none, "/garbage/sweep": none },
    ...makePoolBook(has ? pools : undefined),
  };
  await using control = await openControl({ path: state.control, handlers, log: recordingLog().log });
  expect(control).toBeDefined();
  const printed: string[] = [];
  await command(state, { args, options: { json } }, (line) => printed.push(line));
  return printed.join("\n");
}

test("slip pool ls prints a row for each pool of the running service", async () => {
  expect(await run(listPools, [])).toBe("shop\tshop\tany\t5/5 ready\t0 filling\t0 failed\t-");
  expect(JSON.parse(await run(listPools, [], { json: true }))).toEqual([row]);
  expect(await run(listPools, [], { has: false })).toBe("");
});

test("slip pool explain prints what is known of a pool, or why nothing is", async () => {
  expect(await run(explainPool, ["shop"])).toContain("members\t5 ready of 5 wanted, 0 filling, 0 failed\n");
  expect(JSON.parse(await run(explainPool, ["shop"], { json: true }))).toEqual(explanation);
  await expect(run(explainPool, ["nope"])).rejects.toMatchObject({
    code: "usage.wrong",
    told: "there is no such pool",
  });
  await expect(run(explainPool, ["shop"], { has: false })).rejects.toMatchObject({ code: "usage.wrong" });
});
