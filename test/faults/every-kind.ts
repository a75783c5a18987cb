/**
 * One session of each kind that people have with the OpenSSH client, to see that none is forgotten when they are cut.
 *
 * @module
 */
import { connect } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { HOST, type Client } from "../harness/client.ts";
import { freePort } from "../harness/free-port.ts";
import type { Running } from "../harness/program.ts";
import { until } from "../harness/wait.ts";

export interface EveryKind {
  readonly kinds: Readonly<Record<string, Running>>;
  /** Ports of this machine that lead inside. */
  readonly ports: readonly number[];
  /** Port inside that leads to this machine. */
  readonly portInside: number;
}

const TIMEOUT_MS = 25_000;

/** Opens a session of each kind and returns when each of them works. They end with the test. */
export async function openEveryKind(client: Client, login: string): Promise<EveryKind> {
  const at = `${login}@${HOST}`;
  const [forwardPort, portInside, socksPort] = [await freePort(), await freePort(), await freePort()];
  const master = join(client.folder, `${login}.sock`);
  const ssh = (...args: string[]): Running =>
    client.startSsh(["-o", "ExitOnForwardFailure=yes", ...args, at], { timeoutMs: TIMEOUT_MS });
  const kinds = {
    shell: ssh("-tt"),
    exec: client.startSsh([at, "echo up; sleep 1000"], { timeoutMs: TIMEOUT_MS }),
    sftp: client.start(["sftp", "-F", client.configFile, at], { timeoutMs: TIMEOUT_MS }),
    forward: ssh("-N", "-L", `${forwardPort}:localhost:3000`),
    listen: ssh("-N", "-v", "-R", `${portInside}:localhost:1`),
    socks: ssh("-N", "-D", String(socksPort)),
    master: ssh("-N", "-M", "-S", master),
  };
  onTestFinished(() => {
    for (const running of Object.values(kinds)) running.kill("SIGKILL");
  });
  kinds.shell.stdin.write("echo u''p\n");
  kinds.sftp.stdin.write("pwd\n");
  await Promise.all([
    kinds.shell.untilOutput(/up\r\n/),
    kinds.exec.untilOutput(/up/),
    kinds.sftp.untilOutput(/Remote working directory/),
    kinds.listen.untilError(/remote forward success/),
    ...[forwardPort, socksPort].map((port) => until(`port ${port}`, () => answers(port))),
    until("the master", async () => (await client.ssh(["-S", master, "-O", "check", at])).exitCode === 0),
  ]);
  return { kinds, ports: [forwardPort, socksPort], portInside };
}

/**
 * Waits until each has ended, and fails unless it was with 255, the sentence, and in time.
 *
 * @returns after how many milliseconds each kind was told
 */
export async function mustBeCut(
  { kinds }: EveryKind,
  sentence: RegExp,
  withinMs: number,
): Promise<Readonly<Record<string, number>>> {
  const begunAt = performance.now();
  const ends = Object.entries(kinds).map(async ([kind, running]) => {
    await running.untilError(sentence);
    const ms = performance.now() - begunAt;
    // sftp sees that its ssh has gone when it is given the next command, and then its exit code says nothing.
    if (kind === "sftp") running.stdin.end();
    const { exitCode } = await running.ended;
    return { kind, exitCode: kind === "sftp" ? 255 : exitCode, ms };
  });
  const cut = await Promise.all(ends);
  for (const { kind, exitCode, ms } of cut) {
    expect.soft({ kind, exitCode }).toEqual({ kind, exitCode: 255 });
    expect.soft(ms, kind).toBeLessThan(withinMs);
  }
  return Object.fromEntries(cut.map(({ kind, ms }) => [kind, ms]));
}

/** Says whether something takes connections at a port of this machine. */
export async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    return await new Promise((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
  } finally {
    socket.destroy();
  }
}
