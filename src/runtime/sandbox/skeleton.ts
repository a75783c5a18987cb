/**
 * Makes the folders and small files of an environment on this machine. All of it can be done again at any time.
 *
 * Writes only where nobody inside can: a link put in our way by a person would be followed as root.
 *
 * @module
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { Fault } from "../../base/fault.ts";
import { isUserName } from "./etc-files.ts";
import type { EtcFiles } from "./etc-files.ts";
import { makeHostKey } from "../host-key.ts";
import { INSIDE, WORKSPACE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { listNames } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { DEVICES } from "./mount-table.ts";
import { isCode, replaceFile } from "./stored.ts";

/** Folders of the new root with their modes. */
const ROOT_FOLDERS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    ["dev/pts", "dev/shm", "etc", "home", "media", "mnt", "opt", "proc", "run"].map((name) => [name, 0o755]),
  ),
  ...Object.fromEntries(["srv", "sys/fs/cgroup", "usr", "workspace"].map((name) => [name, 0o755])),
  ...Object.fromEntries(["cache", "lib", "local", "log", "mail", "opt", "spool"].map((name) => [`var/${name}`, 0o755])),
  root: 0o700,
  tmp: 0o755,
  "var/tmp": 0o755,
};

const ROOT_LINKS: Readonly<Record<string, string>> = {
  "dev/fd": "/proc/self/fd",
  "dev/stdin": "/proc/self/fd/0",
  "dev/stdout": "/proc/self/fd/1",
  "dev/stderr": "/proc/self/fd/2",
  "dev/ptmx": "pts/ptmx",
  "var/run": "/run",
  "var/lock": "/run/lock",
};

const SCRIPTS = {
  ...{ "init.sh": "init.sh", "runner.sh": "runner.sh", "door.sh": "door.sh", "shell.sh": "shell" },
  "git-credential.sh": "git-credential",
};

/** Makes what every launch needs. `uid` owns the home folder and the inner sshd's key. */
export function makeSkeleton(place: Place, machine: Machine, uid: number): void {
  for (const [name, mode] of Object.entries(ROOT_FOLDERS)) makeFolder(join(place.root, name), mode);
  for (const name of DEVICES) touch(join(place.root, "dev", name));
  for (const [name, target] of Object.entries(ROOT_LINKS)) link(target, join(place.root, name));
  for (const { name, target } of machine.systemLinks) link(target, join(place.root, name));
  for (const { name } of machine.systemFolders) {
    for (const folder of [place.root, place.upper, place.work]) makeFolder(join(folder, name), 0o755);
  }
  for (const folder of [place.root, place.upper]) makeFolder(join(folder, "opt/slipway"), 0o755);
  makeFolder(place.empty, 0o555);
  makeFolder(place.tmp, 0o1777);
  makeFolder(place.varTmp, 0o1777);
  for (const name of ["bin", "mirror", "ssh", "sessions", "commands"]) makeFolder(join(place.inside, name), 0o755);
  for (const [from, to] of Object.entries(SCRIPTS)) {
    copyFileSync(join(import.meta.dirname, from), join(place.inside, to));
    chmodSync(join(place.inside, to), 0o755);
  }
  if (makeFolder(place.home, 0o755)) giveTo(place.home, uid, machine);
  makeKey(place, machine, uid);
}

/** Gives a new file or folder to the environment's user; an ordinary user's own are the environment's already. */
function giveTo(path: string, uid: number, { identity }: Machine): void {
  if (identity.mode === "root") chownSync(path, uid, uid);
}

/** Gives a folder and all in it. For what we have just written ourselves: the user must not have reached it yet. */
export function giveTree(path: string, uid: number, machine: Machine): void {
  if (machine.identity.mode !== "root") return;
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), uid, uid);
  }
  lchownSync(path, uid, uid);
}

/** Writes a file that the environment's user alone can read, below `INSIDE`. */
export function writePrivate(path: string, text: string, owner: { uid: number; machine: Machine }): void {
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: 0o600, flag: "wx" });
  giveTo(path, owner.uid, owner.machine);
}

/** Writes the environment's own files of `/etc`. Not while it runs: a mounted overlay may not see them. */
export function writeEtc(place: Place, files: EtcFiles, machine: Machine): void {
  const etc = join(place.upper, "etc");
  if (machine.overlay === "refused") {
    rmSync(etc, { recursive: true, force: true });
    linkEtc(etc, "", machine);
  }
  for (const [name, text] of Object.entries(files)) {
    const path = join(etc, name);
    makeFolder(dirname(path), 0o755);
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode: 0o644, flag: "wx" });
  }
}

