/**
 * Faults of the service itself beside a cluster that is well: killed at any moment, with a clock that is hours off, and with
 * a twin that takes itself for the same service.
 *
 * @module
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { openSeeded } from "../../harness/seeded.ts";
import { until } from "../../harness/wait.ts";
import { askControl } from "../ask-control.ts";
import { LATE } from "../late.ts";
import { startTwin } from "./start-twin.ts";
import { HOOK_MS, lobby, openFaulty, SLOW_MS, tellLog, untilNoneLeft, useFaulty } from "./use-faulty.ts";

const seeded = openSeeded("kubernetes-service-faults");
const faulty = useFaulty({ repositories: { plain: { definition: "{}", branches: ["other"] } } });

/** A cold start takes some two seconds on a calm machine. */
const ROUNDS = [seeded.between(100, 800), seeded.between(800, 2_000), seeded.between(2_000, 4_000)];

test.for(ROUNDS)(
  "a service killed %i ms into a first login has one environment, or none",
  { timeout: HOOK_MS },
  async (afterMs) => {
    const { service, namespaces } = faulty();
    const ada = service.as("ada");
    const login = ada.startSsh(["plain-main@slipway", "true"], { timeoutMs: SLOW_MS });
    await sleep(afterMs);
    await service.kill9();
    await login.ended;
    await service.restart();
    const next = await ada.ssh(["plain-main@slipway", "git status --porcelain && echo whole"], { timeoutMs: SLOW_MS });
    expect(next).toMatchObject({ exitCode: 0, stdout: "whole\n" });
    await until("what was half made to go", async () => (await namespaces()).length === 1, SLOW_MS);
    const removed = await lobby(ada, "rm", "plain-main", "--force");
    expect(removed.exitCode).toBe(0);
    await untilNoneLeft(faulty());
  },
);

test(
  "a service killed in the middle of a transfer ends it loudly, and what runs inside goes on",
  { timeout: HOOK_MS },
  async () => {
    const { service, namespaces } = faulty();
    const ada = service.as("ada");
    const begin = "nohup sleep 100000 >/dev/null 2>&1 & echo $! >~/pid";
    expect((await ada.ssh(["plain-main@slipway", begin], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    const transfer = ada.startSsh(["plain-main@slipway", "echo begun; cat /dev/zero"], { timeoutMs: SLOW_MS });
    await transfer.untilOutput(/begun/);
    await service.kill9();
    expect((await transfer.ended).exitCode).toBe(255);
    await service.restart();
    const next = await ada.ssh(["plain-main@slipway", "kill -0 $(cat ~/pid) && echo alive"], { timeoutMs: SLOW_MS });
    expect(next).toMatchObject({ exitCode: 0, stdout: "alive\n" });
    expect(await namespaces()).toHaveLength(1);
  },
);

test.for([7, -7])(
  "nothing depends on the clock of the service, which may be %i hours off",
  { timeout: HOOK_MS },
  async (hours) => {
    const skewed = await openFaulty({
      repositories: { plain: { definition: "{}" } },
      mayLogErrors: false,
      env: {
        NODE_OPTIONS: `--import=${join(import.meta.dirname, "skewed-clock.ts")}`,
        SLIPWAY_TEST_SKEW_MS: String(hours * 3_600_000),
      },
    });
    await using service = skewed.service;
    tellLog(service);
    const [started] = service.events("service.started");
    expect(Date.parse(String(started?.["time"])) - Date.now()).toBeCloseTo(hours * 3_600_000, -6);
    const ada = service.as("ada");
    expect((await ada.ssh(["plain-main@slipway", "echo mine >kept"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    expect((await lobby(ada, "sleep", "plain-main")).exitCode).toBe(0);
    const woken = await ada.ssh(["plain-main@slipway", "cat kept"], { timeoutMs: SLOW_MS });
    expect(woken).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    const removed = await lobby(ada, "rm", "plain-main", "--force");
    expect(removed.exitCode).toBe(0);
    await untilNoneLeft(skewed);
  },
);

test(
  "a twin on a copy of the state is refused what the other went on with, and destroys nothing",
  { timeout: HOOK_MS },
  async () => {
    const { service, namespaces } = faulty();
    const ada = service.as("ada");
    const enter = (login: string) => ada.ssh([`${login}@slipway`, "cat kept"], { timeoutMs: SLOW_MS });
    const made = await ada.ssh(["plain-main@slipway", "echo mine >kept"], { timeoutMs: SLOW_MS });
    expect(made.exitCode).toBe(0);
    await service.stop();
    const copy = join(service.folder, "twin");
    cpSync(service.stateFolder, copy, { recursive: true });
    await service.restart();
    // The twin has no record of this one, in which nobody has any work.
    expect((await ada.ssh(["plain-other@slipway", "true"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    const before = await namespaces();
    expect(before).toHaveLength(2);

    // To it everything is an hour old, so that it is not for its youth that anything is left alone.
    await using twin = await startTwin(service, copy, LATE);
    // The one goes on with it; then it sleeps, so that the twin would have to wake it.
    for (let round = 0; round < 2; round++) {
      expect((await lobby(ada, "sleep", "plain-main")).exitCode).toBe(0);
      if (round === 0) expect(await enter("plain-main")).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    }
    const refused = await twin.ssh(ada, ["plain-main@slipway", "true"]);
    expect(refused.exitCode).toBe(255);
    expect(refused.stderr).toMatch(/another Slipway service has gone on with this environment/);
    // It deleted the namespace with the work of the other in it, as `--force` had it destroy what its record named.
    const removal = await twin.ssh(ada, ["slip@slipway", "rm", "plain-main", "--force"]);
    expect(removal.exitCode).not.toBe(0);
    expect(removal.stderr).toMatch(/another Slipway service has gone on with this environment/);
    expect(await askControl(twin, "/garbage/sweep", { isDry: false })).toEqual({ rows: [], away: [] });
    expect(await enter("plain-main")).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    expect((await ada.ssh(["plain-other@slipway", "true"])).exitCode).toBe(0);
    expect(await namespaces()).toEqual(before);
  },
);
