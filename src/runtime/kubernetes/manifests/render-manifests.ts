/**
 * The objects that a repository's manifests are, at a revision of its mirror: plain YAML, Kustomize or Helm.
 *
 * Called by `runtime/kubernetes/` before each start. What may be in an environment is `policy/kubernetes/`'s to say.
 *
 * @module
 */
import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import type { Log } from "../../../base/log.ts";
import { type ManifestComplaint, writeManifestComplaint } from "../../../policy/kubernetes/complaint.ts";
import type { KubernetesObject } from "../../../wire/kubernetes.ts";
import { makeJudge } from "./judge-kustomizations.ts";
import { listTree, readFiles, type TreeFile } from "./mirror-tree.ts";
import { type ReadObject, type ReadObjects, readObjects, type WhereIs } from "./read-objects.ts";
import { extractTree, renderFolder, type RenderableFolder, typeOfFolder } from "./render-folder.ts";
import { type Fence, findFence, PROGRAM_FOLDERS } from "./run-renderer.ts";

export interface RenderOptions {
  /** Bare repository on this machine. */
  readonly mirrorPath: string;
  /** As git names it: `refs/heads/main`. */
  readonly revision: string;
  /** In the repository: files, or folders of YAML, Kustomize or Helm. */
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Where kubectl, kustomize and helm are looked for. @default PROGRAM_FOLDERS */
  readonly programFolders?: readonly string[];
  /** @default what this machine lets us do */
  readonly fence?: Fence;
}

export interface Rendered {
  /** In the order of the paths, and of what is in them. */
  readonly objects: readonly KubernetesObject[];
  readonly warnings: readonly string[];
  /** Makes of complaints about these objects what a person is told, with file and line where those are known. */
  readonly refuse: (complaints: readonly ManifestComplaint[]) => Fault;
}

/** Of one plain file: as many as an object may have in a cluster, several times over. */
const FILE_BYTES = 4 * 1_024 * 1_024;
/** Of the plain files of all paths together, and again of what is rendered: an environment is some dozen objects (guess). */
const TOTAL_BYTES = 8 * 1_024 * 1_024;
const FILES_MAX = 500;
const TOLD_MAX = 50;

/** Renders manifests. @throws {Fault} `manifests.invalid` with everything that is wrong; `repository.unreached` */
export async function renderManifests(options: RenderOptions, signal: AbortSignal): Promise<Rendered> {
  const { mirrorPath, revision, clock, log } = options;
  const begun = clock.elapsed();
  const files = await listTree({ mirrorPath, revision }, signal);
  const wanted = options.paths.map((path) => wantedOf(path, files));
  const wrong = wanted.flatMap((one) => ("wrong" in one ? [one.wrong] : []));
  const plainBytes = wanted
    .flatMap((one) => ("files" in one ? one.files : []))
    .reduce((sum, one) => sum + one.sizeBytes, 0);
  // Before any of them is read: all of it is in memory at once, several times over.
  if (plainBytes > TOTAL_BYTES) throw invalid([...wrong, tooMuch("plain files of all paths", plainBytes)]);
  const plain = await readPlain(mirrorPath, wanted, signal);
  const rendered = await renderAll(options, { files, wanted }, signal);
  const read = wanted.map((one) => ("type" in one ? rendered.get(one) : "files" in one ? plain.get(one) : undefined));
  const objects = read.flatMap((one) => one?.objects ?? []);
  const complaints = [...wrong, ...read.flatMap((one) => one?.complaints ?? [])];
  if (complaints.length > 0) throw invalid(complaints);
  log.debug("manifests.rendered", { revision, objects: objects.length, tookMs: clock.elapsed() - begun });
  return { objects: objects.map(({ object }) => object), warnings: [], refuse: refuserOf(objects) };
}

/** What a path of a definition means. */
type Wanted = { readonly wrong: string } | { readonly files: readonly TreeFile[] } | RenderableFolder;

function wantedOf(given: string, files: readonly TreeFile[]): Wanted {
  const parts = given.split("/").filter((part) => part !== "" && part !== ".");
  const shown = JSON.stringify(given.slice(0, 200));
  if (given.startsWith("/") || parts.includes(".."))
    return { wrong: `${shown}: needs a path inside of the repository` };
  const path = parts.join("/");
  const file = files.find((one) => one.path === path);
  if (file !== undefined) {
    const [folder, name] = splitPath(path);
    const type = typeOfFolder([name]);
    if (type !== "plain") return { path: folder, type };
    return plainOf([file], shown);
  }
  const prefix = path === "" ? "" : `${path}/`;
  const direct = files.filter((one) => one.path.startsWith(prefix) && !one.path.slice(prefix.length).includes("/"));
  if (!files.some((one) => one.path.startsWith(prefix))) return { wrong: `${shown}: is not in the repository` };
  const type = typeOfFolder(direct.map((one) => one.path.slice(prefix.length)));
  if (type !== "plain") return { path, type };
  return plainOf(
    direct.filter((one) => /\.(?:ya?ml|json)$/.test(one.path)),
    shown,
  );
}

