/**
 * The `Runtime` of this machine: finds the files of the environment that is meant, and hands each act to its part.
 *
 * @module
 */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";

import { Fault } from "../../base/fault.ts";
import type { EnvironmentSpec, Observed, Runtime } from "../runtime.ts";
import { makeCalls } from "./calls.ts";
import { makeBaseEnv, makeCommandFile } from "../command-file.ts";
import { makeLook, readUnsaved } from "../unsaved.ts";
import { runCommand } from "./commands.ts";
import { openReach } from "./connecting.ts";
import { readGroupPids } from "./control-groups.ts";
import { emptyTrash, makeFiles } from "./creating.ts";
import { type DiskUse, makeDiskUse } from "./disk-use.ts";
import { makeDoors } from "./doors.ts";
import type { Host } from "./host.ts";
import { clearKeyrings, findKeyringLacks } from "./keyrings.ts";
import { INSIDE, makePlace, WORKSPACE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { appendLog, readLogEnd } from "./log-file.ts";
import { makeOneAtATime } from "../../base/one-at-a-time.ts";
import { runInPassing, runInRunning } from "./passing.ts";
import { isAlive, readProcesses } from "./processes.ts";
import type { ProgramEnd } from "../program.ts";
import { makeShared } from "./shared.ts";
import { writeAuthorizedKey } from "./skeleton.ts";
import { listSourceFolder, readSourceFile } from "./source-file.ts";
import { startEnvironment } from "./starting.ts";
import { stopAll } from "./stopping.ts";
import { readSpec, readState } from "./stored.ts";
import type { Running } from "./stored.ts";

export interface RuntimeOptions {
  readonly gatewayKey: string;
  readonly listIds: () => string[];
}

/** Tags that the mirror has came from the forge. */
const FORGE_TAGS = [
  "",
  `  for mirror in ${INSIDE}/mirror/*/objects; do`,
  '    own for-each-ref --format="%(objectname)" refs/tags | GIT_OBJECT_DIRECTORY=$mirror own cat-file --batch-check' +
    String.raw` | sed -n "s/^\([0-9a-f]*\) [a-z]* [0-9]*$/\1/p"`,
  "  done",
  "",
].join("\n");

const LOOK = makeLook({ workspace: WORKSPACE, forgeTags: FORGE_TAGS });

/** How long git may take to look for unsaved work, in milliseconds; guess. */
const LOOK_MS = 20_000;

/** Makes the runtime. */
export function makeRuntime(host: Host, { gatewayKey, listIds }: RuntimeOptions): Runtime {
  const { stateDir, machine, network, groups } = host;
  const queue = makeOneAtATime();
  const disk = makeDiskUse(host.clock);
  const doors = makeDoors(host);
  const calls = makeCalls(host);
  const readAll = makeShared(async (id) => readProcesses(await readGroupPids(groups, id)));
  const at = (id: string) => makePlace(stateDir, id);
  const shut = async (id: string) => {
    doors.close(id);
    await calls.close(id);
  };
  return {
    lacks: [...machine.lacks, ...network.lacks, ...groups.lacks, ...findKeyringLacks()],
    baseEnv: (user, workspaceFolder) => makeBaseEnv({ user, workspaceFolder, containerEnv: {} }, {}),
    create: (spec, report, signal) =>
      queue(spec.id, async () => {
        const place = at(spec.id);
        if (findRunning(host, place) === undefined) await stopAll(host, place);
        await makeFiles(host, place, { spec, report }, signal);
        writeAuthorizedKey(place, gatewayKey);
      }),
    start: (spec, start, report, signal) =>
      queue(spec.id, async () => {
        const place = at(spec.id);
        if (findRunning(host, place) !== undefined) return;
        if (!existsSync(place.workspace)) throw absent(spec.id, "it has no checkout");
        await stopAll(host, place);
        doors.prepare(
          spec,
          await startEnvironment(host, place, { spec, start, report, beginDoor: () => doors.begin(spec) }, signal),
        );
      }),
    connect: async (id, session, signal) => {
      signal.throwIfAborted();
      const { place, spec, state } = needRunning(host, at(id));
      return openReach(host, place, { doors, spec, state, session, readAll: () => readAll(id) });
    },
    listen: (id, onCall) => queue(id, async () => calls.listen(needFiles(at(id)), onCall)),
    run: async (id, command, env, signal) =>
      runCommand(host, at(id), { ...needRunning(host, at(id)), command, env }, signal),
    ...readersOf(at),
    observe: async (id) => observe(host, at(id), disk),
    unsaved: async (id) => readUnsaved(await look(host, at(id), queue)),
    note: async (id, line) => appendLog(needFolder(at(id)).log, `${line}\n`),
    readLog: async (id, maxBytes) => readLogEnd(needFolder(at(id)).log, maxBytes),
    sleep: (id) =>
      queue(id, async () => {
        await shut(id);
        await stopAll(host, at(id));
      }),
    destroy: (id) =>
      queue(id, async () => {
        await shut(id);
        await removeAll(host, at(id));
        disk.forget(id);
      }),
    list: async () => listIds(),
  };
}

function readersOf(at: (id: string) => Place): Pick<Runtime, "readSource" | "listSource"> {
  return {
    readSource: async (id, path) => readSourceFile(checkoutOf(at(id)), path),
    listSource: async (id, path) => listSourceFolder(checkoutOf(at(id)), path),
  };
}

function findRunning(host: Host, place: Place): Running | undefined {
  const state = readState(place);
  return state?.phase === "running" && isAlive(state.holder, host.bootId) ? state : undefined;
}

function observe(host: Host, place: Place, disk: DiskUse): Observed {
  if (!existsSync(place.folder)) return { power: "absent", checkedOut: false };
  const diskBytes = disk.read(place.id, place.folder);
  const power = findRunning(host, place) === undefined ? "sleeping" : "running";
  return { power, checkedOut: existsSync(place.workspace), ...(diskBytes === undefined ? {} : { diskBytes }) };
}

function needFolder(place: Place): Place {
  if (existsSync(place.folder)) return place;
  throw absent(place.id, "it does not exist");
}

function needFiles(place: Place): { place: Place; spec: EnvironmentSpec } {
  const spec = readSpec(place);
  if (spec === undefined || !existsSync(place.workspace)) throw absent(place.id, "it has no checkout");
  return { place, spec };
}

function checkoutOf(place: Place): string {
  return join(place.workspace, needFiles(place).spec.source.repository);
}

function needRunning(host: Host, place: Place): { place: Place; spec: EnvironmentSpec; state: Running } {
  const { spec } = needFiles(place);
  const state = findRunning(host, place);
  if (state !== undefined) return { place, spec, state };
  throw new Fault("environment.gone", `Cannot enter ${place.id}: it sleeps, needs running`);
}

function absent(id: string, why: string): Fault {
  return new Fault("environment.absent", `Cannot use environment ${id}: ${why}`);
}

async function look(
  host: Host,
  place: Place,
  queue: <T>(id: string, act: () => Promise<T>) => Promise<T>,
): Promise<ProgramEnd> {
  const { spec } = needFiles(place);
  const stop = new AbortController();
  const cancel = host.clock.after(LOOK_MS, () => stop.abort());
  const user = findRunning(host, place)?.start ?? { user: "slipway", containerEnv: {} };
  const folder = `${WORKSPACE}/${spec.source.repository}`;
  // Only the most needed variables: what a definition sets could change what git says.
  const env = makeBaseEnv({ user: user.user, workspaceFolder: folder, containerEnv: {} }, {});
  const passing = {
    place,
    spec,
    commandText: makeCommandFile({ command: { shell: LOOK }, env, folder }),
    output: { maxBytes: 16 * 1024 * 1024 },
    limited: true,
  };
  try {
    const running = findRunning(host, place);
    if (running !== undefined) return await runInRunning(host, passing, running.holder.pid, stop.signal);
    return await queue(place.id, async () => runInPassing(host, passing, place.workspace, stop.signal));
  } finally {
    cancel();
  }
}

/** The specification goes last: as long as anything is left, the environment is listed and can be destroyed again. */
async function removeAll(host: Host, place: Place): Promise<void> {
  if (!existsSync(place.folder)) return;
  await stopAll(host, place);
  const spec = readSpec(place);
  if (spec !== undefined) await clearKeyrings(host.machine.identity, spec.uid);
  // From here on it counts as half made: no crash leaves an environment that looks whole and has lost files.
  if (existsSync(place.workspace)) {
    await emptyTrash([place.trash]);
    renameSync(place.workspace, place.trash);
  }
  const rest = readdirSync(place.folder).map((name) => join(place.folder, name));
  await emptyTrash(rest.filter((path) => path !== place.specFile));
  await emptyTrash([place.specFile, place.folder]);
}
