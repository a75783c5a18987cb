/**
 * What the environments of a branch are, read from its mirror before there is one: for where to put it, and for whether a
 * member of a pool will do.
 *
 * Called by `placing.ts` for what somebody wants and by `members.ts` for what is made ahead: since both ask here, the versions
 * of both can be compared.
 *
 * @module
 */
import { clusterPartsOf, partsOf, versionOf } from "../policy/pool-version.ts";
import type { Definition } from "../wire/definition.ts";
import type { StoredDefinition } from "../wire/environment.ts";
import type { BranchReader } from "./clusters.ts";
import { readDefinition } from "./definition.ts";
import { findDefinition } from "./find-definition.ts";

export interface Branch {
  readonly repositoryName: string;
  readonly mirrorPath: string;
  readonly branch: string;
}

export interface DescribedBranch {
  readonly definition: Definition;
  /** Its text; absent when the branch has none. */
  readonly found?: StoredDefinition;
  /** Of how it was found, for people. */
  readonly notes: readonly string[];
  /** What its environments are made from, by `versionOf`. */
  readonly version: string;
}

/** Reads what the environments of a branch are. */
export async function describeBranch(
  reader: BranchReader,
  { repositoryName, mirrorPath, branch }: Branch,
): Promise<DescribedBranch> {
  const { found, notes } = await findDefinition({
    readFile: (path) => reader.readFile(mirrorPath, branch, path),
    listFolder: (path) => reader.listFolder(mirrorPath, branch, path),
  });
  const { definition } = readDefinition(found, { id: "", repositoryName }, "kubernetes");
  const { manifests } = definition.container;
  const manifestFiles =
    manifests.length === 0 ? undefined : await reader.identifyManifests(mirrorPath, branch, manifests);
  const version = versionOf({ ...partsOf(definition), ...clusterPartsOf(reader.settings, definition), manifestFiles });
  return { definition, notes, version, ...(found === undefined ? {} : { found }) };
}