function splitPath(path: string): [string, string] {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? ["", path] : [path.slice(0, slash), path.slice(slash + 1)];
}

function plainOf(files: readonly TreeFile[], shown: string): Wanted {
  if (files.length === 0) return { wrong: `${shown}: has no .yaml, .yml or .json files in it` };
  if (files.length > FILES_MAX)
    return { wrong: `${shown}: has ${files.length} files in it, needs at most ${FILES_MAX}` };
  const [other] = files.filter(({ isOther }) => isOther);
  if (other !== undefined) return { wrong: `${other.path}: is a link, needs a file` };
  const [large] = files.filter(({ sizeBytes }) => sizeBytes > FILE_BYTES);
  if (large !== undefined) return { wrong: `${large.path}: is larger than ${FILE_BYTES} bytes` };
  return { files: files.toSorted((one, other_) => (one.path < other_.path ? -1 : 1)) };
}

async function readPlain(
  mirrorPath: string,
  wanted: readonly Wanted[],
  signal: AbortSignal,
): Promise<ReadonlyMap<Wanted, ReadObjects>> {
  const read = new Map<Wanted, ReadObjects>();
  for (const one of wanted) {
    if (!("files" in one)) continue;
    const contents = await readFiles(mirrorPath, one.files, signal);
    const each: ReadObjects[] = [];
    for (const [index, { path }] of one.files.entries()) {
      await new Promise((resolve) => setImmediate(resolve)); // what is read at one go holds up everybody else
      signal.throwIfAborted();
      each.push(readObjects(contents[index]?.toString("utf8") ?? "", path));
    }
    read.set(one, together(each));
  }
  return read;
}

function tooMuch(what: string, bytes: number): string {
  return `the ${what}: need at most ${TOTAL_BYTES} bytes, have ${bytes}; leave out what no environment needs`;
}

function together(all: readonly ReadObjects[]): ReadObjects {
  return {
    objects: all.flatMap(({ objects }) => objects),
    complaints: all.flatMap(({ complaints }) => complaints),
  };
}

async function renderAll(
  options: RenderOptions,
  { files, wanted }: { readonly files: readonly TreeFile[]; readonly wanted: readonly Wanted[] },
  signal: AbortSignal,
): Promise<ReadonlyMap<Wanted, ReadObjects>> {
  const read = new Map<Wanted, ReadObjects>();
  const folders = wanted.filter((one): one is RenderableFolder => "type" in one);
  if (folders.length === 0) return read;
  const { mirrorPath, log, programFolders = PROGRAM_FOLDERS, fence = await findFence(signal) } = options;
  if (fence === "none") warnOnce(log);
  await using extracted = await extractTree({ mirrorPath, files, near: folders.map(({ path }) => path) }, signal);
  const judge = makeJudge(extracted, fence !== "none");
  let renderedBytes = 0;
  for (const folder of folders) {
    const source = folder.path === "" ? "." : folder.path;
    const wrong = folder.type === "kustomize" ? await judge(folder.path) : [];
    const made =
      wrong.length > 0 ? { wrong } : await renderFolder(extracted, folder, { programFolders, fence }, signal);
    if ("wrong" in made) {
      read.set(folder, { objects: [], complaints: [made.wrong].flat().map((one) => `${source}: ${one}`) });
      continue;
    }
    renderedBytes += Buffer.byteLength(made.text);
    if (renderedBytes > TOTAL_BYTES) throw invalid([tooMuch("rendered objects of all paths", renderedBytes)]);
    read.set(folder, readObjects(made.text, `${source} as rendered`, false));
  }
  return read;
}

const warned = new WeakSet<Log>();

/** Once for each log: the machine does not change while we run. */
function warnOnce(log: Log): void {
  if (warned.has(log)) return;
  warned.add(log);
  log.warn("manifests.unfenced", {
    because: "no network namespace can be had: what renders manifests has our network",
  });
}

function invalid(complaints: readonly string[]): Fault {
  const count = `${complaints.length} ${complaints.length === 1 ? "complaint" : "complaints"}`;
  const more = complaints.length > TOLD_MAX ? [`and ${complaints.length - TOLD_MAX} more`] : [];
  const told = [`Cannot use the manifests of the repository: ${count}`, ...complaints.slice(0, TOLD_MAX), ...more].join(
    "\n",
  );
  return new Fault("manifests.invalid", told, { told });
}

function refuserOf(objects: readonly ReadObject[]): Rendered["refuse"] {
  const places = new Map<KubernetesObject, WhereIs>(objects.map(({ object, whereIs }) => [object, whereIs]));
  return (complaints) =>
    invalid(
      complaints.map((complaint) => {
        const { object, path } = complaint;
        const where = object === undefined ? undefined : places.get(object)?.(path);
        return where === undefined
          ? writeManifestComplaint(complaint)
          : `${where}: ${writeManifestComplaint(complaint)}`;
      }),
    );
}
