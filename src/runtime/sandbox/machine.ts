/**
 * What this machine is and can do, looked at once when the service starts.
 *
 * @module
 */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { join, relative } from "node:path";

import { Fault } from "../../base/fault.ts";
import { isMountablePath } from "./mount-table.ts";
import type { MountFacts } from "./mount-table.ts";
import type { Identity } from "./privileges.ts";
import { MACHINE_ENV, runProgram } from "../program.ts";
import { findSubmounts } from "./submounts.ts";

export interface MachineOptions {
  readonly stateDir: string;
  /** Folder of the root file system environments are made over. */
  readonly root: string;
  readonly hiddenPaths: readonly string[];
}

export interface Machine {
  readonly identity: Identity;
  readonly root: string;
  readonly systemFolders: MountFacts["systemFolders"];
  /** Links at the top of the root file system (`bin` → `usr/bin`). */
  readonly systemLinks: readonly { readonly name: string; readonly target: string }[];
  readonly overlay: MountFacts["overlay"];
  /** What no environment may see, whether it is there now or not. */
  readonly hiddenPaths: readonly string[];
  readonly procMasks: MountFacts["procMasks"];
  readonly procReadOnly: readonly string[];
  readonly ttyGroup: number | undefined;
  readonly lacks: readonly string[];
}

