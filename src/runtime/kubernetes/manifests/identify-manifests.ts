/**
 * Names what manifests are made from, without rendering them: git's ids of the files, which are the same for the same
 * contents.
 *
 * Called for each login that a member of a pool might do for, so it asks git a few short questions and no more.
 *
 * @module
 */
import { posix } from "node:path";
import { runProgram } from "../../program.ts";
import { gitIn, type MirrorRevision } from "./mirror-tree.ts";
import { KUSTOMIZATIONS } from "./render-folder.ts";

/**
 * Identifies manifests.
 *
 * @param paths of a definition, in normal form; "." is the whole repository
 * @returns by path the id of what it is made from, `null` where there is nothing
 */
export async function identifyManifests(
  at: MirrorRevision,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<Record<string, string | null>> {
  const ids = paths.map(async (path) => [path, await idOf(at, await reachOf(at, path, signal), signal)] as const);
  return Object.fromEntries(await Promise.all(ids));
}

async function idOf(
  { mirrorPath, revision }: MirrorRevision,
  path: string,
  signal: AbortSignal,
): Promise<string | null> {
  const name = `${revision}:${path === "." ? "" : path}`;
  const { exitCode, stdout } = await runProgram(
    [...gitIn(mirrorPath), "rev-parse", "-q", "--verify", name],
    {},
    signal,
  );
  return exitCode === 0 ? stdout.trim() : null;
}

/**
 * Finds what has everything in it that a path is made from: an overlay is built on folders beside it, and those on others.
 * All of the folder counts that has both in it, so more may be found than is used.
 */
async function reachOf(at: MirrorRevision, path: string, signal: AbortSignal): Promise<string> {
  let reach = KUSTOMIZATIONS.includes(posix.basename(path)) ? posix.dirname(path) : path;
  for (;;) {
    const next = (await topsOf(at, reach, signal)).reduce(commonFolder, reach);
    if (next === reach) return reach;
    reach = next;
  }
}

/** How high the Kustomizations below a path go. */
async function topsOf({ mirrorPath, revision }: MirrorRevision, path: string, signal: AbortSignal): Promise<string[]> {
  const words = [...gitIn(mirrorPath), "grep", "-I", "-o", "-z", "-E", String.raw`\.\.(/\.\.)*`, revision, "--"];
  const folder = path === "." ? "" : `${path}/`.replace(/[*?[\\]/g, String.raw`\$&`);
  const { stdout } = await runProgram(
    [...words, ...KUSTOMIZATIONS.map((name) => `:(top,glob)${folder}**/${name}`)],
    {},
    signal,
  );
  return stdout.split("\n").flatMap((line) => {
    // <revision>:<path> NUL <what was found>
    const [file, up] = line.slice(revision.length + 1).split("\0");
    return file === undefined || up === undefined ? [] : [posix.join(posix.dirname(file), up)];
  });
}

/** The folder that has both in it; what is beyond the repository is all of it. */
function commonFolder(one: string, other: string): string {
  const [mine, theirs] = [one, other].map((path) => (path === "." ? [] : path.split("/")));
  const end = (mine ?? []).findIndex((part, index) => part !== theirs?.[index]);
  const shared = end === -1 ? mine : mine?.slice(0, end);
  return shared === undefined || shared.length === 0 ? "." : shared.join("/");
}
