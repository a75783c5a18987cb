/**
 * What a member of a pool was made from, so short that it can be compared: a member is of use only for an environment that
 * would be made from the same.
 *
 * A version is the text `image=0a1b2c3 user=…`: what each part is called and a hash of what it says, so that two versions
 * alone tell in what they differ.
 *
 * @module
 */
import type { ClusterSettings } from "../wire/cluster-settings.ts";
import type { Definition } from "../wire/definition.ts";
import { shortHash } from "./short-hash.ts";

/** Bake a step and it is done before anybody claims; the others belong to the claim. */
const BAKED = ["onCreateCommand", "updateContentCommand"] as const;

/** Says whether a step of the environment's life is run ahead, in members of a pool: what devcontainer.json calls prebuilds. */
export function isBaked(name: string): boolean {
  return BAKED.some((baked) => baked === name);
}

/** Writes a version. Parts that are `undefined` are as if they were not there. */
export function versionOf(parts: Readonly<Record<string, unknown>>): string {
  return Object.keys(parts)
    .toSorted()
    .flatMap((name) => (parts[name] === undefined ? [] : `${name}=${shortHash(canonical(parts[name]))}`))
    .join(" ");
}

/** Names in what two versions differ, in order. */
export function differencesOf(one: string, other: string): string[] {
  const [mine, theirs] = [read(one), read(other)];
  const names = [...new Set([...mine.keys(), ...theirs.keys()])].toSorted();
  return names.filter((name) => mine.get(name) !== theirs.get(name));
}

/** What of a definition is made ahead. What belongs to a claim, as the service command, is no part of it. */
export function partsOf(definition: Definition): Record<string, unknown> {
  const { container, user, workspaceFolder, containerEnv, commands } = definition;
  const { image, manifests, target, podSecurity, serviceAccountToken, tier, runAsUser, hostRequirements } = container;
  const baked = commands.filter(({ name }) => isBaked(name)).map(({ name, parallel }) => [name, parallel] as const);
  return {
    ...{ image, manifests, target, podSecurity, serviceAccountToken, tier, runAsUser, hostRequirements },
    ...{ user, workspaceFolder, containerEnv },
    ...Object.fromEntries(baked),
  };
}

/** What of the settings is made ahead. Of all clusters, since members of a pool may be on any. */
export function clusterPartsOf(
  clusters: readonly ClusterSettings[],
  { container: { image, manifests } }: Definition,
): Record<string, unknown> {
  const ofEach = <Part>(read: (cluster: ClusterSettings) => Part): Readonly<Record<string, Part>> =>
    Object.fromEntries(clusters.map((cluster) => [cluster.name, read(cluster)]));
  const usesBase = image === undefined && manifests.length === 0;
  return {
    toolbox: ofEach(({ images }) => images.toolbox),
    baseImage: usesBase ? ofEach(({ images }) => images.base) : undefined,
    clusterSettings: ofEach(
      ({ images: { pullPolicy, pullSecrets }, podSecurity, runAsUser, tiers, network, workspace }) => {
        return { pullPolicy, pullSecrets, podSecurity, runAsUser, tiers, network, workspace };
      },
    ),
  };
}

/** JSON whose keys are in order: two writers of the same mean the same. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown): unknown =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

function read(version: string): Map<string, string> {
  return new Map(
    version.split(" ").flatMap((part): [string, string][] => {
      const [name, hash] = part.split("=");
      return name === undefined || hash === undefined ? [] : [[name, hash]];
    }),
  );
}
