/**
 * Finds the workload and the container that people are to enter among those of the manifests.
 *
 * @module
 */
import { at, fieldsOf, listOf, textOf } from "./fields.ts";
import type { Taken } from "./take-objects.ts";

export interface Chosen {
  readonly taken: Taken;
  readonly container: string;
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ...["deployment", "deployments", "deploy", "deployment.apps"].map((word) => [word, "Deployment"] as const),
  ...["statefulset", "statefulsets", "sts", "statefulset.apps"].map((word) => [word, "StatefulSet"] as const),
]);

const FORM = 'as "deployment/api", or "deployment/api/container"';

/** Names choices in sentences; more would not be read. */
const CHOICES_MAX = 20;

/** @param name as a definition says it; the only workload there is when absent */
export function chooseTarget(taken: readonly Taken[], name: string | undefined): Chosen | { readonly wrong: string } {
  const workloads = taken.filter(({ object }) => object.kind === "Deployment" || object.kind === "StatefulSet");
  if (workloads.length === 0) return { wrong: "the manifests have no Deployment and no StatefulSet to be entered" };
  const choices = listed(workloads.map(writeName));
  if (name === undefined) {
    const [only, another] = workloads;
    if (only !== undefined && another === undefined) return chooseContainer(only, undefined);
    return {
      wrong: `which of them is to be entered has to be said: needs customizations.slipway.target, one of ${choices}`,
    };
  }
  const [word = "", workload = "", container, ...more] = name.split("/");
  const kind = KINDS.get(word.toLowerCase());
  if (kind === undefined || workload === "" || container === "" || more.length > 0) {
    return { wrong: `target: needs a workload ${FORM}, is ${quoted(name)}; there are ${choices}` };
  }
  const found = workloads.find(({ object }) => object.kind === kind && object.metadata.name === workload);
  if (found === undefined) return { wrong: `target: ${quoted(name)} is not in the manifests; there are ${choices}` };
  return chooseContainer(found, container);
}

function chooseContainer(taken: Taken, name: string | undefined): Chosen | { readonly wrong: string } {
  const template = at(taken.object, ["spec", "template"]);
  const containers = listOf(at(template, ["spec", "containers"])).flatMap((one) => textOf(fieldsOf(one)["name"]) ?? []);
  const preferred = textOf(at(template, ["metadata", "annotations", "kubectl.kubernetes.io/default-container"]));
  const wanted = name ?? preferred ?? (containers.length === 1 ? containers[0] : undefined);
  if (wanted !== undefined && containers.includes(wanted)) return { taken, container: wanted };
  const choices = listed(containers.map((container) => `${writeName(taken)}/${container}`));
  if (containers.length === 0) return { wrong: `target: ${writeName(taken)} has no containers` };
  return wanted === undefined
    ? { wrong: `target: ${writeName(taken)} has several containers: needs one of ${choices}` }
    : { wrong: `target: ${quoted(wanted)} is no container of ${writeName(taken)}; there are ${choices}` };
}

function writeName({ object }: Taken): string {
  return `${object.kind.toLowerCase()}/${object.metadata.name}`;
}

function listed(choices: readonly string[]): string {
  const more = choices.length > CHOICES_MAX ? [`and ${choices.length - CHOICES_MAX} more`] : [];
  return [...choices.slice(0, CHOICES_MAX), ...more].map((choice) => choice.replace(/\p{C}/gu, "?")).join(", ");
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
