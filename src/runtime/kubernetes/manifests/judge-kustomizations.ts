/**
 * What Kustomizations name, judged before Kustomize reads them: it loads from the network whatever is a URL, in nearly any
 * of its fields, and what it loaded may come out as a ConfigMap that a person can read.
 *
 * Called by `render-manifests.ts`. Where a network namespace can be had the program has no network besides (`run-renderer.ts`);
 * where none can, this is the fence, and Kustomize is handed what was judged here rather than the text it was read from.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { type Path, writePath } from "../../../base/complaint.ts";
import { readYamlDocuments, YamlError } from "../../../base/yaml.ts";
import type { Extracted } from "./render-folder.ts";

/** Of all that one rendering is built of; a usual one has 1 or 2 KiB (guess). */
const TOTAL_BYTES = 512 * 1_024;

/** Also behind the name that a generator gives a file: `key=https://…`. */
const REMOTE = /(?:^|=)(?:https?:|ssh:|git:|git@)/i;

/**
 * Keys whose values Kustomize never loads from: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/.
 * All others are looked at, known or not, since it takes keys in any case: `RESOURCES` is `resources`.
 */
const DATA_KEYS = new Set([
  ...["apiVersion", "kind", "metadata", "name", "namespace", "namePrefix", "nameSuffix", "buildMetadata"],
  ...["annotations", "commonAnnotations", "commonLabels", "labels", "images", "replicas", "vars"],
  ...["generatorOptions", "literals", "options", "patch", "sourceValue"],
]);

/** Fields that take a text of YAML in the place of a path. */
const INLINE_FIELDS = new Set(["patchesStrategicMerge", "generators", "transformers", "validators"]);

/** Fields of configuration that names what to load in turn, and may itself be made while building: nobody can judge it. */
const PLUGIN_FIELDS = new Set(["generators", "transformers", "validators"]);

/** Of one file; whoever has more mends some first. */
const COMPLAINTS_MAX = 20;

/** A text in a field that Kustomize may load from, and where it is. */
interface Named {
  readonly text: string;
  readonly path: Path;
}

interface Judged {
  readonly complaints: readonly string[];
  readonly named: readonly Named[];
}

/**
 * Makes what judges a folder and all that it is built on; no file is read twice.
 *
 * @param isFenced whether Kustomize is going to run without a network
 * @returns everything that is wrong, with file and line
 */
export function makeJudge(extracted: Extracted, isFenced: boolean): (folder: string) => Promise<string[]> {
  const known = new Map<string, Judged>();
  const left = { bytes: TOTAL_BYTES };
  const judge = async (path: string): Promise<Judged> => {
    const judged = known.get(path) ?? (await judgeFile(join(extracted.path, "tree", path), { path, isFenced, left }));
    known.set(path, judged);
    return judged;
  };
  return async (folder) => {
    const complaints: string[] = [];
    // It grows while it is gone through.
    const reached = new Set([posix.join(folder, ".")]);
    for (const at of reached) {
      for (const path of extracted.kustomizations.get(at) ?? []) {
        const judged = await judge(path);
        complaints.push(...judged.complaints);
        const folders = judged.named.map(({ text }) => posix.join(at, text, "."));
        for (const next of folders) if (extracted.kustomizations.has(next)) reached.add(next);
      }
    }
    return complaints;
  };
}

interface JudgeOptions {
  /** In the repository. */
  readonly path: string;
  readonly isFenced: boolean;
  readonly left: { bytes: number };
}

async function judgeFile(file: string, { path, isFenced, left }: JudgeOptions): Promise<Judged> {
  const text = await readFile(file, "utf8");
  left.bytes -= Buffer.byteLength(text);
  if (left.bytes < 0)
    return { complaints: [`${path}: needs at most ${TOTAL_BYTES} bytes, with all that is built with it`], named: [] };
  await new Promise((resolve) => setImmediate(resolve)); // what is read at one go holds up everybody else
  try {
    // Kustomize reads the first document alone.
    const [{ value, lineOf } = { value: null, lineOf: () => 1 }] = readYamlDocuments(text, path);
    const named = namedIn(value, []);
    const wrong = [...named.flatMap(remoteOf), ...(isFenced ? [] : pluginsOf(value))].slice(0, COMPLAINTS_MAX);
    // Two readers may make different things of one hostile text.
    if (!isFenced) await writeFile(file, JSON.stringify(value));
    return { complaints: wrong.map(([at, why]) => `${path}:${lineOf(at)}: ${writePath(at)}: ${why}`), named };
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    return { complaints: error.complaints.map(({ line, message }) => `${path}:${line}: ${message}`), named: [] };
  }
}

function namedIn(value: unknown, path: Path): Named[] {
  if (typeof value === "string") {
    const isInline = INLINE_FIELDS.has(String(path[0])) && value.includes("\n");
    return isInline ? [] : [{ text: value, path }];
  }
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => namedIn(item, [...path, index]));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => (DATA_KEYS.has(key) ? [] : namedIn(item, [...path, key])));
}

type Wrong = readonly [Path, string];

function remoteOf({ text, path }: Named): Wrong[] {
  if (!REMOTE.test(text)) return [];
  // A token in it is for nobody's log.
  const shown = JSON.stringify(text.replace(/\/\/[^/@]*@/, "//").slice(0, 200));
  return [[path, `needs a path in the repository, is the URL ${shown}: nothing is fetched`]];
}

function pluginsOf(value: unknown): Wrong[] {
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  // Whatever Go takes for these letters: the long s is an S to it.
  const meant = keys.filter((key) => PLUGIN_FIELDS.has(key.toUpperCase().toLowerCase()));
  return meant.map((key) => [
    [key],
    "cannot be used where Slipway runs: no network namespace can be had there to build it in",
  ]);
}
