/**
 * An ordinary user of this machine, to start a service as. The tests are mostly root themselves; then it is a user number
 * that nobody has, with an account that is in `/etc` of its own mount namespace alone. Tests of an ordinary user are that
 * user.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Traces } from "./leftovers.ts";

export interface OrdinaryUser extends Disposable {
  readonly uid: number;
  /** Holds what is here of them. */
  readonly folder: string;
  /** Empty, and theirs. */
  readonly home: string;
  /** Words before a program to run it as them; it keeps the process id. */
  readonly words: readonly string[];
  /** Gives them a folder and all in it. */
  give(path: string): void;
  /** By which number processes of theirs are found that are left; by none where it is that of whoever runs the tests. */
  readonly uids: Pick<Traces, "firstUid" | "uidCount">;
}

/**
 * `whole`: as on most machines. `mounted`: `/etc/passwd` is a mount of its own, as container engines make them. `none`: the
 * number has no account.
 */
export type Account = "whole" | "mounted" | "none";

const NAME = "walter";

/** Script that lays an account over `/etc`, the first of its words a folder with `passwd` and `group`. */
const OVERLAID = 'mount -t overlay overlay -o "lowerdir=$1:/etc" /etc; shift; exec "$@"';
const MOUNTED = 'for name in passwd group; do mount --bind "$1/$name" "/etc/$name"; done; shift; exec "$@"';

/** Makes one. */
export function openOrdinaryUser(account: Account = "whole"): OrdinaryUser {
  const folder = mkdtempSync(join(tmpdir(), "slipway-user-"));
  const self = process.getuid?.() ?? 0;
  const uid = self === 0 ? randomInt(61_000, 65_000) : self; // not given out by adduser: Debian policy 9.2.2
  const home = join(folder, "home");
  const etc = join(folder, "etc");
  for (const path of [home, etc]) mkdirSync(path, { mode: 0o755 });
  chmodSync(folder, 0o755);
  const isRoot = self === 0;
  const give = (path: string): void => {
    if (isRoot) giveFolder(path, uid);
  };
  give(home);
  for (const [file, line] of [
    ["passwd", `${NAME}:x:${uid}:${uid}::${home}:/bin/sh`],
    ["group", `${NAME}:x:${uid}:`],
  ] as const) {
    writeFileSync(join(etc, file), `${readFileSync(join("/etc", file), "utf8")}${line}\n`);
  }
  const become = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  const lay = ["unshare", "--mount", "sh", "-e", "-c", account === "whole" ? OVERLAID : MOUNTED, "sh", etc];
  return {
    ...{ uid, folder, home, give },
    words: isRoot ? [...(account === "none" ? [] : lay), ...become] : [],
    uids: { firstUid: uid, uidCount: isRoot ? 1 : 0 },
    [Symbol.dispose]: () => {
      // What overlayfs keeps in environments that are still there is closed to its owner.
      spawnSync("chmod", ["-R", "u+rwX", "--", folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Gives a folder and all in it to a user number, for tests of an ordinary user. */
export function giveFolder(folder: string, uid: number): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chownSync(join(entry.parentPath, entry.name), uid, uid);
  }
  chownSync(folder, uid, uid);
}
