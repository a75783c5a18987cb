/**
 * What is wrong with a repository's manifests, as data: whoever rendered them knows the file and the line.
 *
 * @module
 */
import { type Path, writePath } from "../../base/complaint.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { fieldsOf, textOf } from "./fields.ts";

export interface ManifestComplaint {
  /** As it was given; absent for what is wrong with all of them together. */
  readonly object?: KubernetesObject;
  /** Where in the object. */
  readonly path: Path;
  /** What is wrong, and what to write. */
  readonly message: string;
}

/** How an object is called in sentences: `Deployment "api"`. */
export function nameOf(object: KubernetesObject): string {
  const kind = textOf(object.kind) ?? "an object";
  const name = textOf(fieldsOf(object.metadata)["name"]) ?? "";
  return `${clean(kind)} "${clean(name)}"`;
}

/** One complaint as a sentence: `Deployment "api": spec.template.spec.hostNetwork: needs …`. */
export function writeManifestComplaint({ object, path, message }: ManifestComplaint): string {
  const where = path.length === 0 ? "" : `${writePath(path)}: `;
  return `${object === undefined ? "" : `${nameOf(object)}: `}${where}${message}`;
}

/** Names come from whoever can push: they go to terminals. */
function clean(text: string): string {
  return text.replace(/\p{C}/gu, "?").slice(0, 80);
}
