/**
 * What goes on when a connection ends, and what ends with it.
 *
 * @module
 */
import { expect, test } from "vitest";
import { sshOnTerminal } from "../harness/terminal.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";

/** Counts the processes inside that were started with this mark as their name. */
async function countOf(mark: string): Promise<number> {
  const ended = await service()
    .as("ada")
    .ssh([MAIN, `pgrep -cx ${mark}`]);
  return Number(ended.stdout);
}

async function mustEnd(mark: string): Promise<void> {
  await until(`the end of ${mark}`, async () => (await countOf(mark)) === 0, 3_000);
}

/** A command line that runs `sleep` for long under another name, of at most 15 characters. */
const named = (mark: string): string => `bash -c 'exec -a ${mark} sleep 1000'`;

test.for([
  { how: "nohup", line: (mark: string) => `nohup ${named(mark)} >/dev/null 2>&1 </dev/null &` },
  { how: "setsid", line: (mark: string) => `setsid -f ${named(mark)} >/dev/null 2>&1 </dev/null` },
  { how: "& with its streams elsewhere", line: (mark: string) => `${named(mark)} >/dev/null 2>&1 </dev/null &` },
])("a process started with $how outlives its connection", async ({ how, line }) => {
  const mark = `stay-${how.slice(0, 5).trim()}`.replace(/\W/g, "-");
  const { ssh } = service().as("ada");
  expect(
    await ssh([MAIN, `cp /usr/bin/sleep /tmp/${mark}; ${line(mark).replace("sleep 1000", `/tmp/${mark} 1000`)}`]),
  ).toMatchObject({ exitCode: 0 });
  expect(await countOf(mark)).toBe(1);
});

test.for([
  { way: "is told to end", signal: "SIGTERM", args: [] },
  { way: "is killed", signal: "SIGKILL", args: [] },
  { way: "is killed, on a terminal", signal: "SIGKILL", args: ["-tt"] },
] as const)("a foreground process ends with its connection when ssh $way", async ({ way, signal, args }) => {
  const mark = `end-${way.replace(/\W+/g, "").slice(-10)}`;
  const { ssh, startSsh } = service().as("ada");
  await ssh([MAIN, `cp /usr/bin/sleep /tmp/${mark}`]);
  // The shell waits for it, so that both have to go.
  const running = startSsh([...args, MAIN, `echo up; /tmp/${mark} 1000; echo over`]);
  await running.untilOutput(/^up\r?\n/);
  expect(await countOf(mark)).toBe(1);
  running.kill(signal);
  await running.ended;
  await mustEnd(mark);
});

test("all that a connection runs in the foreground ends with it, and nothing of another connection", async () => {
  const { ssh, startSsh } = service().as("ada");
  await ssh([MAIN, "cp /usr/bin/sleep /tmp/one; cp /usr/bin/sleep /tmp/other"]);
  const [one, other] = ["one", "other"].map((mark) => startSsh([MAIN, `echo up; /tmp/${mark} 1000 | cat`]));
  await Promise.all([one?.untilOutput(/up/), other?.untilOutput(/up/)]);
  one?.kill("SIGKILL");
  await mustEnd("one");
  expect(await countOf("other")).toBe(1);
  other?.kill();
  await mustEnd("other");
});

test("tmux outlives its connection, and a later one finds it as it was", async () => {
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
