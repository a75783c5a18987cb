/**
 * A Helm chart of the same objects that `slip install kubernetes` prints, so that the two cannot part: it is written from
 * them with placeholders in the places of values.
 *
 * @module
 */
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { writeYaml } from "../../base/write-yaml.ts";
import { type InstallFacts, installObjects } from "./objects.ts";

/** Files of a chart by their path in its folder. */
export type ChartFiles = ReadonlyMap<string, string>;

export interface ChartFacts extends InstallFacts {
  readonly version: string;
  /** What has to be done beside installing it, a line each. */
  readonly notes: readonly string[];
}

/** What of the objects is a value of the chart. */
const PLACEHOLDERS = {
  namespace: ".Values.namespace",
  image: ".Values.image",
  serviceType: ".Values.service.type",
  settings: ".Values.settings",
  settingsHash: ".Values.settings | sha256sum",
  resources: ".Values.resources",
  stateSize: ".Values.state.size",
} as const;

type Placeholder = keyof typeof PLACEHOLDERS;

/** A plain scalar of YAML that is no word of anybody's. */
function mark(name: Placeholder): string {
  return `slipway-value-of-${name}-here`;
}

/** Makes the files of the chart. */
export function chartFiles(facts: ChartFacts): ChartFiles {
  const { version, notes, permissions, webhooksPort } = facts;
  const objects = installObjects({
    namespace: mark("namespace"),
    image: mark("image"),
    serviceType: mark("serviceType"),
    settings: mark("settings"),
    settingsHash: mark("settingsHash"),
    resources: mark("resources"),
    stateSize: mark("stateSize"),
    permissions,
    ...(webhooksPort === undefined ? {} : { webhooksPort }),
  });
  const files = new Map([
    ["Chart.yaml", writeYaml([chartOf(version)])],
    ["values.yaml", valuesText(facts)],
    ["templates/NOTES.txt", `${notes.join("\n")}\n`],
  ]);
  for (const [at, object] of objects.entries()) {
    files.set(`templates/${String(at).padStart(2, "0")}-${fileName(object)}.yaml`, templateOf(object));
  }
  return files;
}

function chartOf(version: string): unknown {
  return {
    apiVersion: "v2",
    name: "slipway",
    description: "ssh <repo>-<branch>@host puts you into an environment of your own in well under a second",
    type: "application",
    version,
    appVersion: version,
    kubeVersion: ">=1.20.0-0",
  };
}

function valuesText({ namespace, image, serviceType, settings, resources, stateSize }: ChartFacts): string {
  const parts: [string, unknown][] = [
    ["Whether the chart makes the namespace; not where it is there already.", { createNamespace: true }],
    ["Where Slipway runs. Environments have namespaces of their own.", { namespace }],
    ["Of the gateway.", { image }],
    ["LoadBalancer, NodePort or ClusterIP; port 22 of it is SSH.", { service: { type: serviceType } }],
    ["Of the volume with host keys, records, audit log and mirrors of repositories.", { state: { size: stateSize } }],
    ["Of the gateway's container.", { resources }],
    ["slipway.yaml, whole.", { settings }],
  ];
  return parts.map(([comment, value]) => `# ${comment}\n${writeYaml([value])}`).join("\n");
}

function templateOf(object: KubernetesObject): string {
  let text = writeYaml([object]);
  for (const [name, value] of Object.entries(PLACEHOLDERS)) {
    const marked = `slipway-value-of-${name}-here`;
    // JSON is YAML, and no value can be taken for a number or run into what is around it; in the middle of a name it is
    // the namespace, which is a plain word.
    text = text.replaceAll(`: ${marked}\n`, `: {{ ${value} | toJson }}\n`).replaceAll(marked, `{{ ${value} }}`);
  }
  return object.kind === "Namespace" ? `{{- if .Values.createNamespace }}\n${text}{{- end }}\n` : text;
}

function fileName({ kind }: KubernetesObject): string {
  return kind.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
}
