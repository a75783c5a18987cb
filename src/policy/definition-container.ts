/**
 * What a definition asks of a place that runs containers; part of `definition.ts`. On a sandbox nothing of it holds, and
 * people are told.
 *
 * @module
 */
import type { ContainerSpec, HeldProperties } from "../wire/definition.ts";
import { printable } from "./printable.ts";
import type { Place } from "./unheld-properties.ts";

export interface ContainerFacts {
  readonly place: Place;
  /** Replaces variables. */
  readonly replace: (text: string) => string;
}

type Warn = (sentence: string) => void;
type SlipwayProperties = HeldProperties["customizations"]["slipway"];

/** Says why a definition that asks for root does not get it, if so. */
export function rootTrouble({ customizations: { slipway } }: HeldProperties): string | undefined {
  if (slipway.podSecurity === "baseline") return undefined;
  return 'root needs "podSecurity": "baseline" under customizations.slipway';
}

/** Makes what a cluster is asked for. A sandbox gets it too, and takes none of it. */
export function makeContainer(held: HeldProperties, { place, replace }: ContainerFacts, warn: Warn): ContainerSpec {
  const { slipway } = held.customizations;
  if (place === "sandbox") warnOfSandbox(slipway, warn);
  const tell: Warn = place === "sandbox" ? () => {} : warn;
  const image = held.image === undefined ? undefined : makeImage(replace(held.image), slipway, tell);
  const target = makeTarget(slipway, tell);
  const runAsUser = makeRunAsUser(held, tell);
  return {
    ...(image === undefined ? {} : { image }),
    manifests: slipway.manifests,
    ...(target === undefined ? {} : { target }),
    podSecurity: slipway.podSecurity,
    serviceAccountToken: slipway.serviceAccountToken,
    tier: slipway.tier,
    ...(runAsUser === undefined ? {} : { runAsUser }),
    hostRequirements: makeRequirements(held.hostRequirements, tell),
    ...(slipway.placement === undefined ? {} : { placement: slipway.placement.labels }),
  };
}

/** What would change where or in what people land; finer points hold nowhere else, and nobody misses them. */
function warnOfSandbox({ manifests, target, placement }: SlipwayProperties, warn: Warn): void {
  const asked = {
    manifests: manifests.length > 0,
    target: target !== undefined,
    placement: placement !== undefined,
  };
  for (const [name, isAsked] of Object.entries(asked)) {
    if (!isAsked) continue;
    warn(
      `"customizations.slipway.${name}" is not used: the environment is on the machine of the service, not on a cluster`,
    );
  }
}

function makeImage(image: string, { manifests }: SlipwayProperties, warn: Warn): string | undefined {
  if (manifests.length > 0) {
    warn('"image" is not used: the containers of customizations.slipway.manifests have images of their own');
    return undefined;
  }
  // What can be no name of an image; which there are is for the cluster to say.
  if (/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,499}$/.test(image)) return image;
  warn(`"image" is not used: "${printable(image)}" is no name of an image`);
  return undefined;
}

function makeTarget({ manifests, target }: SlipwayProperties, warn: Warn): string | undefined {
  if (target === undefined || manifests.length > 0) return target;
  warn('"customizations.slipway.target" is not used: there are no manifests that it could be in');
  return undefined;
}

function makeRunAsUser(held: HeldProperties, warn: Warn): number | undefined {
  const { runAsUser } = held.customizations.slipway;
  const trouble = runAsUser === 0 ? rootTrouble(held) : undefined;
  if (trouble === undefined) return runAsUser;
  warn(`"customizations.slipway.runAsUser" is not used: ${trouble}`);
  return undefined;
}

function makeRequirements(given: HeldProperties["hostRequirements"], warn: Warn): ContainerSpec["hostRequirements"] {
  const { cpus, memory, storage, gpu } = given ?? {};
  // `"optional"` is asked for by definitions that do as well without: json_reference, "gpu".
  if (gpu !== undefined && gpu !== false && gpu !== "optional") {
    warn('"hostRequirements.gpu" is not used: no processor for graphics is given to environments');
  }
  return {
    ...(cpus === undefined ? {} : { cpuCount: cpus }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(storage === undefined ? {} : { storageBytes: storage }),
  };
}
