/**
 * Writes an authorized_keys file as a stock OpenSSH server takes it: whole or not at all, on the disk, readable by all
 * and written to by nobody else.
 *
 * Called by `keep-authorized-keys.ts` and `slip authorized-keys --folder`.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../base/fault.ts";

/** Tells our files from others that somebody put there. */
const HEAD = "# Written by Slipway, which replaces and empties it";

/**
 * Replaces the file of a user. For nobody it is empty: a file that is taken away, or left as it is, would let those in
 * that were in it before.
 *
 * @throws {Fault} `state.unwritable`; the file is as it was then
 */
export async function writeKeysFile(folder: string, user: string, lines: readonly string[]): Promise<void> {
  const path = join(folder, user);
  const next = join(folder, `.${user}.${process.pid}.new`);
  const text = lines.length === 0 ? "" : [HEAD, ...lines, ""].join("\n");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    // sshd reads it as the user who logs in, and refuses one that others may write to: sshd_config(5), StrictModes.
    await using file = await open(next, "w", 0o644);
    await file.chmod(0o644); // whatever the umask
    await file.writeFile(text);
    await file.sync();
    await rename(next, path);
    await using around = await open(folder);
    await around.sync(); // else a crash may bring back those who were taken out
  } catch (cause) {
    await rm(next, { force: true }).catch(() => {});
    throw new Fault("state.unwritable", `Cannot write ${path}`, { cause });
  }
}

/** Lists the users who have a file of ours in a folder with somebody in it; takes away what a crash left half done. */
export async function listKeysFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const users: string[] = [];
  for (const name of names) {
    if (/^\..*\.\d+\.new$/.test(name)) await rm(join(folder, name), { force: true });
    else if (await isOurs(join(folder, name))) users.push(name);
  }
  return users;
}

async function isOurs(path: string): Promise<boolean> {
  try {
    return (await readFile(path, "utf8")).startsWith(HEAD);
  } catch {
    return false; // a folder, or gone
  }
}
