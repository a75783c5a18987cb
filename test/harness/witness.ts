/**
 * An environment that nothing may happen to while others are made, moved and killed: files, and a process that was
 * started to outlive its connection.
 *
 * @module
 */
import { expect } from "vitest";
import { HOST, type Client } from "./client.ts";

export interface Witness {
  /** Fails when a file or the process is not as it was. */
  mustBeUnharmed(): Promise<void>;
}

const MAKE = `mkdir -p ~/kept && head -c 300000 /dev/urandom >~/kept/random && echo changed >>README.md
nohup sleep 1000000 >/dev/null 2>&1 & echo $! >~/kept/pid`;

/** Says what there is: a process is the same when its number and its start are. */
const LOOK = `cat ~/kept/random README.md server.js | sha256sum; git status --porcelain
cut -d" " -f1,22 /proc/$(cat ~/kept/pid)/stat`;

/** Puts the files and the process into the environment of a login. */
export async function makeWitness(client: Client, login: string): Promise<Witness> {
  const look = async (): Promise<string> => {
    const { exitCode, stdout, stderr } = await client.ssh([`${login}@${HOST}`, LOOK]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    return stdout;
  };
  expect((await client.ssh([`${login}@${HOST}`, MAKE])).exitCode).toBe(0);
  const before = await look();
  expect(before).toMatch(/^[0-9a-f]{64} {2}-\n M README.md\n\d+ \d+\n$/);
  return { mustBeUnharmed: async () => expect(await look()).toBe(before) };
}
