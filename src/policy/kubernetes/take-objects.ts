/**
 * Takes over what a repository's manifests have that an environment may have: in its namespace, with our labels, without
 * what only a cluster may say of an object. Pods are looked at by `adapt-pod.ts`.
 *
 * @module
 */
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { type ManifestComplaint, nameOf } from "./complaint.ts";
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { at, fieldsOf, type Fields, isFields, textOf, withAt } from "./fields.ts";
import { annotationComplaints, withoutProfiles } from "./harden-pod.ts";
import { labelsOf, podLabelsOf } from "./labels.ts";
import { namespaceOf } from "./make-object.ts";
import { ruleFor, templatePath } from "./manifest-kinds.ts";
import { tooMuch, withoutReserved } from "./reserved.ts";
import { tidy } from "./tidy-object.ts";

/** An object that is taken, and what it was made of. */
export interface Taken {
  readonly given: KubernetesObject;
  readonly object: KubernetesObject;
}

export interface TakenObjects {
  readonly taken: readonly Taken[];
  readonly complaints: readonly ManifestComplaint[];
  readonly warnings: readonly string[];
}

/** More than an environment can do with, and than a cluster should be asked for at once (guess). */
const OBJECTS_MAX = 300;

/** RFC 1123 subdomain, as most kinds want their names. */
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Names of ours by kind, beside which no other can be. */
export type OwnNames = (kind: string, name: string) => boolean;

/** Takes what may be taken, and complains of the rest, all at once. */
export function takeObjects(
  facts: ObjectFacts,
  target: Pick<TargetFacts, "serviceAccountToken">,
  { manifests, isOurs }: { readonly manifests: readonly KubernetesObject[]; readonly isOurs: OwnNames },
): TakenObjects {
  if (manifests.length > OBJECTS_MAX) {
    const message = `are ${manifests.length} objects, needs at most ${OBJECTS_MAX}`;
    return { taken: [], complaints: [{ path: [], message: `the manifests ${message}` }], warnings: [] };
  }
  const taken: Taken[] = [];
  const complaints: ManifestComplaint[] = [];
  const warnings: string[] = [];
  const seen = new Set<string>();
  for (const given of manifests) {
    const one = takeOne(facts, target, given);
    complaints.push(...one.complaints);
    warnings.push(...one.warnings);
    if (one.object === undefined) continue;
    const { kind, metadata } = one.object;
    const key = `${kind} ${metadata.name}`;
    const path = ["metadata", "name"];
    if (seen.has(key)) complaints.push({ object: given, path, message: "is there twice: needs another name" });
    if (isOurs(kind, metadata.name))
      complaints.push({ object: given, path, message: "is a name of Slipway's own: needs another" });
    seen.add(key);
    taken.push({ given, object: one.object });
  }
  return { taken, complaints, warnings };
}

interface One {
  readonly object?: KubernetesObject;
  readonly complaints: readonly ManifestComplaint[];
  readonly warnings: readonly string[];
}

function takeOne(facts: ObjectFacts, target: Pick<TargetFacts, "serviceAccountToken">, given: KubernetesObject): One {
  const refused = (path: readonly (string | number)[], message: string): One => ({
    complaints: [{ object: given, path, message }],
    warnings: [],
  });
  if (!isFields(given))
    return { complaints: [{ path: [], message: "one of the manifests is no object" }], warnings: [] };
  const much = tooMuch(given);
  if (much !== undefined) return refused([], much);
  const { apiVersion, kind, name } = headOf(given);
  if (apiVersion === undefined) return refused(["apiVersion"], "is missing, needs a text as apps/v1");
  if (kind === undefined) return refused(["kind"], "is missing, needs a text as Deployment");
  const rule = ruleFor(apiVersion, kind);
  if (rule.do === "refuse") return refused(["kind"], rule.because);
  if (rule.do === "skip") {
    const warnings = rule.because === undefined ? [] : [`${nameOf(given)} is left out: ${rule.because}`];
    return { complaints: [], warnings };
  }
  if (name === undefined || !NAME.test(name)) {
    return refused(["metadata", "name"], "needs a name of lower-case letters, digits, - and .");
  }
  return rid(facts, target, { given, apiVersion, kind, name });
}

function headOf(given: Fields): { apiVersion: string | undefined; kind: string | undefined; name: string | undefined } {
  return {
    apiVersion: textOf(given["apiVersion"]),
    kind: textOf(given["kind"]),
    name: textOf(fieldsOf(given["metadata"])["name"]),
  };
}

