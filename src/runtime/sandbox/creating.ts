/**
 * Makes the files of an environment: `Runtime.create`.
 *
 * The workspace is filled under another name and renamed when it is whole, so its name is the proof that it is.
 *
 * @module
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";

import { Fault } from "../../base/fault.ts";
import type { EnvironmentSpec, Report } from "../runtime.ts";
import { readMirrorRefs } from "../repository-files.ts";
import { FILL, openMirror, writeRepository } from "./checkout.ts";
import { makeCommandFile } from "../command-file.ts";
import { makeEtcFiles } from "./etc-files.ts";
import type { Host } from "./host.ts";
import { clearKeyrings } from "./keyrings.ts";
import { WORKSPACE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { runInPassing } from "./passing.ts";
import { mustRun, runProgram } from "../program.ts";
import { giveTree, makeSkeleton, writeEtc } from "./skeleton.ts";
import { readEtcFacts } from "./starting.ts";
import { readSpec, writeSpec } from "./stored.ts";

/** Makes what is missing of the files of an environment. The caller sees to it that nothing of it runs. */
export async function makeFiles(
  host: Host,
  place: Place,
  { spec, report }: { spec: EnvironmentSpec; report: Report },
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  if (JSON.stringify(readSpec(place)) !== JSON.stringify(spec)) writeSpec(place, spec);
  if (existsSync(place.workspace)) return;
  const begun = host.clock.elapsed();
  makeSkeleton(place, host.machine, spec.uid);
  await emptyTrash([place.trash, place.workspacePart]);
  report("preparing the files", host.clock.elapsed() - begun);
  const checkoutBegun = host.clock.elapsed();
  // Done again after a crash: the files are not whole before it is.
  await Promise.all([clearKeyrings(host.machine.identity, spec.uid), fillWorkspace(host, place, spec, signal)]);
  renameSync(place.workspacePart, place.workspace);
  report(`checking out ${spec.source.branch}`, host.clock.elapsed() - checkoutBegun);
}

async function fillWorkspace(host: Host, place: Place, spec: EnvironmentSpec, signal: AbortSignal): Promise<void> {
  const { source } = spec;
  mkdirSync(join(place.workspacePart, source.repository), { recursive: true });
  const prepared = prepareWorkspace(host, place, spec, signal);
  prepared.catch(() => {}); // told below
  try {
    await checkOut(host, place, { spec, prepared }, signal);
  } finally {
    await prepared; // nothing is written any more when this is over; it tells why, if it was the reason
  }
}

/** Makes the repository without its files. Nobody inside can reach it before this has ended. */
async function prepareWorkspace(host: Host, place: Place, spec: EnvironmentSpec, signal: AbortSignal): Promise<void> {
  const { source } = spec;
  const refs = await readMirrorRefs(source.mirrorPath, signal);
  writeRepository(join(place.workspacePart, source.repository), source, refs);
  giveTree(place.workspacePart, spec.uid, host.machine);
}

async function checkOut(
  host: Host,
  place: Place,
  { spec, prepared }: { spec: EnvironmentSpec; prepared: Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  const { source } = spec;
  writeEtc(place, makeEtcFiles(readEtcFacts(host, spec, "slipway")), host.machine);
  const inside = `${WORKSPACE}/${source.repository}`;
  const commandText = makeCommandFile({
    command: { shell: FILL },
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    folder: inside,
  });
  const passing = { place, spec, commandText, output: { maxBytes: 4096 }, limited: false, prepared };
  let end = await runInPassing(host, passing, place.workspacePart, signal);
  if (end.exitCode !== 0) {
    openMirror(source.mirrorPath); // fetched with a strict umask?
    end = await runInPassing(host, passing, place.workspacePart, signal);
  }
  if (end.exitCode === 0) return;
  throw new Fault("runtime.failed", `Cannot check out ${source.repository} ${source.branch}: ${end.stderr.trim()}`);
}

/** Removes files of an environment for good, whatever is in them; never over a link or a mount. */
export async function emptyTrash(paths: readonly string[]): Promise<void> {
  const present = paths.filter((path) => existsSync(path));
  if (present.length === 0) return;
  const remove = ["rm", "-rf", "--one-file-system", "--", ...present];
  const { exitCode } = await runProgram(remove);
  if (exitCode === 0) return;
  // An ordinary user cannot remove what is in a folder that is closed to its owner.
  await runProgram(["chmod", "-R", "u+rwX", "--", ...present]);
  await mustRun(remove);
}
