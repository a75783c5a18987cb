/**
 * Brings an environment up: `Runtime.start`. Namespaces, mounts, network, limits and the first process.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { EnvironmentSpec, Report, StartSpec } from "../runtime.ts";
import { makeBaseEnv, makeCommandFile } from "../command-file.ts";
import { joinFiles, makeGroups } from "./control-groups.ts";
import { makeEtcFiles } from "./etc-files.ts";
import type { EtcFacts } from "./etc-files.ts";
import type { Host } from "./host.ts";
import { expectLine, launch } from "./launch.ts";
import type { Launched } from "./launch.ts";
import { INSIDE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { listNames, readText } from "./machine.ts";
import { prepareMounts } from "./prepare.ts";
import { becomeWords, holderWords } from "./privileges.ts";
import { mustRun } from "../program.ts";
import { checkUserName, linkWorkspace, makeSkeleton, writeEtc, writePrivate } from "./skeleton.ts";
import { stopAll } from "./stopping.ts";
import { writeState } from "./stored.ts";
import type { Running } from "./stored.ts";

interface StartOptions {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
  /** Called when the environment has its groups: what enters it first joins them beside the rest. Returns how to end it. */
  readonly beginDoor: () => () => void;
}

/** Starts an environment that does not run. Leaves nothing running when it fails or `signal` aborts. */
export async function startEnvironment(
  host: Host,
  place: Place,
  options: StartOptions,
  signal: AbortSignal,
): Promise<Running> {
  const { spec, start, report, beginDoor } = options;
  const begun = host.clock.elapsed();
  await prepareFiles(host, place, spec, start);
  const addressIndex = host.network.reserve(spec.id);
  const batch = host.network.insideBatch(addressIndex);
  writeFileSync(join(place.folder, "ip"), batch, { mode: 0o600 });
  let closeDoor = () => {};
  try {
    makeGroups(host.groups, spec.id, spec.limits);
    closeDoor = beginDoor();
    const launched = await launchInit(
      host,
      place,
      { spec, addressIndex, batchFile: batch === "" ? "" : join(place.folder, "ip") },
      signal,
    );
    await untilReady(launched, signal);
    launched.child.unref(); // it may outlive us
    const state = { phase: "running", holder: launched.holder, start, addressIndex } as const;
    writeState(place, state);
    report("starting", host.clock.elapsed() - begun);
    return state;
  } catch (error) {
    closeDoor();
    await stopAll(host, place);
    throw error;
  }
}

async function prepareFiles(host: Host, place: Place, spec: EnvironmentSpec, start: StartSpec): Promise<void> {
  checkUserName(start.user);
  makeSkeleton(place, host.machine, spec.uid);
  linkWorkspace(place, spec.source.repository, start.workspaceFolder);
  writeEtc(place, makeEtcFiles(readEtcFacts(host, spec, start.user)), host.machine);
  writeService(host, place, spec, start);
  prepareMounts(host, place, spec, { user: start.user, workspace: place.workspace, limited: true });
  if (listNames(place.tmp).length > 0) {
    // As after a reboot: sockets and locks in it belong to processes that are gone.
    await mustRun(["find", place.tmp, "-xdev", "-mindepth", "1", "-delete"]);
  }
}

/** What `init.sh` keeps running. */
function writeService({ machine }: Host, place: Place, spec: EnvironmentSpec, start: StartSpec): void {
  const path = join(place.inside, "service");
  if (start.run === undefined) {
    rmSync(path, { force: true });
    return;
  }
  const env = makeBaseEnv(start, start.runEnv);
  const text = makeCommandFile({ command: { shell: start.run }, env, folder: start.workspaceFolder });
  writePrivate(path, text, { uid: spec.uid, machine });
}

async function launchInit(
  host: Host,
  place: Place,
  { spec, addressIndex, batchFile }: { spec: EnvironmentSpec; addressIndex: number; batchFile: string },
  signal: AbortSignal,
): Promise<Launched> {
  const { identity } = host.machine;
  const output = openSync(place.log, "a", 0o600);
  try {
    return await launch(
      {
        place,
        identity,
        hostname: spec.hostname,
        groups: joinFiles(host.groups, spec.id),
        batchFile,
        bootId: host.bootId,
        makeNetwork: (pid) => host.network.attach(spec.id, addressIndex, pid),
        command: [...holderWords(identity, spec.uid), "sh", `${INSIDE}/init.sh`, ...becomeWords(identity)],
        output,
      },
      signal,
    );
  } finally {
    closeSync(output);
  }
}

async function untilReady({ nextLine, control }: Launched, signal: AbortSignal): Promise<void> {
  const giveUp = () => control.destroy();
  signal.addEventListener("abort", giveUp);
  try {
    await expectLine(nextLine, "ready");
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
    control.destroy();
  }
}

/** What the environment's files of `/etc` are made of. */
export function readEtcFacts({ machine, network }: Host, spec: EnvironmentSpec, user: string): EtcFacts {
  const own = (name: string) => readText(join(machine.root, "etc", name));
  return {
    user,
    uid: machine.identity.mode === "root" ? spec.uid : machine.identity.uid,
    gid: machine.identity.mode === "root" ? spec.uid : machine.identity.gid,
    hasTtyGroup: machine.ttyGroup !== undefined,
    hostname: spec.hostname,
    author: spec.author,
    ...(spec.source.credentialHost === undefined ? {} : { credentialHost: spec.source.credentialHost }),
    machineId: createHash("sha256").update(`slipway machine ${spec.id}`).digest("hex").slice(0, 32),
    nameservers: network.nameservers,
    own: { passwd: own("passwd"), group: own("group"), gitconfig: own("gitconfig") },
  };
}
