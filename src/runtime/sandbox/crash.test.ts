/**
 * The service is killed with SIGKILL at random moments of everything it does to environments; the next one finds them
 * whole, or finishes or removes what was half made.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { start } from "../../../test/harness/program.ts";
import type { Told } from "../../../test/harness/programs/use-sandbox.ts";
import { isEveryRound } from "../../../test/harness/rounds.ts";
import { NEVER, openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";
import { openSeeded } from "../../../test/harness/seeded.ts";
import { until } from "../../../test/harness/wait.ts";
import type { EnvironmentSpec } from "../runtime.ts";

const why = whyNoService();
const PROGRAM = join(import.meta.dirname, "../../../test/harness/programs/use-sandbox.ts");
const ROUNDS = isEveryRound ? 20 : 6;

let sandbox: TestSandbox;

beforeAll(async () => {
  if (why === undefined) sandbox = await openTestSandbox();
});

afterAll(async () => {
  if (why === undefined) await sandbox[Symbol.asyncDispose]();
});

beforeEach((ctx) => {
  if (why !== undefined) ctx.skip(why);
});

function startService(specs: readonly EnvironmentSpec[], words: readonly string[], line = "true") {
  const { stateDir, gatewayKey } = sandbox.options;
  const told: Told = { stateDir, gatewayKey, network: "loopback", specs, start: { ...START, run: "sleep 7001" }, line };
  return start([process.execPath, PROGRAM, JSON.stringify(told), ...words]);
}

test(`an environment is whole or can be finished after SIGKILL at ${ROUNDS} random moments of all that is done to it`, async () => {
  const seeded = openSeeded("crash");
  const spec = sandbox.makeSpec({ limits: { processCount: 100 } });
  const words = ["create", "start", "run", "connect", "unsaved", "sleep", "unsaved", "start", "destroy"];
  const survived: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // Each step has its turn, however slow the machine is: it goes no further, and is killed after what is before it.
    const step = (2 * round) % words.length;
    const service = startService([spec], [...words.slice(0, step + 1), "stay"], "sleep 0.02");
    await service.untilOutput(new RegExp(["open", ...words.slice(0, step)].join("\\b[^]*^"), "m"));
    await sleep(seeded.between(0, 60));
    service.kill("SIGKILL");
    await service.ended;
    survived.push(`${words[step]}: ${service.stdout().trim().split("\n").at(-1)}`);
    await sandbox.reopen();
    const { power, checkedOut } = await sandbox.runtime.observe(spec.id);
    const unfinished = join(sandbox.stateDir, "environments", spec.id, "state.json");
    if (power !== "running") expect([round, existsSync(unfinished)]).toEqual([round, false]);
    if (power !== "running") expect(await leftOf(spec)).toEqual([]);
    if (power === "running") expect(checkedOut).toBe(true);
    if (round % 3 === 0) await sandbox.runtime.destroy(spec.id);
    if (round % 3 === 1) {
      await sandbox.up(spec);
      const { stdout, stderr } = await sandbox.ssh(spec.id, ["git status --porcelain && cat README.md"]);
      expect([round, survived.at(-1), stdout, stderr]).toEqual([round, survived.at(-1), "# hello\n", ""]);
    }
  }
  await sandbox.runtime.destroy(spec.id);
  expect(readdirSync(join(sandbox.stateDir, "environments"))).toEqual([]);
  expect(await sandbox.findLeftovers()).toEqual([]);
  process.stderr.write(`crash: ${survived.join("; ")}\n`);
}, 120_000);

/** Processes, groups and interfaces of an environment that does not run. Those of its last moment may take an instant. */
async function leftOf(spec: EnvironmentSpec): Promise<string[]> {
  return (await sandbox.findLeftovers()).filter((line) => line.includes(spec.id) || line.startsWith("process"));
}

test("a command under way ends with the service that runs it", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  const service = startService([spec], ["run"], "sleep 7002 & sleep 7003");
  await until("the command", () => count("sleep 700[23]") === 2);
  service.kill("SIGKILL");
  await until("its end", () => count("sleep 700[23]") === 0);
  await sandbox.reopen();
  expect((await sandbox.runtime.observe(spec.id)).power).toBe("running");
  expect(readdirSync(join(sandbox.stateDir, "environments", spec.id, "inside/commands"))).toEqual([]);
});

test("what a person runs in the background goes on when the service dies, and what is in the foreground ends with the next", async () => {
  const spec = sandbox.makeSpec();
  const service = startService([spec], ["create", "start", "stay"]);
  await service.untilOutput(/start t/);
  await sandbox.reopen();
  const line = "setsid sleep 7004 >/dev/null 2>&1 & sleep 7005; true";
  const ssh = await sandbox.startSsh(spec.id, [line]);
  await until("the commands", () => count("sleep 700[45]") === 2);
  service.kill("SIGKILL");
  await sandbox.reopen();
  await until("the hang-up", () => count("sleep 7005") === 0);
  expect(count("sleep 7004")).toBe(1);
  expect(count("sleep 7001")).toBe(1);
  ssh.kill();
  await sandbox.runtime.sleep(spec.id);
  await sandbox.runtime.start(spec, START, () => {}, NEVER);
});

/** How many processes have this command line. */
function count(pattern: string): number {
  const wanted = new RegExp(`^${pattern} ?$`);
  const lines = readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return ""; // it ended meanwhile
      }
    });
  return lines.filter((line) => wanted.test(line)).length;
}
