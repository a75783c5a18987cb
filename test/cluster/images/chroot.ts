/**
 * Root file systems of images under construction: unpacked, packed, copied into and run in.
 *
 * Needs root. What runs in one sees its own processes only, has this machine's network and no terminal.
 *
 * @module
 */
import { copyFileSync, existsSync, lstatSync, mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { mustRun, run } from "../../harness/program.ts";

/** A build may take long: packages are fetched and unpacked. */
const RUN_MS = 600_000;

export async function unpack(tar: string, root: string): Promise<void> {
  await mustRun(["tar", "--extract", "--file", tar, "--numeric-owner", "--preserve-permissions", "-C", root], {
    timeoutMs: RUN_MS,
  });
}

/** Writes a tar of everything below `root`. Whoever reads `tar` sees all of it: give it a name of its own first. */
export async function pack(root: string, tar: string): Promise<void> {
  await mustRun(["tar", "--create", "--file", tar, "--numeric-owner", "--sort=name", "-C", root, "."], {
    timeoutMs: RUN_MS,
  });
}

export interface RunIn {
  readonly root: string;
  readonly line: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** Name or number, with a group or not. */
  readonly user: string;
}

/** Runs a shell line in a root file system. @throws {Error} with the end of what it said */
export async function runIn({ root, line, env, workdir, user }: RunIn): Promise<void> {
  const resolver = join(root, "etc/resolv.conf");
  const [apt, authorities] = [join(root, APT_CONFIG), join(root, AUTHORITIES)];
  const hadResolver = existsSync(resolver);
  if (!hadResolver) writeFileSync(resolver, "");
  writeFileSync(apt, await readAptConfig());
  const trusted = process.env["NODE_EXTRA_CA_CERTS"];
  if (trusted !== undefined) copyFileSync(trusted, authorities);
  const machine = {
    APT_CONFIG: `/${APT_CONFIG}`,
    ...(await readNpmEnv()),
    ...(trusted === undefined ? {} : { NODE_EXTRA_CA_CERTS: `/${AUTHORITIES}` }),
  };
  try {
    const script = `mount --bind /etc/resolv.conf "$0/etc/resolv.conf" && mount -t proc proc "$0/proc" &&
      exec chroot ${user === "" ? "" : `--userspec="$3"`} "$0" /bin/sh -c 'cd "$0" && eval "$1"' "$1" "$2"`;
    await mustRun(
      // prettier-ignore
      ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", script, root, workdir, line, user],
      { env: { ...env, ...machine }, timeoutMs: RUN_MS },
    );
  } finally {
    for (const file of [apt, authorities]) rmSync(file, { force: true });
    if (!hadResolver) rmSync(resolver, { force: true });
  }
}

/** What this machine needs for reaching packages is there while something runs, and no part of an image. */
const APT_CONFIG = ".slipway-apt.conf";
const AUTHORITIES = ".slipway-authorities.crt";

/** How this machine is told to fetch Debian's packages; where from is in the sources of the base. */
async function readAptConfig(): Promise<string> {
  const lines = (await mustRun(["apt-config", "dump"])).split("\n");
  return lines.filter((line) => /^Acquire::(http|https|Check-\S+)\b/i.test(line)).join("\n") + "\n";
}

/** Where this machine gets npm's packages from. */
async function readNpmEnv(): Promise<Record<string, string>> {
  const { exitCode, stdout } = await run(["npm", "config", "get", "registry"], { env: { HOME: "/root" } });
  return exitCode === 0 ? { npm_config_registry: stdout.trim() } : {};
}

export interface CopyIn {
  /** Folder that `sources` are below. */
  readonly from: string;
  readonly sources: readonly string[];
  readonly root: string;
  readonly target: string;
  /** Whose the copies are; as they were without it. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** Copies as COPY does: of a folder what is in it, a file to a name or, when `target` ends with "/", into a folder. */
export async function copyIn({ from, sources, root, target, owner }: CopyIn): Promise<void> {
  const into = inside(root, target);
  const owned = owner === undefined ? [] : [`--owner=${owner.uid}`, `--group=${owner.gid}`];
  for (const source of sources) {
    const path = inside(from, source);
    const isFolder = lstatSync(path).isDirectory();
    const to = isFolder || target.endsWith("/") ? into : dirname(into);
    mkdirSync(to, { recursive: true });
    const [folder, name] = isFolder ? [path, "."] : [dirname(path), basename(path)];
    const renamed = isFolder || target.endsWith("/") ? [] : ["--transform", `s|^.*$|${basename(into)}|`];
    const script = `tar --create --file - --numeric-owner "$@" | tar --extract --file - --numeric-owner --preserve-permissions -C "$0"`;
    // prettier-ignore
    const words = ["bash", "-o", "pipefail", "-c", script, to, ...owned, ...renamed, "-C", folder, name];
    await mustRun(words, { timeoutMs: RUN_MS });
  }
}

/** Says where a path of `root` is; one that a link leads out of it is refused. */
function inside(root: string, path: string): string {
  const whole = join(root, path);
  let there = whole;
  while (!existsSync(there)) there = dirname(there);
  if (!`${realpathSync(there)}/`.startsWith(`${realpathSync(root)}/`)) {
    throw new Error(`Cannot copy ${path}: it is outside of its root`);
  }
  return whole;
}
