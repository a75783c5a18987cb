/**
 * Parts of a cluster that stand still, or are gone, while people work: no connection is closed, so nothing but silence tells
 * that a session is dead. It ends loudly within seconds, whether anything moves in it or not, and so does a login meanwhile.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Component } from "../../cluster/components.ts";
import { breakableCluster } from "../../cluster/shared-cluster.ts";
import type { TestCluster } from "../../cluster/open-cluster.ts";
import type { Client } from "../../harness/client.ts";
import type { Ended, Running } from "../../harness/program.ts";
import { until } from "../../harness/wait.ts";
import { HOOK_MS, SLOW_MS, useFaulty } from "./use-faulty.ts";

const faulty = useFaulty({ repositories: { plain: { definition: "{}" } } });

/** The promise is 10 s; a machine with other work takes its time to tell. */
const LOUD_MS = 14_000;
/** A login opens a connection first: 30 s for one that says nothing. */
const REFUSED_MS = 45_000;

/** Skips where the cluster's parts are not ours to stop. */
function mustBreak(skip: (why: string) => never): TestCluster {
  return breakableCluster() ?? skip("these tests stop parts of a cluster that we make, and this one is given");
}

const enter = (ada: Client, line: string): Promise<Ended> =>
  ada.ssh(["plain-main@slipway", line], { timeoutMs: SLOW_MS });

/** What goes on in sessions: nothing at all, bytes to the person, bytes from them. */
const LINES = {
  idle: "echo up; exec sleep 100000",
  reading: "echo up; exec cat /dev/zero",
  writing: "echo up; exec cat >/dev/null",
} as const;

async function openSessions(ada: Client): Promise<(readonly [string, Running])[]> {
  return Promise.all(
    Object.entries(LINES).map(async ([name, line]) => {
      const session = ada.startSsh(["plain-main@slipway", line], { timeoutMs: SLOW_MS });
      await session.untilOutput(/up/, SLOW_MS);
      if (name === "writing") keepWriting(session);
      return [name, session] as const;
    }),
  );
}

function keepWriting({ stdin, ended }: Running): void {
  const chunk = Buffer.alloc(64 * 1_024);
  let isOver = false;
  void ended.finally(() => (isOver = true));
  const write = (): void => {
    while (!isOver && stdin.write(chunk));
  };
  stdin.on("drain", write);
  write();
}

async function untilBack(ada: Client): Promise<void> {
  const look = async (): Promise<boolean> => (await enter(ada, "cat kept")).stdout === "mine\n";
  await until("the environment to be entered again", look, HOOK_MS);
}

const STOPPED: readonly Component[] = ["apiserver", "kubelet", "containerd"];

test.for(STOPPED)(
  "sessions through a %s that stands still end loudly, with traffic and without, and all is well when it goes on",
  { timeout: 2 * HOOK_MS },
  async (component, { skip, annotate }) => {
    const cluster = mustBreak(skip);
    const ada = faulty().service.as("ada");
    expect((await enter(ada, "echo mine >kept")).exitCode).toBe(0);
    const sessions = await openSessions(ada);
    const since = performance.now();
    await cluster.kill(component, "SIGSTOP");
    try {
      for (const told of await Promise.all(sessions.map(async ([name, session]) => tell(name, session, since)))) {
        await annotate(`${component} stands still: ${told}`);
      }
    } finally {
      await cluster.kill(component, "SIGCONT");
      await cluster.untilReady();
      await untilBack(ada);
    }
  },
);

/** Waits for the end, which has to be loud and in time. @returns a sentence about it */
async function tell(name: string, { ended }: Running, since: number): Promise<string> {
  const { exitCode, stderr } = await ended;
  const ms = Math.round(performance.now() - since);
  expect([exitCode, stderr]).toEqual([255, expect.stringMatching(/the environment ended this session|silent for/)]);
  expect(ms, name).toBeLessThan(LOUD_MS);
  return `a session that is ${name} ended after ${ms} ms`;
}

/** How a kubelet is not there: its connections are closed, or nothing answers on them. */
const WITHOUT_KUBELET: readonly (readonly [string, NodeJS.Signals, (cluster: TestCluster) => Promise<void>])[] = [
  ["killed", "SIGKILL", (cluster) => cluster.start("kubelet")],
  ["stopped", "SIGSTOP", (cluster) => cluster.kill("kubelet", "SIGCONT")],
];

test.for(WITHOUT_KUBELET)(
  "a login to an environment whose kubelet is %s is refused with a sentence, and works when that is back",
  { timeout: 2 * HOOK_MS },
  async ([how, signal, bringBack], { skip, annotate }) => {
    const cluster = mustBreak(skip);
    const ada = faulty().service.as("ada");
    expect((await enter(ada, "echo mine >kept")).exitCode).toBe(0);
    await cluster.kill("kubelet", signal);
    try {
      // The first takes the way that was kept open, the next has to open one.
      for (const which of ["first", "second"]) {
        const { exitCode, stderr, ms } = await enter(ada, "true");
        await annotate(`kubelet ${how}: the ${which} login was refused after ${Math.round(ms)} ms: ${stderr.trim()}`);
        expect([exitCode, stderr]).toEqual([
          255,
          expect.stringMatching(/(node|cluster).* does not answer|could not be entered/),
        ]);
        expect(ms).toBeLessThan(REFUSED_MS);
      }
    } finally {
      await bringBack(cluster);
      await untilBack(ada); // a node is ready by what its kubelet said last
    }
  },
);

test(
  "a pod whose shim stands still is silent like one whose processes stand still, and goes on with it",
  { timeout: HOOK_MS },
  async ({ skip }) => {
    mustBreak(skip);
    const { service, kubectl, namespaceOf } = faulty();
    const ada = service.as("ada");
    const session = ada.startSsh(["plain-main@slipway", "echo up; exec cat"], { timeoutMs: SLOW_MS });
    await session.untilOutput(/up/, SLOW_MS);
    const uid = "jsonpath={.metadata.uid}";
    const shim = shimOf(await kubectl("-n", await namespaceOf("plain-main"), "get", "pod", "main", "-o", uid));
    process.kill(shim, "SIGSTOP");
    try {
      session.stdin.write("typed\n");
      // Longer than a dead stream may last: this one is alive, and what was typed is not lost.
      await expect(session.untilOutput(/typed/, LOUD_MS)).rejects.toThrow("Cannot find");
    } finally {
      process.kill(shim, "SIGCONT");
    }
    await session.untilOutput(/typed/, SLOW_MS);
    session.stdin.end();
    expect((await session.ended).exitCode).toBe(0);
  },
);

/** Finds the process that holds the containers of a pod: the parent of any of theirs that is in none of its groups. */
function shimOf(podUid: string): number {
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // it ended meanwhile
    }
  };
  for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    if (!read(join("/proc", pid, "cgroup")).includes(podUid)) continue;
    const [, parent = ""] = /^PPid:\s+([0-9]+)$/m.exec(read(join("/proc", pid, "status"))) ?? [];
    if (read(join("/proc", parent, "comm")).startsWith("containerd-shim")) return Number(parent);
  }
  throw new Error(`Cannot find the shim of pod ${podUid}: no process of its containers has one for a parent`);
}
