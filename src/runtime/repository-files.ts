/**
 * What a checkout that we make has in its `.git`, and what of it comes from the mirror: texts, the same on every runtime.
 * Who writes them, and where, is the runtimes' business.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Fault } from "../base/fault.ts";
import { mustRun } from "./program.ts";
import type { Source } from "./runtime.ts";

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
 * Says at which object a checkout begins.
 *
 * @throws {Fault} `repository.unreached` when the mirror has not the branch to begin at
 */
export function findBegin({ branch, fromBranch = branch, repository }: Source, { heads }: MirrorRefs): string {
  const begin = heads.get(fromBranch);
  if (begin !== undefined && isBranchName(branch)) return begin;
  const told = `${repository} has no branch "${fromBranch}" to begin at`;
  throw new Fault("repository.unreached", `Cannot check out ${repository}: ${told}`, { told });
}

/** git-check-ref-format(1), the rules that matter for a path of ours. */
export function isBranchName(name: string): boolean {
  const isClean = !/[\0-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$/.test(name) && name !== "@" && name !== "";
  return isClean && name.split("/").every((part) => !part.startsWith(".") && !part.endsWith(".lock"));
}

/** Text of a checkout's `.git/config`: like that of a clone, tracking its branch where the forge has that. */
export function makeConfig(source: Source, object: string): string {
  const isSha256 = object.length === 64; // gitformat-repository-version: an object format is an extension of version 1
  const core = `[core]\n\trepositoryformatversion = ${isSha256 ? 1 : 0}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n`;
  const extensions = isSha256 ? "[extensions]\n\tobjectFormat = sha256\n" : "";
  const remote = `[remote "origin"]\n\turl = ${quoteGit(source.originUrl)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`;
  // A branch the forge has not yet is made there by the first plain `git push`.
  const push = "[push]\n\tautoSetupRemote = true\n";
  return core + extensions + remote + makeTracking(source) + push;
}

/** The part of it that has the branch track its own at the forge; "" for one that the forge has not. */
export function makeTracking({ branch, fromBranch }: Source): string {
  if (fromBranch !== undefined) return "";
  return `[branch ${quoteGit(branch)}]\n\tremote = origin\n\tmerge = ${quoteGit(`refs/heads/${branch}`)}\n`;
}

/** Text of a checkout's `.git/packed-refs`; gitformat-packed-refs: sorted by the bytes of the name. */
export function makePackedRefs({ heads, tags }: MirrorRefs): string {
  const lines = [
    ...[...heads].map(([name, object]) => ({ name: Buffer.from(`refs/remotes/origin/${name}`), object })),
    ...[...tags].map(([name, object]) => ({ name: Buffer.from(`refs/tags/${name}`), object })),
  ];
  lines.sort((a, b) => Buffer.compare(a.name, b.name));
  return `# pack-refs with: sorted \n${lines.map(({ name, object }) => `${object} ${name.toString()}\n`).join("")}`;
}

/** git-config(1), "Syntax": between double quotes, `\\`, `\"` and `\n` stand for themselves. */
export function quoteGit(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n").replaceAll("\0", "")}"`;
}
