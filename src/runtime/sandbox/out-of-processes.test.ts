import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { NEVER, openTestSandbox } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";
import { until } from "../../../test/harness/wait.ts";

const why = whyNoService();
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

/** Takes every process that becomes free, without ever being busy. */
const TAKE_ALL = `perl -e 'while (1) { my $p = fork; if (!defined $p) { select undef, undef, undef, 0.02 } elsif (!$p) { sleep 1000; exit } }'`;

test("an environment out of processes says so to who enters, and sleep() makes it usable again", async (ctx) => {
  if (sandbox.runtime.lacks.some((lack) => lack.includes("number of processes")))
    ctx.skip("no limit on processes here");
  const spec = sandbox.makeSpec({ limits: { processCount: 60 } });
  await sandbox.up(spec);
  const calm = await sandbox.runtime.connect(spec.id, { sessionId: "calm", env: {} }, NEVER);
  expect(calm.trouble?.()).toBeUndefined();
  await calm.end();
  expect(await sandbox.ssh(spec.id, [`setsid ${TAKE_ALL} </dev/null >/dev/null 2>&1 &`])).toMatchObject({
    exitCode: 0,
  });
  const told = await until("a refusal", async () => {
    const reach = await sandbox.runtime.connect(spec.id, { sessionId: "late", env: {} }, NEVER);
    const trouble = reach.trouble?.();
    await reach.end();
    return trouble;
  });
  expect(told).toContain("ssh slip@host sleep <login>");
  expect((await sandbox.ssh(spec.id, ["true"])).exitCode).toBe(255);
  await expect(sandbox.runtime.unsaved(spec.id)).rejects.toThrow("Cannot look for unsaved work");
  await sandbox.runtime.sleep(spec.id);
  expect(await sandbox.runtime.unsaved(spec.id)).toMatchObject({ changedCount: 0, commitCount: 0 });
  await sandbox.up(spec);
  expect(await sandbox.ssh(spec.id, ["true"])).toMatchObject({ exitCode: 0 });
});
