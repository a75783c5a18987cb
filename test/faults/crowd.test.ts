/**
 * Many at once: environments made side by side, connections to one that is not there yet, and a reader that stops while
 * others go on.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { openSeeded } from "../harness/seeded.ts";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";

const BRANCHES = Array.from({ length: 10 }, (_, at) => `b${at}`);
const seeded = openSeeded("crowd");
const service = useService({
  repositories: { hello: { branches: [...BRANCHES, "cold"] } },
  limits: { unauthenticated: { total: 256, perAddress: 64 } },
  network: "nat",
});

test("30 connections at once to an environment that is not there yet make one", async () => {
  const { ssh } = service().as("ada");
  const command = "readlink /proc/self/ns/pid; cat .made";
  const ended = await Promise.all(
    Array.from({ length: 30 }, () => ssh(["hello-cold@slipway", command], { timeoutMs: 60_000 })),
  );
  expect(ended.map(({ exitCode }) => exitCode)).toEqual(ended.map(() => 0));
  expect(new Set(ended.map(({ stdout }) => stdout)).size).toBe(1);
  expect(service().events("environment.added")).toHaveLength(1);
  expect(service().events("environment.opened")).toHaveLength(1);
  expect(readdirSync(join(service().stateFolder, "environments"))).toHaveLength(1);
  expect(new Set(ended.map(({ stderr }) => stderr.includes("checking out cold")))).toContain(true);
}, 90_000);

test("20 environments made at the same time by two people are 20, each whole and apart from the others", async () => {
  const wanted = ["ada", "bob"].flatMap((person) => BRANCHES.map((branch) => ({ person, branch })));
  const command = "git status --porcelain; git branch --show-current; id -u; readlink /proc/self/ns/pid; hostname";
  const made = await Promise.all(
    wanted.map(async ({ person, branch }) => {
      const ended = await service()
        .as(person)
        .ssh([`hello-${branch}@slipway`, command], { timeoutMs: 60_000 });
      const [shown, uid, namespace, hostname] = ended.stdout.split("\n");
      return { branch, exitCode: ended.exitCode, shown, uid, namespace, hostname };
    }),
  );
  for (const { branch, exitCode, shown, hostname } of made) {
    expect({ exitCode, shown, hostname }).toEqual({ exitCode: 0, shown: branch, hostname: `hello-${branch}` });
  }
  expect(new Set(made.map(({ uid }) => uid)).size).toBe(wanted.length);
  expect(new Set(made.map(({ namespace }) => namespace)).size).toBe(wanted.length);
  // And are gone at once.
  const removed = await Promise.all(
    wanted.map(async ({ person, branch }) => service().as(person).lobby("rm", `hello-${branch}`, "--force")),
  );
  expect(removed.map(({ exitCode }) => exitCode)).toEqual(wanted.map(() => 0));
}, 120_000);

test("a reader that stops holds back its own program and nobody else", async () => {
  const ada = service().as("ada");
  const bytes = seeded.bytes(64 * 2 ** 20);
  await ada.ssh(["hello-cold@slipway", "true"], { timeoutMs: 60_000 });
  const stopped = ada.startSsh(["hello-cold@slipway", "echo up; cat /dev/zero"]);
  onTestFinished(() => stopped.kill("SIGKILL"));
  await stopped.untilOutput(/up/);
  process.kill(stopped.pid, "SIGSTOP");
  /** What its program could write, all of which somebody holds for it: the kernel, the inner sshd, or the service. */
  const writtenBytes = async (): Promise<number> => {
    const { stdout } = await ada.ssh(["hello-cold@slipway", "cat /proc/$(pgrep -x cat)/io"]);
    return Number(/^wchar: (\d+)$/m.exec(stdout)?.[1]);
  };
  await until("its windows to be full", async () => {
    const first = await writtenBytes();
    await sleep(100);
    return first === (await writtenBytes());
  });
  // Held back by the other it would never end. How fast it is depends on what else the machine does: that is for `bench/`.
  const sum = await ada.ssh(["hello-cold@slipway", "sha256sum"], { input: bytes, timeoutMs: 60_000 });
  expect(sum.stdout.slice(0, 64)).toBe(createHash("sha256").update(bytes).digest("hex"));
  const written = await writtenBytes();
  process.stderr.write(
    `crowd: 64 MiB up beside a reader that stopped ${Math.round(sum.ms)} ms, its program wrote ${(written / 2 ** 20).toFixed(1)} MiB\n`,
  );
  // Little more than the client's window, 2 MiB. What else a service may need is weighed in `test/hostile/memory.test.ts`.
  expect(written).toBeLessThan(8 * 2 ** 20);
}, 90_000);
