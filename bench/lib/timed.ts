/**
 * A program run to its end, with the processor time that it took itself: what of a wait is the client's.
 *
 * @module
 */
import type { Client } from "../../test/harness/client.ts";
import { plainEnv, run } from "../../test/harness/program.ts";

export interface Timed {
  /** From start to end. */
  readonly ms: number;
  /** Processor time of the program and its children. */
  readonly cpuMs: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Bash's own `time` knows both; what it adds to the wait is its start, the same for whatever is compared. */
const SCRIPT = `TIMEFORMAT='timed %3R %3U %3S'; time "$@"`;
const LINE = /timed ([0-9.]+) ([0-9.]+) ([0-9.]+)\n$/;

/** A cluster may take a while to make room. */
const LONGEST_MS = 120_000;

/** Runs it. @throws {Error} with what it said when its exit code is not 0 */
export async function timed(words: readonly string[], env = plainEnv("/nonexistent")): Promise<Timed> {
  const { exitCode, stdout, stderr } = await run(["bash", "-c", SCRIPT, "bash", ...words], {
    env,
    timeoutMs: LONGEST_MS,
  });
  const [line = "", seconds, user, system] = LINE.exec(stderr) ?? [];
  const said = stderr.slice(0, stderr.length - line.length);
  if (exitCode !== 0) throw new Error(`Cannot measure ${words.join(" ")}: it ended with ${exitCode}: ${said}`);
  return { ms: Number(seconds) * 1e3, cpuMs: (Number(user) + Number(system)) * 1e3, stdout, stderr: said };
}

/** Runs `ssh` as a person. */
export function timedSsh(client: Client, ...args: readonly string[]): Promise<Timed> {
  return timed(["ssh", "-F", client.configFile, ...args], { ...plainEnv(client.folder), ...client.env });
}