/** Without layers, fills `/etc` with links to the root's own, which is then seen at `INSIDE/etc`. */
function linkEtc(etc: string, below: string, machine: Machine): void {
  makeFolder(join(etc, below), 0o755);
  const from = join(machine.root, "etc", below);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (path === "profile.d")
      linkEtc(etc, path, machine); // has a file of ours among the root's
    else if (entry.isSymbolicLink()) link(readlinkSync(join(from, entry.name)), join(etc, path));
    else link(join(INSIDE, "etc", path), join(etc, path));
  }
}

/** Makes an empty file or folder of ours, below `inside` or `root`, to mount on. */
export function makeMountPoint(path: string, kind: "file" | "folder"): void {
  if (kind === "folder") makeFolder(path, 0o755);
  else touch(path);
}

/**
 * Makes the workspace folder of a definition lead to the checkout, when it is not in `/workspace` itself.
 *
 * @throws {Fault} `environment.failed` when something else is there
 */
export function linkWorkspace(place: Place, repository: string, workspaceFolder: string): void {
  const own = `${WORKSPACE}/${repository}`;
  rmSync(join(place.inside, "workspace"), { force: true });
  symlinkSync(workspaceFolder, join(place.inside, "workspace"));
  if (workspaceFolder === own || workspaceFolder.startsWith(`${own}/`) || workspaceFolder === WORKSPACE) return;
  const parts = workspaceFolder.split("/").slice(1);
  const isPlain =
    workspaceFolder.startsWith("/") && parts.every((part) => part !== "" && part !== "." && part !== "..");
  // A folder at the top that is none of the system's: all on the way is made by root and changed by nobody.
  const isFree = parts.length > 1 && !listReserved(place).includes(parts[0] ?? "");
  if (!isPlain || !isFree || /[\0-\x1f]/.test(workspaceFolder)) {
    const told = `workspaceFolder "${workspaceFolder}" cannot be used; ${own}, or a folder like /workspaces/${repository}, can`;
    throw new Fault("environment.failed", `Cannot begin in "${workspaceFolder}": that place is taken`, { told });
  }
  makeFolder(join(place.root, ...parts.slice(0, -1)), 0o755);
  link(own, join(place.root, ...parts));
}

/** Names at the top of the new root that are there without a definition. */
function listReserved(place: Place): string[] {
  const made = Object.keys(ROOT_FOLDERS).map((name) => name.split("/")[0] ?? "");
  return [...made, ...listNames(place.upper), "bin", "sbin", "lib", "lib64", "slipway"];
}

/** Says which host key the inner sshd has, in SSH wire form. */
export function readHostKey(place: Place): Buffer {
  const [, blob = ""] = readFileSync(keyPath(place, ".pub"), "utf8").split(" ");
  return Buffer.from(blob, "base64");
}

/** The public half is written last: where it is, the key is whole. */
function makeKey(place: Place, machine: Machine, uid: number): void {
  if (existsSync(keyPath(place, ".pub"))) return;
  const key = makeHostKey();
  writePrivate(keyPath(place, ""), key.privateText, { uid, machine });
  replaceFile(keyPath(place, ".pub"), `ssh-ed25519 ${key.publicBlob.toString("base64")} slipway\n`, "quick", 0o644);
}

function keyPath(place: Place, end: "" | ".pub"): string {
  return join(place.inside, "ssh", `host_ed25519${end}`);
}

/** Lets the gateway, and nobody else, sign in at the inner sshd. */
export function writeAuthorizedKey(place: Place, line: string): void {
  replaceFile(join(place.inside, "ssh/authorized_keys"), `${line.trim()}\n`, "quick", 0o644);
}

/**
 * Checks a user name from a definition.
 *
 * @throws {Fault} `environment.failed`
 */
export function checkUserName(name: string): void {
  if (isUserName(name)) return;
  const told = `user name "${name}" cannot be used: 1 to 32 of a-z, 0-9, - and _ are needed, beginning with a letter`;
  throw new Fault("environment.failed", `Cannot make user "${name}": it is no POSIX account name`, { told });
}

/** Makes a folder with exactly this mode, whatever the umask; says whether it is new. */
function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (isCode(error, "EEXIST") && lstatSync(path).isDirectory()) return false;
    // An ordinary user's environment can write to its /etc, and so put a link where a folder of ours belongs.
    if (isCode(error, "EEXIST")) rmSync(path);
    else if (isCode(error, "ENOENT")) makeFolder(dirname(path), 0o755);
    else throw error;
    mkdirSync(path, { mode });
  }
  chmodSync(path, mode);
  return true;
}

function touch(path: string): void {
  if (!existsSync(path)) writeFileSync(path, "", { mode: 0o644 });
}

function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
  }
}
