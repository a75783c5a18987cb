/**
 * What goes on when a connection ends, and what ends with it.
 *
 * @module
 */
import { expect, test } from "vitest";
import { sshOnTerminal } from "../harness/terminal.ts";
import { until } from "../harness/wait.ts";
import { whyNotThere } from "./place.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";

/** Counts the processes inside whose program has this name. */
async function countOf(mark: string): Promise<number> {
  const ended = await service()
    .as("ada")
    .ssh([MAIN, `cat /proc/[0-9]*/comm 2>/dev/null | grep -cx ${mark}`]);
  return Number(ended.stdout);
}

async function mustEnd(mark: string): Promise<void> {
  await until(`the end of ${mark}`, async () => (await countOf(mark)) === 0, 3_000);
}

/** Puts a program of this name inside, of at most 15 characters: every place has a bash. */
async function putProgram(mark: string): Promise<void> {
  const lines = ["mkfifo /tmp/silent 2>/dev/null", `cp "$(command -v bash)" /tmp/${mark}`];
  expect(
    await service()
      .as("ada")
      .ssh([MAIN, lines.join("; ")]),
  ).toMatchObject({ exitCode: 0 });
}

/** A command line that runs it for long, as the one process: nobody ever writes to the pipe. */
const long = (mark: string): string => `/tmp/${mark} -c 'read -rt 1000 <>/tmp/silent'`;

test.for([
  { how: "nohup", line: (mark: string) => `nohup ${long(mark)} >/dev/null 2>&1 </dev/null &` },
  { how: "setsid", line: (mark: string) => `setsid ${long(mark)} >/dev/null 2>&1 </dev/null &` },
  { how: "& with its streams elsewhere", line: (mark: string) => `${long(mark)} >/dev/null 2>&1 </dev/null &` },
])("a process started with $how outlives its connection", async ({ how, line }) => {
  const mark = `stay-${how.slice(0, 5).trim()}`.replace(/\W/g, "-");
  await putProgram(mark);
  expect(
    await service()
      .as("ada")
      .ssh([MAIN, line(mark)]),
  ).toMatchObject({ exitCode: 0 });
  expect(await countOf(mark)).toBe(1);
});

test.for([
  { way: "is told to end", signal: "SIGTERM", args: [] },
  { way: "is killed", signal: "SIGKILL", args: [] },
  { way: "is killed, on a terminal", signal: "SIGKILL", args: ["-tt"] },
] as const)("a foreground process ends with its connection when ssh $way", async ({ way, signal, args }) => {
  const mark = `end-${way.replace(/\W+/g, "").slice(-10)}`;
  await putProgram(mark);
  // The shell waits for it, so that both have to go.
  const running = service()
    .as("ada")
    .startSsh([...args, MAIN, `echo up; ${long(mark)}; echo over`]);
  await running.untilOutput(/^up\r?\n/);
  await until("its start", async () => (await countOf(mark)) === 1);
  running.kill(signal);
  await running.ended;
  await mustEnd(mark);
});

test("all that a connection runs in the foreground ends with it, and nothing of another connection", async () => {
  const { startSsh } = service().as("ada");
  for (const mark of ["one", "other"]) await putProgram(mark);
  const [one, other] = ["one", "other"].map((mark) => startSsh([MAIN, `echo up; ${long(mark)} | cat`]));
  await Promise.all([one?.untilOutput(/up/), other?.untilOutput(/up/)]);
  one?.kill("SIGKILL");
  await mustEnd("one");
  expect(await countOf("other")).toBe(1);
  other?.kill();
  await mustEnd("other");
});

test("tmux outlives its connection, and a later one finds it as it was", async (ctx) => {
  const lacks = whyNotThere("tmux");
  if (lacks !== undefined) ctx.skip(lacks);
  const ada = service().as("ada");
  const first = sshOnTerminal(ada, ["-t", MAIN, "tmux", "new-session", "-s", "work"]);
  await first.untilOutput(/\$ /);
  first.type("echo in''side-tmux\r");
  await first.untilOutput(/inside-tmux/);
  first.kill("SIGKILL");
  await first.ended;
  const listed = await ada.ssh([MAIN, "tmux ls -F '#{session_name} #{session_attached}'"]);
  expect(listed.stdout).toBe("work 0\n");
  const second = sshOnTerminal(ada, ["-t", MAIN, "tmux attach -t work"]);
  await second.untilOutput(/inside-tmux/);
  second.type("exit\r");
  await second.untilOutput(/\[exited\]/);
  expect((await second.ended).exitCode).toBe(0);
});

test("a home folder and temporary files outlive connections", async () => {
  const { ssh } = service().as("ada");
  await ssh([MAIN, "echo home >~/kept; echo temporary >/tmp/kept"]);
  expect((await ssh([MAIN, "cat ~/kept /tmp/kept"])).stdout).toBe("home\ntemporary\n");
});

test("an environment is active while somebody is connected, and says how many", async () => {
  const { startSsh, lobby } = service().as("ada");
  const running = startSsh([MAIN, "echo up; cat"]);
  await running.untilOutput(/up/);
  const rows = JSON.parse((await lobby("ls", "--json")).stdout) as { phase: string; sessionCount: number }[];
  expect(rows).toMatchObject([{ phase: "active", sessionCount: 1 }]);
  running.stdin.end();
  await running.ended;
  await until("the session to be counted out", async () => {
    const [row] = JSON.parse((await lobby("ls", "--json")).stdout) as { sessionCount: number }[];
    return row?.sessionCount === 0;
  });
});
