/**
 * A second service that takes itself for the first: on a copy of its state folder, with ports of its own.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "../../harness/client.ts";
import { freePort } from "../../harness/free-port.ts";
import { type Ended, start } from "../../harness/program.ts";
import type { TestService } from "../../harness/service.ts";
import { SLOW_MS } from "./use-faulty.ts";

const PROGRAM = join(import.meta.dirname, "../../../src/cmd/slip.ts");

export interface Twin extends AsyncDisposable {
  readonly stateFolder: string;
  /** Runs `ssh` to it, as to the first. */
  ssh(client: Client, args: readonly string[]): Promise<Ended>;
  /** All that it has logged. */
  log(): string;
}

/** Starts it on `stateFolder`, which is such a copy, and waits until it takes logins. Disposing kills it. */
export async function startTwin(
  service: TestService,
  stateFolder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Twin> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const settings = JSON.parse(readFileSync(service.settingsFile, "utf8")) as Record<string, unknown>;
  const file = join(service.folder, "twin.yaml");
  const listen = { ssh: [`127.0.0.1:${port}`], http: `127.0.0.1:${httpPort}` };
  writeFileSync(file, JSON.stringify({ ...settings, listen }));
  const running = start([process.execPath, PROGRAM, "serve", "--settings", file, "--drain-ms", "0"], {
    env: { SLIPWAY_HOME: stateFolder, SLIPWAY_LOG: "debug", HOME: service.folder, ...env },
    cwd: service.folder,
  });
  // The first's host key is its own.
  const towards = ["-p", String(port), "-o", `HostKeyAlias=[127.0.0.1]:${service.port}`];
  const twin: Twin = {
    stateFolder,
    ssh: (client, args) => client.ssh([...towards, ...args], { timeoutMs: SLOW_MS }),
    log: () => running.stderr(),
    [Symbol.asyncDispose]: async () => {
      running.kill("SIGKILL");
      await running.ended;
    },
  };
  try {
    await running.untilError(/"event":"service\.started"/, SLOW_MS);
  } catch (error) {
    await twin[Symbol.asyncDispose]();
    throw error;
  }
  return twin;
}
