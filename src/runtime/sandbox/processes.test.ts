import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { findForeground, findSessionLeaders, isAlive, readBootId, readProcesses, readStatLine } from "./processes.ts";
import type { Stat } from "./processes.ts";

const REST = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0";

test("readStatLine() counts fields from the end of a name that holds spaces and brackets", () => {
  expect(readStatLine(`12 (a ) S (b) c) R 3 4 5 ${REST} 777 0 0`)).toEqual({
    ...{ pid: 12, name: "a ) S (b) c", state: "R", parent: 3, group: 4, session: 5 },
    startTime: 777,
  });
});

test.each(["", "12", "12 (x", "x (y) R 1 2 3", "12 (x) R 1 2"])("readStatLine() takes %j for no stat line", (line) => {
  expect(readStatLine(line)).toBeUndefined();
});

test("isAlive() knows a process by pid, start time and boot, and a zombie for dead", async () => {
  const bootId = readBootId();
  const child = spawn("/bin/sh", ["-c", "read x"], { stdio: ["pipe", "ignore", "ignore"] });
  const pid = child.pid ?? 0;
  const startTime = readStatLine(readFileSync(`/proc/${pid}/stat`, "utf8"))?.startTime ?? 0;
  const name = { pid, startTime, bootId };
  expect(isAlive(name, bootId)).toBe(true);
  expect(isAlive({ ...name, startTime: startTime + 1 }, bootId)).toBe(false);
  expect(isAlive({ ...name, bootId: "another" }, bootId)).toBe(false);
  child.stdin.end();
  await once(child, "exit");
  expect(isAlive(name, bootId)).toBe(false);
});

test("readProcesses() leaves out what has ended", async () => {
  const seen = await readProcesses([process.pid, 2 ** 22 + 1]);
  expect(seen.map(({ pid }) => pid)).toEqual([process.pid]);
});

test("findSessionLeaders() finds the channels of a connection and nothing that left it", () => {
  const stat = (pid: number, parent: number, session: number): Stat => {
    return { ...{ pid, parent, session, group: session }, name: "x", state: "S", startTime: 1 };
  };
  const processes = [
    stat(10, 1, 10), // what joins the namespaces: leads the session that sshd is in
    stat(11, 10, 10), // sshd
    stat(12, 11, 10), // sshd of the user
    stat(20, 12, 20), // a command
    stat(21, 20, 20), // started by it
    stat(22, 20, 22), // put into a session of its own by it
    stat(5, 12, 5), // another command, with a lower number after a wrap
    stat(30, 1, 30), // left to process 1: a daemon, tmux
    stat(40, 1, 40), // another connection
    stat(41, 40, 40),
    stat(42, 41, 42),
  ];
  expect(findSessionLeaders(processes, 10).map(({ pid }) => pid)).toEqual([20, 5]);
});

test("findForeground() leaves out a server in the background whose streams are elsewhere", async () => {
  const script = "sleep 101 >/dev/null & sleep 102 >/dev/null 2>&1 & echo up; sleep 103; :";
  const child = spawn("/bin/sh", ["-c", script], { detached: true });
  const pid = child.pid ?? 0;
  try {
    await once(child.stdout, "data");
    await expect
      .poll(async () => {
        const processes = (await readProcesses()).filter(({ group }) => group === pid);
        const leader = processes.find((stat) => stat.pid === pid);
        const found = leader === undefined ? [] : findForeground(leader, processes);
        return found.map((stat) => readFileSync(`/proc/${stat.pid}/cmdline`, "utf8").split("\0")[1]).sort();
      })
      .toEqual(["-c", "101", "103"]);
  } finally {
    process.kill(-pid, "SIGKILL");
  }
});
