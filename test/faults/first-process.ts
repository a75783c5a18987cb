/**
 * Finds the first process of an environment from outside, to end the environment as a machine in trouble would.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { HOST, type Client } from "../harness/client.ts";
import { until } from "../harness/wait.ts";

/** Kills the first process of an environment, which takes all others with it, and waits until it is gone. */
export async function killFirstProcess(client: Client, login: string): Promise<void> {
  const { stdout } = await client.ssh([`${login}@${HOST}`, "readlink /proc/self/ns/pid"]);
  const isFirst = (pid: string): boolean => {
    try {
      if (readlinkSync(`/proc/${pid}/ns/pid`) !== stdout.trim()) return false;
      return /^NSpid:\t\d+\t1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false; // it ended
    }
  };
  const find = (): string | undefined => readdirSync("/proc").find((name) => /^\d+$/.test(name) && isFirst(name));
  process.kill(Number(find()), "SIGKILL");
  await until("the first process to be gone", () => find() === undefined);
}
