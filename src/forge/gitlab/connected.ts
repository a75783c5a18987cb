/**
 * Which projects of GitLab the settings connect: those of groups and their subgroups, those of users, and single ones.
 *
 * @module
 */
import type { ForgeSettings } from "../../wire/forge-settings.ts";

/** Says whether the settings connect the project of this path. GitLab's paths do not tell case apart. */
export function isConnected(path: string, { organizations, repositories }: ForgeSettings): boolean {
  const wanted = path.toLowerCase();
  return (
    repositories.some((repository) => repository.toLowerCase() === wanted) ||
    organizations.some((organization) => wanted.startsWith(`${organization.toLowerCase()}/`))
  );
}

/** Lists the single projects of the settings that have, or had, the same place as a path: a rename leads from there. */
export function entriesBeside(path: string, { repositories }: ForgeSettings): readonly string[] {
  return repositories.filter((repository) => placeOf(repository) === placeOf(path));
}

function placeOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")).toLowerCase();
}