/** What is taken over from the root file system; everything else at its top stays outside. */
const SYSTEM = ["usr", "etc", "opt", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** Files of `/proc` that container engines hide too: OCI runtime specification, maskedPaths. */
const PROC_MASKS = [
  "kcore",
  "keys",
  "latency_stats",
  "timer_list",
  "timer_stats",
  "sched_debug",
  "sysrq-trigger",
  "kmsg",
  "key-users",
];

/** Folders of it that hold nothing for an environment: the same list. */
const PROC_MASKED_FOLDERS = ["acpi", "asound", "scsi"];

/** Folders of it that nobody inside writes to: OCI runtime specification, readonlyPaths. */
const PROC_READ_ONLY = ["bus", "fs", "irq", "sys"];

/** Programs of this machine, each with the Debian package that has it. */
const NEEDED = {
  bash: "bash",
  unshare: "util-linux",
  nsenter: "util-linux",
  mount: "mount",
  git: "git",
  rm: "coreutils",
  du: "coreutils",
};

/** Programs of the root file system: what the scripts beside this file start once it is their root. */
const NEEDED_INSIDE = {
  sh: "dash",
  umount: "mount",
  unshare: "util-linux",
  setpriv: "util-linux",
  setsid: "util-linux",
  date: "coreutils",
  sleep: "coreutils",
  git: "git",
};

/** `door.sh` names it so: sshd wants to be started by its whole path. */
const SSHD = "usr/sbin/sshd";

/**
 * Looks at the machine.
 *
 * @throws {Fault} `runtime.unable` naming everything that is missing
 */
export async function readMachine(options: MachineOptions): Promise<Machine> {
  checkPaths(options);
  checkPrograms(options.root);
  const root = realpathSync(options.root);
  const identity = readIdentity();
  if (identity.mode === "user") await checkNamespaces(options.stateDir);
  const top = SYSTEM.filter((name) => existsSync(join(root, name)));
  const links = top.filter((name) => lstatSync(join(root, name)).isSymbolicLink());
  const folders = top.filter((name) => !links.includes(name));
  const overlay = await probeOverlay({ stateDir: options.stateDir, root, folders }, identity);
  return {
    identity,
    root,
    systemFolders: findSystemFolders(root, folders, overlay),
    systemLinks: links.map((name) => ({ name, target: readlinkSync(join(root, name)) })),
    overlay,
    hiddenPaths: [
      ...["etc/ssh", "etc/sudoers.d", "etc/cron.d"].map((path) => join(root, path)),
      ...[options.stateDir, join(import.meta.dirname, "../../.."), ...options.hiddenPaths],
    ],
    procMasks: [
      ...PROC_MASKS.map((name) => ({ name, isFolder: false })),
      ...PROC_MASKED_FOLDERS.map((name) => ({ name, isFolder: true })),
    ].filter(({ name }) => existsSync(join("/proc", name))),
    procReadOnly: PROC_READ_ONLY.filter((name) => existsSync(join("/proc", name))),
    ttyGroup: identity.mode === "root" ? readTtyGroup(root) : undefined,
    lacks: findLacks(identity, overlay, findSystemFolders(root, folders, "plain")),
  };
}

function findLacks(
  identity: Identity,
  overlay: Machine["overlay"],
  folders: readonly { readonly name: string; readonly path: string }[],
): string[] {
  const lacks: string[] = [];
  // Namespaces keep environments apart all the same; a fault of the kernel in them would find nothing behind.
  if (identity.mode === "user") lacks.push("no user number for each environment: the service is not root");
  if (overlay === "refused") {
    const [submount] = identity.mode === "user" ? findSubmounts(readText("/proc/self/mountinfo"), folders) : [];
    const why =
      submount === undefined
        ? "overlayfs cannot be used for the state folder"
        : `${submount.path} is mounted below them, which an ordinary user's layer cannot hold`;
    lacks.push(`no layer of their own over /etc, /usr and the like: ${why}`);
  }
  return lacks;
}

/** Real folders at the top of the root. Without layers nothing of ours can be put into /opt, so its parts are shown one by one. */
function findSystemFolders(
  root: string,
  top: readonly string[],
  overlay: Machine["overlay"],
): Machine["systemFolders"] {
  const inOpt = listNames(join(root, "opt")).filter((name) => name !== "slipway");
  const names =
    overlay === "refused" ? [...top.filter((name) => name !== "opt"), ...inOpt.map((name) => `opt/${name}`)] : top;
  return names.map((name) => ({ name, path: join(root, name) })).filter(({ path }) => lstatSync(path).isDirectory());
}

function checkPaths({ stateDir, root }: MachineOptions): void {
  if (!existsSync(join(root, "."))) {
    const told = `the root file system ${root} is not there`;
    throw new Fault("runtime.unable", `Cannot run environments: ${told}`, { told });
  }
  for (const path of [stateDir, root]) {
    if (isMountablePath(path)) continue;
    const told = `"${path}" cannot be used: an absolute path without comma, colon, quote or backslash is needed`;
    throw new Fault("runtime.unable", `Cannot use "${path}": mount options cannot hold it`, { told });
  }
}

function checkPrograms(root: string): void {
  const missing = Object.entries(NEEDED).filter(([name]) => findProgram(name) === undefined);
  const missingInside = Object.entries(NEEDED_INSIDE).filter(([name]) => !isInRoot(root, name));
  if (!existsSync(join(root, SSHD))) missingInside.push([`/${SSHD}`, "openssh-server"]);
  const lacks = [
    describeMissing("this machine", missing),
    describeMissing(`the root file system ${root}`, missingInside),
  ];
  const told = lacks.filter((text) => text !== "").join("; ");
  if (told !== "") throw new Fault("runtime.unable", `Cannot run environments: ${told}`, { told });
}

function describeMissing(where: string, missing: readonly (readonly [name: string, packageName: string])[]): string {
  if (missing.length === 0) return "";
  const packages = [...new Set(missing.map(([, name]) => name))].join(" ");
  return `${where} lacks ${missing.map(([name]) => name).join(", ")} (Debian packages: ${packages})`;
}

/** Says whether a program is in a folder of the root where the same words find it inside. A link leads somewhere else there. */
function isInRoot(root: string, name: string): boolean {
  return MACHINE_ENV.PATH.split(":").some((folder) => listNames(join(root, folder)).includes(name));
}

/** Finds a program of this machine as `MACHINE_ENV` does. */
export function findProgram(name: string): string | undefined {
  return MACHINE_ENV.PATH.split(":")
    .map((folder) => join(folder, name))
    .find((path) => isExecutable(path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function readIdentity(): Identity {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  return uid === 0 ? { mode: "root" } : { mode: "user", uid, gid };
}

/** Settings by which a machine forbids an ordinary user what environments need, each with the value that allows it. */
const FORBIDDING = [
  { name: "user.max_user_namespaces", forbids: (value: number) => value === 0, allows: "above 0" },
  { name: "kernel.unprivileged_userns_clone", forbids: (value: number) => value === 0, allows: "1" },
  { name: "kernel.apparmor_restrict_unprivileged_userns", forbids: (value: number) => value === 1, allows: "0" },
];

/**
 * Tries what every start does as an ordinary user.
 *
 * @throws {Fault} `runtime.unable` saying which setting forbids it
 */
async function checkNamespaces(stateDir: string): Promise<void> {
  const folder = join(stateDir, "probe/proc");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const make = ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"];
  const { exitCode, stderr } = await runProgram([...make, "mount", "-t", "proc", "proc", folder]);
  if (exitCode === 0) return;
  const found = FORBIDDING.find(({ name, forbids }) => {
    const text = readText(join("/proc/sys", name.replaceAll(".", "/"))).trim();
    return text !== "" && forbids(Number(text));
  });
  const why =
    found === undefined
      ? `this kernel refuses it: ${stderr.trim()}`
      : `sysctl ${found.name} forbids user namespaces, and ${found.allows} allows them`;
  const told = `environments of an ordinary user cannot be made, ${why}`;
  throw new Fault("runtime.unable", `Cannot make namespaces as an ordinary user: ${why}`, { told });
}

/** Tries an overlay of each system folder in passing namespaces. */
async function probeOverlay(
  { stateDir, root, folders }: { stateDir: string; root: string; folders: readonly string[] },
  identity: Identity,
): Promise<Machine["overlay"]> {
  const words = folders.flatMap((name) => {
    const [upper, work, at] = ["upper", "work", "at"].map((kind) => join(stateDir, "probe", kind, name));
    for (const path of [upper, work, at]) mkdirSync(path ?? "", { recursive: true, mode: 0o700 });
    const layers = `lowerdir=${join(root, name)},upperdir=${upper ?? ""},workdir=${work ?? ""}`;
    return [identity.mode === "root" ? layers : `${layers},userxattr`, at ?? ""];
  });
  const user = identity.mode === "root" ? [] : ["--user", "--map-root-user"];
  const mount = 'while [ $# -gt 0 ]; do mount -t overlay overlay -o "$1" "$2" || exit 1; shift 2; done';
  const { exitCode } = await runProgram(["unshare", ...user, "--mount", "sh", "-c", mount, "sh", ...words]);
  // What overlayfs leaves is closed to its owner, and whoever removes the state folder by hand would be refused.
  await runProgram(["chmod", "-R", "u+rwX", "--", join(stateDir, "probe")]);
  rmSync(join(stateDir, "probe"), { recursive: true });
  if (exitCode !== 0) return "refused";
  return identity.mode === "root" ? "plain" : "userxattr";
}

/** Says which of the hidden paths are there and would be seen, because they lie below a system folder of the root. */
export function findHidden({ root, hiddenPaths, overlay }: Machine): MountFacts["hidden"] {
  const top = realpathSync(root);
  return hiddenPaths
    .filter((path) => existsSync(path))
    .map((path) => relative(top, realpathSync(path)))
    .flatMap((path) => (SYSTEM.includes(path) ? listNames(join(top, path)).map((name) => join(path, name)) : [path]))
    .filter((path) => SYSTEM.includes(path.split("/")[0] ?? ""))
    .filter((path) => path !== "opt/slipway" && !path.startsWith("opt/slipway/")) // behind our own folder anyway
    .map((path) => {
      const isFolder = statSync(join(top, path)).isDirectory();
      // Without layers the root's own /etc is seen elsewhere, through links.
      return { isFolder, path: overlay === "refused" ? path.replace(/^etc\//, "opt/slipway/etc/") : path };
    });
}

/** Number of the group `tty` of the root file system, to whom terminals belong: `sshd` insists on it. */
function readTtyGroup(root: string): number | undefined {
  const [, number] = /^tty:[^:]*:([0-9]+):/m.exec(readText(join(root, "etc/group"))) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** Text of a file, "" when it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Names in a folder, none when it cannot be read. */
export function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
