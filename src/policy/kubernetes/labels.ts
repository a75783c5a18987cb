/**
 * The labels and annotations by which objects in a cluster are known to be ours, and the one encoder that puts a text of
 * somebody else into a label. The prefix `slipway.dev/` is ours alone: `reserved.ts` keeps it out of what people write.
 *
 * @module
 */
import { shortHash } from "../short-hash.ts";
import type { ObjectFacts } from "./facts.ts";

export const LABELS = {
  installation: "slipway.dev/installation",
  environment: "slipway.dev/environment",
  /** On the objects themselves, never in the template of a pod: a new one must not start pods anew. */
  generation: "slipway.dev/generation",
  /** On namespaces of members of a pool. */
  pool: "slipway.dev/pool",
  /** On namespaces: `personLabel`. */
  person: "slipway.dev/person",
  /** On the pod to be entered. */
  target: "slipway.dev/target",
  /** On the namespace that Slipway itself runs in, with that namespace's name as its value. */
  gateway: "slipway.dev/gateway",
} as const;

/** Of the pods of Slipway itself, in their namespace. */
export const GATEWAY_LABELS = {
  "app.kubernetes.io/name": "slipway",
  "app.kubernetes.io/component": "gateway",
} as const;

export const ANNOTATIONS = {
  person: "slipway.dev/person",
  login: "slipway.dev/login",
  repository: "slipway.dev/repository",
  branch: "slipway.dev/branch",
  cluster: "slipway.dev/cluster",
} as const;

/** Names the container of a pod that kubectl means where nobody names one. */
export const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

/** Says whether a label or annotation is for us alone to write. */
export function isReserved(key: string): boolean {
  return /^(?:[^/]*\.)?slipway\.dev(?:\/|$)/.test(key);
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const VALUE_MAX = 63;

/** As `labelValue` ends what it had to change. */
const HASHED = /\.[0-9a-z]{7}$/;

/**
 * Makes a label's value of any text: the text itself where it can be one, else what of it can stand there and a hash, so that
 * two texts have two values.
 */
export function labelValue(text: string): string {
  if (/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(text) && !HASHED.test(text)) return text;
  const tail = `.${shortHash(text)}`;
  const front = text
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "")
    .slice(0, VALUE_MAX - tail.length);
  return front === "" ? `x${tail}` : `${front}${tail}`;
}

/** Whose objects these are, without saying who it is. */
export function personLabel(person: string): string {
  return shortHash(person);
}

/** Labels of every object of an environment. */
export function labelsOf(facts: ObjectFacts): Record<string, string> {
  return { ...podLabelsOf(facts), [LABELS.generation]: String(facts.generation) };
}

/** Labels of pods: those that stay the same as long as the environment is there. */
export function podLabelsOf(facts: Pick<ObjectFacts, "installation" | "environment">): Record<string, string> {
  return {
    [LABELS.installation]: labelValue(facts.installation),
    [LABELS.environment]: labelValue(facts.environment),
  };
}

/** Finds everything of one installation, and nothing of another: a label selector. */
export function selectorOf(installation: string): string {
  return `${LABELS.installation}=${labelValue(installation)}`;
}
