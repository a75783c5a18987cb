/**
 * Makes the checkout of a branch that borrows its objects from a bare mirror: `git clone --shared` by hand.
 *
 * The repository's few own files are written here (gitrepository-layout(5)); then one `git read-tree` inside, as the
 * environment's user, writes the files of the branch.
 *
 * @module
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

import type { Source } from "../runtime.ts";
import { findBegin, makeConfig, makePackedRefs, type MirrorRefs } from "../repository-files.ts";
import { INSIDE } from "./layout.ts";

/** Where the mirror's objects are inside, below `INSIDE`. */
export function mirrorMount(repository: string): string {
  return `mirror/${repository}.git/objects`;
}

/**
 * Writes the repository `folder/.git` with `branch` as its current branch and no files yet.
 *
 * @throws {Fault} `repository.unreached` when the mirror has not the branch to begin at
 */
export function writeRepository(folder: string, source: Source, refs: MirrorRefs): void {
  const { branch, repository } = source;
  const begin = findBegin(source, refs);
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
