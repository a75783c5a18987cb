/** `init.sh` as process 1, under each shell that `/bin/sh` may be. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { whyNoService, whyNot } from "../../../test/harness/needs.ts";
import { mustRun, start } from "../../../test/harness/program.ts";
import type { Running } from "../../../test/harness/program.ts";
import { until } from "../../../test/harness/wait.ts";

const why = whyNoService();
let folder = "";

beforeEach((ctx) => {
  if (why !== undefined) ctx.skip(why);
  folder = mkdtempSync(join(tmpdir(), "slipway-init-"));
  copyFileSync(join(import.meta.dirname, "init.sh"), join(folder, "init.sh"));
});

afterEach(() => {
  if (why === undefined) rmSync(folder, { recursive: true });
});

/** Starts it in namespaces of its own; descriptor 3 is its standard output. */
async function startInit(
  shell: string,
): Promise<{ init: Running; pid: number; inside: (line: string) => Promise<string> }> {
  const line = `exec 3>&1; exec ${shell} ${folder}/init.sh`;
  const init = start(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", line]);
  await init.untilOutput(/ready/);
  const child = (await mustRun(["ps", "--ppid", String(init.pid), "-o", "pid="])).trim();
  return {
    init,
    pid: Number(child),
    inside: (text) => mustRun(["nsenter", "--target", child, "--pid", "--mount", "sh", "-c", text]),
  };
}

test.each(["dash", "bash"])("init.sh reaps what is left to it under %s", async (shell) => {
  const lacks = whyNot(shell);
  if (lacks !== undefined) return;
  const { init, inside } = await startInit(shell);
  try {
    await inside("for i in 1 2 3 4 5; do (sleep 0.1 &); done; exit 0");
    // Process 1 itself waits for a sleep; the five and their parents have to go without a trace.
    const seen = async () => (await inside("ps -e -o pid=,stat=,comm=")).split("\n").map((line) => line.trim());
    const isLeft = (line: string) => line.includes(" Z") || line.endsWith(" sleep");
    const lines = await until("the reaping", async () => {
      const left = (await seen()).filter(isLeft);
      return left.length <= 1 && left;
    });
    expect(lines.filter((line) => line.includes(" Z"))).toEqual([]);
  } finally {
    init.kill("SIGKILL");
    await init.ended;
  }
});

test.each(["dash", "bash"])("init.sh ends everything in good order on SIGTERM under %s", async (shell) => {
  const lacks = whyNot(shell);
  if (lacks !== undefined) return;
  const { init, pid, inside } = await startInit(shell);
  try {
    const note = join(folder, "note");
    await inside(`setsid sh -c 'trap "echo bye > ${note}; exit" TERM; while :; do sleep 0.05; done' >/dev/null 2>&1 &`);
    await inside("setsid sleep 1000 >/dev/null 2>&1 &");
    const begun = performance.now();
    process.kill(pid, "SIGTERM");
    expect((await init.ended).exitCode).toBe(0);
    expect(performance.now() - begun).toBeLessThan(1_900);
    expect(existsSync(note)).toBe(true);
    expect(readFileSync(note, "utf8")).toBe("bye\n");
  } finally {
    init.kill("SIGKILL");
  }
});
