/**
 * Makes the checkout of a branch that borrows its objects from a bare mirror: `git clone --shared` by hand.
 *
 * The repository's few own files are written here (gitrepository-layout(5)); then one `git read-tree` inside, as the
 * environment's user, writes the files of the branch.
 *
 * @module
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

import { Fault } from "../../base/fault.ts";
import type { Source } from "../runtime.ts";
import { quoteGit } from "./etc-files.ts";
import { INSIDE } from "./layout.ts";
import { mustRun } from "./program.ts";

/** Where the mirror's objects are inside, below `INSIDE`. */
export function mirrorMount(repository: string): string {
  return `mirror/${repository}.git/objects`;
}

/** The mirror's branches and tags, and its default branch. */
export interface MirrorRefs {
  /** Name of the branch → object name. */
  readonly heads: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
  readonly defaultBranch: string | undefined;
}

/** Reads what a mirror has. */
export async function readMirrorRefs(mirrorPath: string, signal: AbortSignal): Promise<MirrorRefs> {
  const format = "--format=%(objectname) %(refname)";
  const words = ["git", "--git-dir", mirrorPath, "for-each-ref", format, "refs/heads", "refs/tags"];
  const text = await mustRun(words, { maxBytes: 64 * 1024 * 1024 }, signal);
  const [heads, tags] = [new Map<string, string>(), new Map<string, string>()];
  for (const line of text.split("\n")) {
    const [, object = "", kind, name = ""] = /^([0-9a-f]+) refs\/(heads|tags)\/(.+)$/.exec(line) ?? [];
    if (kind !== undefined) (kind === "heads" ? heads : tags).set(name, object);
  }
  const [, defaultBranch] = /^ref: refs\/heads\/(.+)$/m.exec(readFileSync(join(mirrorPath, "HEAD"), "utf8")) ?? [];
  return { heads, tags, defaultBranch };
}

/**
 * Writes the repository `folder/.git` with `branch` as its current branch and no files yet.
 *
 * @throws {Fault} `repository.unreached` when the mirror has not the branch to begin at
 */
export function writeRepository(folder: string, source: Source, refs: MirrorRefs): void {
  const { branch, fromBranch, repository } = source;
  const begin = refs.heads.get(fromBranch ?? branch);
  if (begin === undefined || !isBranchName(branch)) {
    const told = `${repository} has no branch "${fromBranch ?? branch}" to begin at`;
    throw new Fault("repository.unreached", `Cannot check out ${repository}: ${told}`, { told });
  }
  const git = join(folder, ".git");
  for (const name of ["objects/info", "objects/pack", "refs/tags", "refs/remotes/origin", "info", "hooks"])
    makeFolders(git, name);
  makeFolders(git, join("refs/heads", branch, ".."));
  const files: Record<string, string> = {
    HEAD: `ref: refs/heads/${branch}\n`,
    config: makeConfig(source, begin),
    "objects/info/alternates": `${INSIDE}/${mirrorMount(repository)}\n`,
    "packed-refs": makePackedRefs(refs),
    [`refs/heads/${branch}`]: `${begin}\n`,
  };
  if (refs.defaultBranch !== undefined && refs.heads.has(refs.defaultBranch)) {
    files["refs/remotes/origin/HEAD"] = `ref: refs/remotes/origin/${refs.defaultBranch}\n`;
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(git, name), text);
}

/** Line for a shell inside that fills the checkout. LFS files stay pointers: there is no network and no credential yet. */
export const FILL = `GIT_LFS_SKIP_SMUDGE=1 git -c checkout.workers=${availableParallelism()} -c checkout.thresholdForParallelism=2000 \
-c core.hooksPath=/dev/null read-tree -u --reset HEAD`;

/** git-check-ref-format(1), the rules that matter for a path of ours. */
export function isBranchName(name: string): boolean {
  const isClean = !/[\0-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$/.test(name) && name !== "@" && name !== "";
  return isClean && name.split("/").every((part) => !part.startsWith(".") && !part.endsWith(".lock"));
}

function makeConfig({ originUrl, branch, fromBranch }: Source, object: string): string {
  const isSha256 = object.length === 64; // gitformat-repository-version: an object format is an extension of version 1
  const core = `[core]\n\trepositoryformatversion = ${isSha256 ? 1 : 0}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n`;
  const extensions = isSha256 ? "[extensions]\n\tobjectFormat = sha256\n" : "";
  const remote = `[remote "origin"]\n\turl = ${quoteGit(originUrl)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`;
  const tracking = `[branch ${quoteGit(branch)}]\n\tremote = origin\n\tmerge = ${quoteGit(`refs/heads/${branch}`)}\n`;
  // A branch the forge has not yet is made there by the first plain `git push`.
  const push = "[push]\n\tautoSetupRemote = true\n";
  return core + extensions + remote + (fromBranch === undefined ? tracking : "") + push;
}

/** gitformat-packed-refs: sorted by the bytes of the name. */
function makePackedRefs({ heads, tags }: MirrorRefs): string {
  const lines = [
    ...[...heads].map(([name, object]) => ({ name: Buffer.from(`refs/remotes/origin/${name}`), object })),
    ...[...tags].map(([name, object]) => ({ name: Buffer.from(`refs/tags/${name}`), object })),
  ];
  lines.sort((a, b) => Buffer.compare(a.name, b.name));
  return `# pack-refs with: sorted \n${lines.map(({ name, object }) => `${object} ${name.toString()}\n`).join("")}`;
}

/** Lets every user number read the objects of a mirror, whatever the umask it was fetched with. */
export function openMirror(mirrorPath: string): void {
  const objects = join(mirrorPath, "objects");
  for (const name of ["", ...readdirSync(objects)]) {
    const folder = join(objects, name);
    const names = name === "" ? [] : readdirSync(folder);
    for (const path of [folder, ...names.map((inner) => join(folder, inner))]) {
      const { mode } = lstatSync(path);
      const wanted = mode | ((mode & 0o040000) === 0 ? 0o444 : 0o555);
      if (wanted !== mode) chmodSync(path, wanted & 0o7777);
    }
  }
}

function makeFolders(git: string, name: string): void {
  mkdirSync(join(git, name), { recursive: true });
}
