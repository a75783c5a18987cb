/**
 * Kubernetes objects of YAML texts, with the lines that they are on.
 *
 * @module
 */
import type { Path } from "../../../base/complaint.ts";
import { readYamlDocuments, YamlError } from "../../../base/yaml.ts";
import type { KubernetesObject } from "../../../wire/kubernetes.ts";

/** Where something is in the repository: `deploy/api.yaml:12`. */
export type WhereIs = (path: Path) => string;

export interface ReadObject {
  readonly object: KubernetesObject;
  readonly whereIs: WhereIs;
}

export interface ReadObjects {
  readonly objects: readonly ReadObject[];
  /** Each with its place. */
  readonly complaints: readonly string[];
}

/**
 * Reads every object of a text; a `List` is what is in it.
 *
 * @param source path of the file in the repository
 * @param hasLines whether the lines of the text are those of the file
 */
export function readObjects(text: string, source: string, hasLines = true): ReadObjects {
  try {
    const objects: ReadObject[] = [];
    const complaints: string[] = [];
    for (const { value, lineOf } of readYamlDocuments(text, source)) {
      if (value === null) continue;
      for (const { object, path } of unlisted(value, [])) {
        const whereIs: WhereIs = (inner) => (hasLines ? `${source}:${lineOf([...path, ...inner])}` : source);
        if (isObject(object)) objects.push({ object, whereIs });
        else complaints.push(`${whereIs([])}: is no Kubernetes object: needs apiVersion, kind and metadata.name`);
      }
    }
    return { objects, complaints };
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    const where = (line: number): string => (hasLines ? `${source}:${line}` : source);
    return { objects: [], complaints: error.complaints.map(({ line, message }) => `${where(line)}: ${message}`) };
  }
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#collections: `List`, and `ServiceList` and its like. */
function unlisted(value: unknown, path: Path): { readonly object: unknown; readonly path: Path }[] {
  if (typeof value !== "object" || value === null || !("kind" in value) || !("items" in value)) {
    return [{ object: value, path }];
  }
  const { kind, items } = value;
  if (typeof kind !== "string" || !kind.endsWith("List") || !Array.isArray(items)) return [{ object: value, path }];
  return items.flatMap((item: unknown, index) => unlisted(item, [...path, "items", index]));
}

function isObject(value: unknown): value is KubernetesObject {
  if (
    typeof value !== "object" ||
    value === null ||
    !("apiVersion" in value && "kind" in value && "metadata" in value)
  ) {
    return false;
  }
  const { apiVersion, kind, metadata } = value;
  const hasName = typeof metadata === "object" && metadata !== null && "name" in metadata;
  return typeof apiVersion === "string" && typeof kind === "string" && hasName && typeof metadata.name === "string";
}
