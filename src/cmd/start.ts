/**
 * `npm start`: everything from nothing. Prepares the state folder with a sample, starts the service, shows with the real
 * OpenSSH client that it works, and keeps serving until it is interrupted. `--once` ends after the tour.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeClock } from "../base/clock.ts";
import { makeLog } from "../base/log.ts";
import { prepareDemo, type Demo } from "./demo.ts";
import { reportFault, untilStopped } from "./process.ts";
import { openService, type Service } from "./service.ts";
import { readSettings } from "./settings-file.ts";
import { makeStateFolder, stateFolder } from "./state-folder.ts";
import { runTour } from "./tour/tour.ts";

const DRAIN_MS = 2_000;

async function main(): Promise<number> {
  const isOnce = process.argv.includes("--once");
  const print = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  const state = stateFolder(process.env, process.cwd());
  makeStateFolder(state);
  const clock = makeClock();
  const log = makeLog("info", join(state.path, "slipway.log"));
  const demo = prepareDemo(state, join(import.meta.dirname, "../../examples"), process.env);
  const service = await openService({
    settings: readSettings(demo.settingsFile),
    state,
    clock,
    log,
    env: process.env,
  });
  const stopped = untilStopped();
  try {
    return await serve({ service, demo, isOnce, print, stopped });
  } finally {
    await service.close(isOnce ? 0 : DRAIN_MS);
  }

  async function serve(run: {
    service: Service;
    demo: Demo;
    isOnce: boolean;
    print: typeof print;
    stopped: Promise<string>;
  }): Promise<number> {
    const { port } = run.service.ssh[0] ?? { port: 0 };
    run.print(`Slipway listens on port ${port}; state in ${state.path}, log in ${join(state.path, "slipway.log")}`);
    for (const lack of run.service.lacks) run.print(`  note: ${lack}`);
    run.print("");
    const isWell = await runTour({
      client: {
        host: "localhost",
        port,
        login: "hello-main",
        identityFile: run.demo.identityFile,
        knownHostsFile: writeKnownHosts(run.service, run.demo, port),
      },
      clock,
      print: run.print,
      folder: run.demo.folder,
    });
    if (run.isOnce || !isWell) return isWell ? 0 : 1;
    const identity = run.demo.hasOwnKey ? "" : ` -i ${run.demo.identityFile}`;
    run.print(`\nYour turn:\n\n    ssh -p ${port}${identity} hello-main@localhost\n`);
    run.print(`People, keys and repositories: ${run.demo.settingsFile}. Ctrl-C stops.`);
    await run.stopped;
    return 0;
  }
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
