/**
 * An open stream to `cat`, for round trips one at a time.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { Client } from "../../test/harness/client.ts";
import { plainEnv } from "../../test/harness/program.ts";

export interface Echo {
  /** Sends a line and waits until it is back. @returns milliseconds */
  once(): Promise<number>;
  close(): Promise<void>;
}

const LINE = Buffer.from("1234567\n");

/** Opens it through `ssh`. */
export async function openEcho(client: Client, destination: string): Promise<Echo> {
  const words = ["ssh", "-F", client.configFile, destination, "cat"];
  return openProgramEcho(words, { ...plainEnv(client.folder), ...client.env });
}

/** Opens it through a program. Not by the harness's programs: they keep all that was said, and look at it each time. */
export function openProgramEcho([program = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): Echo {
  const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const once = makeOnce(
    child.stdin,
    child.stdout,
    ended.then((code) => `${program} ended with ${code}`),
  );
  return {
    once,
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** Makes round trips over two streams. @param over resolves, with why, when there will be no more of them */
export function makeOnce(stdin: Writable, stdout: Readable, over: Promise<string>): Echo["once"] {
  const failed = over.then((why) => Promise.reject(new Error(`Cannot go on echoing: ${why}`)));
  failed.catch(() => {}); // seen by the race
  let missing = 0;
  let onBack = (): void => {};
  stdin.on("error", () => {}); // seen by `over`
  stdout.on("data", (chunk: Buffer) => {
    missing -= chunk.length;
    if (missing <= 0) onBack();
  });
  return async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    missing = LINE.length;
    const sentAt = performance.now();
    onBack = () => resolve(performance.now() - sentAt);
    stdin.write(LINE);
    return Promise.race([promise, failed]);
  };
}
