/**
 * Where a repository says what its environments are: the places of the specification, looked at in its order.
 *
 * Called by `bring-up.ts` on a checkout and by `branch-definition.ts` on a mirror, so that both find the same.
 *
 * @module
 */
import { definitionFile, definitionFolder, definitionPaths } from "../wire/definition.ts";
import type { StoredDefinition } from "../wire/environment.ts";

/** Files of a repository, wherever they are read. */
export interface SourceTree {
  /** Text of a file, `undefined` when there is none. */
  readFile(path: string): Promise<string | undefined>;
  /** Names in a folder, in any order; none when there is no such folder. */
  listFolder(path: string): Promise<readonly string[]>;
}

export interface FoundDefinition {
  readonly found?: StoredDefinition;
  /** What people should know of the search, one sentence each. */
  readonly notes: readonly string[];
}

/** Names looked at in the folder; more than a handful means something else (guess). */
const NAMES_MAX = 50;

/** Definitions named in the note. */
const NAMED_MAX = 5;

/**
 * Finds the definition. Of several in folders of their own, which editors let people choose from, none is taken: nobody is
 * here to be asked.
 */
export async function findDefinition(tree: SourceTree): Promise<FoundDefinition> {
  for (const path of definitionPaths) {
    const text = await tree.readFile(path);
    if (text !== undefined) return { found: { path, text }, notes: [] };
  }
  const [first, ...others] = await findInFolders(tree);
  if (first === undefined) return { notes: [] };
  if (others.length === 0) return { found: first, notes: [] };
  const paths = [first, ...others].map(({ path }) => path);
  const more = paths.length > NAMED_MAX ? ` and ${paths.length - NAMED_MAX} more` : "";
  const named = `${paths.slice(0, NAMED_MAX).join(", ")}${more}`;
  return { notes: [`none of ${named} is used: of several the one that is meant belongs at ${definitionPaths[0]}`] };
}

async function findInFolders(tree: SourceTree): Promise<StoredDefinition[]> {
  const names = (await tree.listFolder(definitionFolder)).filter((name) => /^[^\p{C}/]{1,100}$/u.test(name));
  const found: StoredDefinition[] = [];
  for (const name of names.toSorted().slice(0, NAMES_MAX)) {
    const path = `${definitionFolder}/${name}/${definitionFile}`;
    const text = await tree.readFile(path);
    if (text !== undefined) found.push({ path, text });
  }
  return found;
}
