/**
 * What the containers of an environment may use, and ask for: a ceiling by tier for all of them together, shared among those
 * that say nothing.
 *
 * @module
 */
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import { at, fieldsOf, withAt } from "./fields.ts";
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { readQuantity, writeBytes, writeCpu } from "./quantity.ts";

/** An amount of what is rationed. */
export interface Amount {
  readonly cpuCount: number;
  readonly memoryBytes: number;
}

export interface Sizes {
  /** For all containers together. */
  readonly ceiling: Amount;
  /** Of a container that says nothing. */
  readonly each: Amount;
  /** Of the target, when it says nothing. */
  readonly target: Amount;
  /** Asked for, of what may be used. */
  readonly requestShare: number;
  /** What each container may write to the disk of its node. */
  readonly scratchBytes: number;
}

/** What is known of a container before sizes are shared out. */
export interface Sized {
  readonly pods: number;
  readonly isTarget: boolean;
  /** As its manifest says; absent where it says nothing. */
  readonly cpuCount: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** Less than this nothing starts with (guess). */
const LEAST: Amount = { cpuCount: 0.05, memoryBytes: 64 * 2 ** 20 };

/** What the toolbox's container asks for: it sleeps once it has filled the volumes (guess: 1 MB, and some for the copying). */
export const TOOLBOX_REQUEST: Amount = { cpuCount: 0.001, memoryBytes: 16 * 2 ** 20 };

/** Of what the toolbox's container may use; programs that are started in it take some for a moment (guess). */
const TOOLBOX_MEMORY_BYTES = 64 * 2 ** 20;

/** What the toolbox's container may use, beside all others: a moment of all processors, since everybody waits for it. */
export function toolboxLimit({ ceiling }: Pick<Sizes, "ceiling">): Amount {
  return { cpuCount: ceiling.cpuCount, memoryBytes: Math.min(ceiling.memoryBytes, TOOLBOX_MEMORY_BYTES) };
}

/** The container that people work in compiles and tests: it counts as so many others. */
const TARGET_WEIGHT = 4;

/** Shares the ceiling of a tier out. */
export function shareSizes(facts: Pick<ObjectFacts, "cluster" | "tier">, containers: readonly Sized[]): Sizes {
  const ceiling = tierOf(facts);
  const each = { cpuCount: 0, memoryBytes: 0 };
  const target = { cpuCount: 0, memoryBytes: 0 };
  for (const resource of ["cpuCount", "memoryBytes"] as const) {
    const silent = containers.filter((container) => container[resource] === undefined);
    const taken = sum(containers.map((container) => (container[resource] ?? 0) * container.pods));
    const weight = sum(silent.map(({ pods, isTarget }) => pods * (isTarget ? TARGET_WEIGHT : 1)));
    const part = Math.max(0, ceiling[resource] - taken) / Math.max(1, weight);
    each[resource] = Math.min(ceiling[resource], Math.max(LEAST[resource], part));
    const targetPart = silent.length === 1 ? part * weight : part * TARGET_WEIGHT;
    target[resource] = Math.min(ceiling[resource], Math.max(LEAST[resource], targetPart));
  }
  return { ceiling, each, target, requestShare: ceiling.requestShare, scratchBytes: scratchOf(facts) };
}

/** Where files have no volume they are on that disk, too. */
function scratchOf({ cluster: { workspace } }: Pick<ObjectFacts, "cluster">): number {
  return workspace.scratchBytes + (workspace.isEphemeral ? workspace.sizeBytes : 0);
}

function tierOf({ cluster, tier }: { cluster: ClusterSettings; tier: ObjectFacts["tier"] }) {
  return cluster.tiers[tier];
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

/** What a definition needs, up to the ceiling; a sentence where it is more. */
export function needsOf(
  { hostRequirements }: Pick<TargetFacts, "hostRequirements">,
  { ceiling }: Sizes,
): { readonly least: Partial<Amount>; readonly warnings: readonly string[] } {
  const { cpuCount, memoryBytes } = hostRequirements;
  const warnings = [
    ...(cpuCount !== undefined && cpuCount > ceiling.cpuCount
      ? [`hostRequirements.cpus is ${cpuCount}: environments of this tier get ${ceiling.cpuCount} here`]
      : []),
    ...(memoryBytes !== undefined && memoryBytes > ceiling.memoryBytes
      ? [
          `hostRequirements.memory is ${writeBytes(memoryBytes)}: environments of this tier get ${writeBytes(ceiling.memoryBytes)} here`,
        ]
      : []),
  ];
  const least = {
    ...(cpuCount === undefined ? {} : { cpuCount: Math.min(cpuCount, ceiling.cpuCount) }),
    ...(memoryBytes === undefined ? {} : { memoryBytes: Math.min(memoryBytes, ceiling.memoryBytes) }),
  };
  return { least, warnings };
}

/** Writes `resources` of a container that may use so much. */
function resourcesOf(limit: Amount, requestShare: number): Resources {
  const { cpuCount, memoryBytes } = limit;
  const request = { cpuCount: cpuCount * requestShare, memoryBytes: memoryBytes * requestShare };
  return writeResources({ request, limit });
}

interface Resources {
  readonly requests: unknown;
  readonly limits: unknown;
}

/** Writes `resources` of a container. */
export function writeResources(given: { readonly request: Amount; readonly limit: Amount }): Resources {
  const write = ({ cpuCount, memoryBytes }: Amount) => ({ cpu: writeCpu(cpuCount), memory: writeBytes(memoryBytes) });
  return { requests: write(given.request), limits: write(given.limit) };
}

/** What the `resources` of a container say of its limits; what is no amount counts as nothing said. */
export function limitsOf(resources: unknown): { cpuCount: number | undefined; memoryBytes: number | undefined } {
  const { limits, requests } = fieldsOf(resources);
  // One that asks for something and sets no limit is one that needs at least that.
  const read = (name: string): number | undefined =>
    readQuantity(fieldsOf(limits)[name]) ?? readQuantity(fieldsOf(requests)[name]);
  return { cpuCount: read("cpu"), memoryBytes: read("memory") };
}

/**
 * Fits the `resources` of a container of a manifest under the ceiling; requests follow the limits, so that what is asked for of a
 * cluster is what its operator planned with. Those that say nothing of processors and memory are left to the limit range.
 */
export function fitResources(given: unknown, sizes: Sizes): unknown {
  const resources = withinScratch(given, sizes);
  const { cpuCount, memoryBytes } = limitsOf(resources);
  if (cpuCount === undefined && memoryBytes === undefined) return resources;
  const { ceiling, each, requestShare } = sizes;
  const fitted = resourcesOf(
    {
      cpuCount: Math.min(cpuCount ?? each.cpuCount, ceiling.cpuCount),
      memoryBytes: Math.min(memoryBytes ?? each.memoryBytes, ceiling.memoryBytes),
    },
    requestShare,
  );
  return overOthers(resources, fitted);
}

/** As `fitResources`, for the target, which always says what it may use. */
export function targetResources(given: unknown, sizes: Sizes, least: Partial<Amount>): unknown {
  const resources = withinScratch(given, sizes);
  const said = limitsOf(resources);
  const fit = (resource: keyof Amount): number =>
    Math.min(sizes.ceiling[resource], Math.max(said[resource] ?? sizes.target[resource], least[resource] ?? 0));
  const limit = { cpuCount: fit("cpuCount"), memoryBytes: fit("memoryBytes") };
  return overOthers(resources, resourcesOf(limit, sizes.requestShare));
}

/** How Kubernetes calls the disk of a node. */
export const SCRATCH = "ephemeral-storage";

/** Has them ask for no more of the disk than there is for each; what is no amount is for the server to complain of. */
function withinScratch(resources: unknown, { scratchBytes }: Sizes): unknown {
  return ["limits", "requests"].reduce<unknown>((fitted, list) => {
    const asked = readQuantity(at(fitted, [list, SCRATCH]));
    return asked === undefined || asked <= scratchBytes
      ? fitted
      : withAt(fitted, [list, SCRATCH], writeBytes(scratchBytes));
  }, resources);
}

/** Whatever else there is, as graphics cards, stays. */
function overOthers(resources: unknown, ours: Resources): unknown {
  const given = fieldsOf(resources);
  return {
    ...given,
    requests: { ...fieldsOf(given["requests"]), ...fieldsOf(ours.requests) },
    limits: { ...fieldsOf(given["limits"]), ...fieldsOf(ours.limits) },
  };
}