interface Head {
  readonly given: KubernetesObject;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** Leaves out what is not for a manifest to say, and labels what is left. */
function rid(
  facts: ObjectFacts,
  target: Pick<TargetFacts, "serviceAccountToken">,
  { given, apiVersion, kind, name }: Head,
): One {
  // What people put into these is data, and no label.
  const isData = kind === "ConfigMap" || kind === "Secret";
  const { data, binaryData, stringData, ...rest } = fieldsOf(given);
  const { value, dropped, refused } = withoutReserved(isData ? rest : given);
  const body = { ...fieldsOf(value), ...(isData ? defined({ data, binaryData, stringData }) : {}) };
  const tidied = tidy(kind, body, { token: target.serviceAccountToken, workspace: facts.cluster.workspace });
  const { labels, annotations, namespace } = fieldsOf(fieldsOf(value)["metadata"]);
  const ownAnnotations = withoutBookkeeping(fieldsOf(annotations));
  const metadata = {
    name,
    namespace: namespaceOf(facts),
    labels: { ...texts(labels), ...labelsOf(facts) },
    ...(Object.keys(ownAnnotations).length === 0 ? {} : { annotations: texts(ownAnnotations) }),
  };
  const { status: _status, metadata: _metadata, ...fields } = tidied.fields;
  const path = templatePath(kind);
  const made = { ...fields, apiVersion, kind, metadata };
  const object = path === undefined ? made : { ...made, ...withTemplate(facts, made, path) };
  const profiles = path === undefined ? [] : annotationComplaints(at(made, [...path, "metadata", "annotations"]));
  return {
    object,
    complaints: [
      ...refused.map((where) => ({
        object: given,
        path: where,
        message: "is a label of Slipway's own: needs another",
      })),
      ...tidied.complaints.map((complaint) => ({ object: given, ...complaint })),
      ...profiles.map((one) => ({
        object: given,
        path: [...(path ?? []), "metadata", "annotations", ...one.path],
        message: one.message,
      })),
    ],
    warnings: [
      ...dropped.map(
        (where) => `${nameOf(given)}: ${String(where.at(-1)).slice(0, 80)} is left out: it is Slipway's own`,
      ),
      ...tidied.warnings.map((warning) => `${nameOf(given)}: ${warning}`),
      ...leftBehind(given, textOf(namespace), facts),
    ],
  };
}

/** Pods carry our labels too, but none that changes: it would start them anew. */
function withTemplate(facts: ObjectFacts, object: Fields, path: readonly string[]): Fields {
  const metadata = fieldsOf(at(object, [...path, "metadata"]));
  const annotations = withoutProfiles(fieldsOf(metadata["annotations"]));
  return withAt(object, [...path, "metadata"], {
    labels: { ...texts(metadata["labels"]), ...podLabelsOf(facts) },
    ...(Object.keys(annotations).length === 0 ? {} : { annotations: texts(annotations) }),
  });
}

function leftBehind(given: KubernetesObject, namespace: string | undefined, facts: ObjectFacts): string[] {
  const { finalizers, ownerReferences } = fieldsOf(given.metadata);
  const others = [
    ...(finalizers === undefined ? [] : ["its finalizers, which would hold up the end of the environment"]),
    ...(ownerReferences === undefined ? [] : ["its ownerReferences"]),
  ];
  return [
    ...others.map((what) => `${nameOf(given)}: ${what}, are left out`),
    ...(namespace === undefined || namespace === namespaceOf(facts)
      ? []
      : [
          `${nameOf(given)} is put into the environment's own namespace, not ${JSON.stringify(namespace.slice(0, 63))}`,
        ]),
  ];
}

/** Labels and annotations are texts for a server; a number or a word for true is what people write. */
function texts(value: unknown): Record<string, string> {
  const plain = Object.entries(fieldsOf(value)).flatMap(([name, inner]): [string, string][] =>
    typeof inner === "string" || typeof inner === "number" || typeof inner === "boolean" ? [[name, String(inner)]] : [],
  );
  return Object.fromEntries(plain);
}

function withoutBookkeeping(annotations: Fields): Fields {
  const { "kubectl.kubernetes.io/last-applied-configuration": _applied, ...rest } = annotations;
  return rest;
}

function defined(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
