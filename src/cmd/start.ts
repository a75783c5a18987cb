/**
 * `npm start`: everything from nothing. Prepares the state folder with a sample, starts the service, shows with the real
 * OpenSSH client that it works, and keeps serving until it is interrupted, whatever came of that. `--once` ends after the
 * tour, with exit code 1 when it failed or could not be.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clock, makeClock } from "../base/clock.ts";
import { makeLog } from "../base/log.ts";
import { prepareDemo, type Demo } from "./demo.ts";
import { reportFault, untilStopped } from "./process.ts";
import { openService, type Service } from "./service.ts";
import { type ReadSettings, readSettings } from "./settings-file.ts";
import { makeStateFolder, stateFolder } from "./state-folder.ts";
import { lacksForTour, localAddress } from "./tour/tour-needs.ts";
import { runTour } from "./tour/tour.ts";

const DRAIN_MS = 2_000;

async function main(): Promise<number> {
  const isOnce = process.argv.includes("--once");
  const state = stateFolder(process.env, process.cwd());
  makeStateFolder(state);
  const clock = makeClock();
  const logFile = join(state.path, "slipway.log");
  const log = makeLog("info", logFile);
  const demo = prepareDemo(state, join(import.meta.dirname, "../../examples"), process.env);
  const settings = await readSettings(demo.settingsFile);
  const service = await openService({ settings, state, clock, log, env: process.env });
  const stopped = untilStopped();
  try {
    const port = localAddress(service.ssh)?.port ?? service.ssh[0]?.port ?? 0;
    print(`Slipway listens on port ${port}; state in ${state.path}, log in ${logFile}`);
    for (const lack of service.lacks) print(`  note: ${lack}`);
    print("");
    const shown = await show({ settings, service, demo, clock, port });
    if (isOnce) return shown === "well" ? 0 : 1;
    const identity = demo.hasOwnKey ? "" : ` -i ${demo.identityFile}`;
    if (shown === "failed") print(`\nNot all of that worked, and ${logFile} may say more. The service goes on.`);
    if (shown !== "skipped") print(`\nYour turn:\n\n    ssh -p ${port}${identity} hello-main@localhost\n`);
    print(`People, keys and repositories: ${demo.settingsFile}. Ctrl-C stops.`);
    await Promise.race([stopped, service.lost]);
    return 0;
  } finally {
    await service.close(isOnce ? 0 : DRAIN_MS);
  }
}

interface Shown {
  readonly settings: ReadSettings;
  readonly service: Service;
  readonly demo: Demo;
  readonly clock: Clock;
  readonly port: number;
}

/** Shows that it works. What a person has changed may leave nothing to show it with, which is no reason to serve nobody. */
async function show({ settings, service, demo, clock, port }: Shown): Promise<"well" | "failed" | "skipped"> {
  const lacks = await lacksForTour(settings, demo, localAddress(service.ssh));
  if (lacks.length > 0) {
    const them = new Intl.ListFormat("en").format(lacks);
    print(
      `Cannot show with the real ssh that it works: that needs ${them}, which ${demo.settingsFile} does not give\n`,
    );
    return "skipped";
  }
  const isWell = await runTour({
    client: {
      host: "localhost",
      port,
      login: "hello-main",
      identityFile: demo.identityFile,
      knownHostsFile: writeKnownHosts(service, demo, port),
    },
    clock,
    print,
    folder: demo.folder,
  });
  return isWell ? "well" : "failed";
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The host keys as the tour's client should know them, so that it checks them for real. */
function writeKnownHosts(service: Service, demo: Demo, port: number): string {
  const path = join(dirname(demo.identityFile), "known_hosts");
  writeFileSync(path, service.hostKeyLines.map((line) => `[localhost]:${port} ${line}\n`).join(""));
  return path;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = reportFault(error);
  },
);
