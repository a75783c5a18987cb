/**
 * An open channel to `cat`, for round trips one at a time.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { Client } from "../../test/harness/client.ts";
import { plainEnv } from "../../test/harness/program.ts";

export interface Echo {
  /** Sends a line and waits until it is back. @returns milliseconds */
  once(): Promise<number>;
  close(): Promise<void>;
}

const LINE = Buffer.from("1234567\n");

/** Opens it. Not by the harness's programs: they keep all that was said, and look at it each time. */
export async function openEcho(client: Client, destination: string): Promise<Echo> {
  const env = { ...plainEnv(client.folder), ...client.env };
  const child = spawn("ssh", ["-F", client.configFile, destination, "cat"], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const over = new Promise<never>((_, reject) => {
    child.once("close", (code) => reject(new Error(`Cannot go on echoing: ssh ended with ${code}`)));
  });
  over.catch(() => {}); // seen by the race
  let missing = 0;
  let onBack = (): void => {};
  child.stdin.on("error", () => {}); // the end of ssh is seen by its exit
  child.stdout.on("data", (chunk: Buffer) => {
    missing -= chunk.length;
    if (missing <= 0) onBack();
  });
  return {
    once: async () => {
      const { promise, resolve } = Promise.withResolvers<number>();
      missing = LINE.length;
      const sentAt = performance.now();
      onBack = () => resolve(performance.now() - sentAt);
      child.stdin.write(LINE);
      return Promise.race([promise, over]);
    },
    close: async () => {
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.stdin.end();
      await ended;
    },
  };
}
