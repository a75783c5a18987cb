/**
 * Environments on this machine by Linux namespaces: the `Runtime` interface over the parts in this folder.
 *
 * Made once by `src/cmd`. It holds no truth of its own: every answer is read from the files of an environment and from
 * `/proc`, so a service that was killed finds everything again.
 *
 * @module
 */
import { mkdirSync, readdirSync } from "node:fs";

import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Runtime } from "../runtime.ts";
import { adopt } from "./adopting.ts";
import { openControlGroups, readHierarchyMounts } from "./control-groups.ts";
import { tellFullDisk } from "./disk-full.ts";
import type { Host } from "./host.ts";
import { environmentsFolder, makePlace } from "./layout.ts";
import { trimLog } from "./log-file.ts";
import { readMachine } from "./machine.ts";
import { makeRuntime } from "./make-runtime.ts";
import { openNetwork } from "./open-network.ts";
import type { NetworkChoice } from "./open-network.ts";
import { readBootId } from "./processes.ts";
import { runProgram } from "../program.ts";

export interface SandboxOptions {
  /** Absolute path of the service's own folder; environments are in `environments/<id>/` below it. */
  readonly stateDir: string;
  /** Root file system that environments are made over: "/" for this machine's own. */
  readonly root: string;
  /** One line of `authorized_keys`: the key by which the gateway signs in at every inner sshd. */
  readonly gatewayKey: string;
  /** `auto`: NAT where this machine can, loopback only otherwise. */
  readonly network: NetworkChoice;
  readonly clock: Clock;
  readonly log: Log;
  /** Paths of this machine that no environment may see, although they lie in `/usr`, `/etc` or `/opt`. */
  readonly hiddenPaths?: readonly string[];
  /** Programs put at the end of `PATH` inside: name → file on this machine. */
  readonly tools?: Readonly<Record<string, string>>;
}

/** How often logs are looked at whether they have grown too long. */
const TRIM_EVERY_MS = 10_000;

/**
 * Looks at this machine, takes over the environments that run already, and hands out the runtime.
 *
 * @param signal ends the care for what runs; environments go on
 * @throws {Fault} `runtime.unable` with everything this machine lacks
 */
export async function openSandbox(options: SandboxOptions, signal?: AbortSignal): Promise<Runtime> {
  const { stateDir, root, hiddenPaths = [], clock, log } = options;
  mkdirSync(environmentsFolder(stateDir), { recursive: true, mode: 0o700 });
  const machine = await readMachine({ stateDir, root, hiddenPaths });
  const network = await openNetwork(options.network, { identity: machine.identity, stateDir, log });
  await spreadFolders(environmentsFolder(stateDir));
  const groups = openControlGroups(readHierarchyMounts());
  const host: Host = {
    stateDir,
    machine,
    groups,
    network,
    bootId: readBootId(),
    tools: options.tools ?? {},
    clock,
    log,
  };
  for (const id of listIds(stateDir)) {
    // One that cannot be taken over is no reason to refuse all others; whoever wants it is told.
    await adopt(host, makePlace(stateDir, id), options.gatewayKey).catch((error: unknown) => {
      log.error("sandbox.adoption-failed", error, { environment: id });
    });
  }
  careForLogs(host, signal);
  const runtime = makeRuntime(host, { gatewayKey: options.gatewayKey, listIds: () => listIds(stateDir) });
  return tellFullDisk(runtime, stateDir);
}

/**
 * Asks ext4 to put each environment's files into a part of the disk of its own (chattr(1), T). Beside those of one just
 * destroyed a new file takes 300 µs instead of 20, since ext4 looks at every inode freed in the last minutes first
 * (measured 2026-11). Other file systems refuse, and need it not.
 */
async function spreadFolders(path: string): Promise<void> {
  await runProgram(["chattr", "+T", "--", path]);
}

function listIds(stateDir: string): string[] {
  return readdirSync(environmentsFolder(stateDir)).filter((name) => /^[a-z0-9]{4,32}$/.test(name));
}

/** Looks at all logs now and then, until `signal` aborts. A log that cannot be shortened is tried again. */
function careForLogs(
  { stateDir, clock, log }: Pick<Host, "stateDir" | "clock" | "log">,
  signal: AbortSignal | undefined,
): void {
  clock.after(TRIM_EVERY_MS, () => {
    if (signal?.aborted === true) return;
    void Promise.all(listIds(stateDir).map(async (id) => trimLog(makePlace(stateDir, id).log)))
      .catch((error: unknown) => log.error("sandbox.log-untrimmed", error))
      .finally(() => careForLogs({ stateDir, clock, log }, signal));
  });
}
