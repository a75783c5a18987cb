/**
 * Gathers what a launch mounts, and writes it down for `mount -a`.
 *
 * @module
 */
import { existsSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { EnvironmentSpec } from "../runtime.ts";
import { mirrorMount } from "./checkout.ts";
import { groupMounts } from "./control-groups.ts";
import type { Host } from "./host.ts";
import type { Place } from "./layout.ts";
import { findHidden, listNames, readText } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { makeMountTable } from "./mount-table.ts";
import { makeMountPoint } from "./skeleton.ts";
import { findSubmounts } from "./submounts.ts";
import type { Submount } from "./submounts.ts";

/** Without a limit on memory, `/dev/shm` may take this much: browsers want more than the 64 MiB of container engines. */
const SHM_BYTES = 256 * 1024 * 1024;

/** Writes the mount table of an environment, and makes the places it mounts on. */
export function prepareMounts(
  host: Host,
  place: Place,
  spec: EnvironmentSpec,
  { user, workspace, limited }: { user: string; workspace: string; limited: boolean },
): void {
  const { machine } = host;
  const tools = Object.entries(host.tools).map(([name, path]) => [`bin/${name}`, path] as const);
  const etc = machine.overlay === "refused" ? [["etc", join(machine.root, "etc")] as const] : [];
  const extras = Object.fromEntries([
    ...etc,
    ...tools,
    [mirrorMount(spec.source.repository), join(spec.source.mirrorPath, "objects")],
  ]);
  for (const [name, path] of Object.entries(extras)) {
    makeMountPoint(join(place.inside, name), statSync(path).isDirectory() ? "folder" : "file");
  }
  const controlGroups = limited ? groupMounts(host.groups, place.id) : {};
  const points = [join("home", user), ...Object.keys(controlGroups).map((name) => join("sys/fs/cgroup", name))];
  for (const point of points) makeMountPoint(join(place.root, point), "folder");
  for (const other of listNames(join(place.root, "home")))
    if (other !== user) rmdirSync(join(place.root, "home", other));
  const isRoot = machine.identity.mode === "root";
  const table = makeMountTable({
    ...machine,
    systemFolders: machine.systemFolders.filter(({ path }) => existsSync(path)),
    submounts: listSubmounts(machine, place),
    hidden: findHidden(machine),
    place,
    workspace,
    user,
    uid: isRoot ? spec.uid : machine.identity.uid,
    owner: isRoot ? spec.uid : 0,
    extras,
    controlGroups,
    shmBytes: Math.floor((spec.limits.memoryBytes ?? 2 * SHM_BYTES) / 2),
  });
  writeFileSync(place.mountTable, table, { mode: 0o600 });
}

/** What is mounted below the system now, but for what environments have of their own in its place. */
function listSubmounts({ systemFolders, overlay }: Machine, place: Place): Submount[] {
  const found = findSubmounts(readText("/proc/self/mountinfo"), systemFolders).filter(
    ({ name, path }) => existsSync(path) && !`${name}/`.startsWith("opt/slipway/"),
  );
  // Without layers the root's own /etc is seen elsewhere, through links.
  if (overlay === "refused")
    return found.map((one) => ({ ...one, name: one.name.replace(/^etc\//, "opt/slipway/etc/") }));
  return found.filter(({ name }) => !existsSync(join(place.upper, name)));
}
