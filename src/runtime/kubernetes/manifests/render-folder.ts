/**
 * Folders that a program has to make objects of: Kustomize's and Helm's.
 *
 * @module
 */
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { type MirrorRevision, readFiles, type TreeFile } from "./mirror-tree.ts";
import { type Fence, findProgram, isRoot, runRenderer } from "./run-renderer.ts";

/** A folder and what it is of. */
export interface RenderableFolder {
  /** In the repository; "" for all of it. */
  readonly path: string;
  readonly type: "kustomize" | "helm";
}

/** What the file is called that makes a folder one of Kustomize. */
export const KUSTOMIZATIONS = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/** Says what a folder is by the names of the files in it. */
export function typeOfFolder(names: readonly string[]): "kustomize" | "helm" | "plain" {
  if (names.some((name) => KUSTOMIZATIONS.includes(name))) return "kustomize";
  return names.includes("Chart.yaml") ? "helm" : "plain";
}

/** Of one file, and of all of them: what these programs read is text that somebody wrote. */
const FILE_BYTES = 1_024 * 1_024;
const TOTAL_BYTES = 64 * 1_024 * 1_024;
const FILES_MAX = 20_000;

export interface Extracted extends AsyncDisposable {
  /** Absolute, on this machine; the files are in `tree` below it. */
  readonly path: string;
  /** Which of the files are Kustomizations, by folder; "." is the whole repository. */
  readonly kustomizations: ReadonlyMap<string, readonly string[]>;
}

/**
 * Writes the files of a revision into a new folder: all of them, since an overlay may be built on any folder of the repository,
 * but those that are no files or too large. Those nearest to the given folders come first, when there are too many.
 */
export async function extractTree(
  {
    mirrorPath,
    files,
    near,
  }: { mirrorPath: MirrorRevision["mirrorPath"]; files: readonly TreeFile[]; near: readonly string[] },
  signal: AbortSignal,
): Promise<Extracted> {
  // The renderer is another user then, who has to be able to walk there.
  const path = await mkdtemp(join(isRoot() ? "/tmp" : tmpdir(), "slipway-manifests-"));
  const remove = async (): Promise<void> => rm(path, { recursive: true, force: true });
  try {
    const chosen = choose(files, near);
    const contents = await readFiles(mirrorPath, chosen, signal);
    const folders = new Set(chosen.map((file) => dirname(file.path)));
    for (const folder of folders) await mkdir(join(path, "tree", folder), { recursive: true });
    for (const [index, file] of chosen.entries()) {
      // No link was ever written, and every name is a plain one, so that this stays below the folder.
      await writeFile(join(path, "tree", file.path), contents[index] ?? "", { flag: "wx" });
    }
    await mkdir(join(path, "tree"), { recursive: true });
    await mkdir(join(path, "scratch"));
    if (isRoot()) {
      await chmod(path, 0o711);
      await chown(join(path, "scratch"), 65_534, 65_534);
    }
    const kustomizations = chosen
      .map((file) => file.path)
      .filter((name) => KUSTOMIZATIONS.includes(posix.basename(name)));
    return {
      path,
      kustomizations: Map.groupBy(kustomizations, (name) => posix.dirname(name)),
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function choose(files: readonly TreeFile[], near: readonly string[]): TreeFile[] {
  const distance = ({ path }: TreeFile): number =>
    Math.min(...near.map((folder) => stepsBetween(folder === "" ? [] : folder.split("/"), dirname(path).split("/"))));
  const small = files.filter(({ isOther, sizeBytes }) => !isOther && sizeBytes <= FILE_BYTES);
  const nearest = small
    .map((file) => ({ file, steps: distance(file) }))
    .toSorted((one, other) => one.steps - other.steps);
  let total = 0;
  return nearest.slice(0, FILES_MAX).flatMap(({ file }) => {
    total += file.sizeBytes;
    return total <= TOTAL_BYTES ? [file] : [];
  });
}

function stepsBetween(one: readonly string[], other: readonly string[]): number {
  const shared = one.findIndex((part, index) => part !== other[index]);
  const common = shared === -1 ? one.length : shared;
  return one.length + other.length - 2 * common;
}

/** Makes the text of a folder's objects, or says why it cannot. */
export async function renderFolder(
  extracted: Extracted,
  { path, type }: RenderableFolder,
  { programFolders, fence }: { readonly programFolders: readonly string[]; readonly fence: Fence },
  signal: AbortSignal,
): Promise<{ readonly text: string } | { readonly wrong: string }> {
  const argv = type === "kustomize" ? await kustomizeWords(programFolders) : await helmWords(programFolders);
  if (argv === undefined) {
    const needs = type === "kustomize" ? "kubectl or kustomize" : "helm";
    return { wrong: `this needs ${needs} on the machine that Slipway runs on, and it is not there` };
  }
  const folder = join(extracted.path, "tree", path);
  return runRenderer(
    {
      argv: [...argv, folder],
      folder: join(extracted.path, "scratch"),
      tree: join(extracted.path, "tree"),
      fence,
    },
    signal,
  );
}

async function kustomizeWords(folders: readonly string[]): Promise<string[] | undefined> {
  const kubectl = await findProgram("kubectl", folders);
  if (kubectl !== undefined) return [kubectl, "kustomize"];
  const kustomize = await findProgram("kustomize", folders);
  return kustomize === undefined ? undefined : [kustomize, "build"];
}

/** `helm template NAME CHART`: https://helm.sh/docs/helm/helm_template/ */
async function helmWords(folders: readonly string[]): Promise<string[] | undefined> {
  const helm = await findProgram("helm", folders);
  return helm === undefined ? undefined : [helm, "template", "--skip-tests", "release"];
}
