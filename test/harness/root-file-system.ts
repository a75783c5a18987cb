/**
 * A small root file system, for environments that are not made over the machine's: the machine's programs
 * that an environment is made of, with the libraries they need, and an `/etc` of its own.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What an environment needs of its root file system, and what the tests look at it with. */
const PROGRAMS = [
  ...["bash", "git", "sh", "setpriv", "setsid", "sshd", "umount", "unshare"],
  ...["cat", "chmod", "date", "grep", "id", "ls", "mkdir", "sleep", "stat", "touch"],
];
const FOLDERS = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Text of its `/etc/os-release`. */
export const OS_RELEASE = 'NAME="Root of a test"\nID=slipway-test\n';

/** Makes one at `root`, as distributions lay theirs out: everything in `/usr`, with links at the top. */
export function makeRootFileSystem(root: string, options: { readonly without?: string } = {}): void {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(join("usr", name), join(root, name));
  }
  const programs = PROGRAMS.filter((name) => name !== options.without).map(findOnMachine);
  for (const path of [...programs, ...new Set(programs.flatMap(listLibraries))]) copy(path, root);
  mkdirSync(join(root, "etc/ssh"), { recursive: true });
  const files = {
    passwd:
      "root:x:0:0::/root:/bin/sh\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\nperson:x:1000:1000::/home/person:/bin/sh\n",
    group: "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "os-release": OS_RELEASE,
    "ssh/ssh_host_ed25519_key": "a secret of the root file system\n",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, "etc", name), text);
  for (const name of ["etc", ""]) chmodSync(join(root, name), 0o755);
}

function findOnMachine(name: string): string {
  const path = FOLDERS.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error(`Cannot find ${name} on this machine`);
  return path;
}

/** By ldd(1): a word that begins with "/" on each line is a library. */
function listLibraries(path: string): string[] {
  const { stdout } = spawnSync("ldd", [path], { encoding: "utf8" });
  return stdout.match(/\/\S+/g) ?? [];
}

/** To the same path below `root`, whatever is a link on the machine. */
function copy(path: string, root: string): void {
  const to = join(root, path);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(path), to);
}
