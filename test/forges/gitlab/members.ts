/**
 * Who is a member of what on a GitLab of tests, as GitLab works it out (app/finders/members_finder.rb, doc/user/project/
 * members/_index.md, "Membership types"): direct, by the groups above, by groups invited to the project or to those above.
 *
 * @module
 */
import type { GitlabWorld, Membership, WorldGroup, WorldProject } from "./world.ts";

/** One entry of `/members/all`: whose, and what the row says. */
export interface MemberRow extends Membership {
  readonly userId: number;
}

/**
 * Lists the members of a project once each: the row is the direct one if there is one, the level is the highest of all
 * routes that have not ended. A row whose routes have all ended stays listed until the daily job removes it.
 */
export function membersOf(world: GitlabWorld, project: WorldProject, now: number): MemberRow[] {
  const routes: MemberRow[] = rowsOf(project.members);
  const groups = "group" in project.home ? chainOf(world, project.home.group) : [];
  for (const group of groups) routes.push(...rowsOf(group.members));
  for (const { groupId, level } of [project, ...groups].flatMap(({ invited }) => invited)) {
    for (const invited of chainOf(world, groupId)) {
      for (const row of rowsOf(invited.members)) routes.push({ ...row, level: Math.min(row.level, level) });
    }
  }
  const rows = new Map<number, MemberRow>();
  for (const route of routes) {
    const first = rows.get(route.userId) ?? route;
    const level = hasEnded(route, now) ? first.level : Math.max(route.level, hasEnded(first, now) ? 0 : first.level);
    rows.set(route.userId, { ...first, level });
  }
  return [...rows.values()].filter(({ userId }) => world.users.has(userId)).sort((a, b) => a.userId - b.userId);
}

/** The members of a group and of those above it. */
export function membersOfGroup(world: GitlabWorld, groupId: number): MemberRow[] {
  return chainOf(world, groupId).flatMap(({ members }) => rowsOf(members));
}

/** A group and those above it, nearest first. */
export function chainOf(world: GitlabWorld, groupId: number): WorldGroup[] {
  const group = world.groups.get(groupId);
  if (group === undefined) return [];
  return [group, ...(group.parentId === null ? [] : chainOf(world, group.parentId))];
}

function rowsOf(members: ReadonlyMap<number, Membership>): MemberRow[] {
  return [...members].map(([userId, membership]) => ({ userId, ...membership }));
}

function hasEnded({ expiresAt }: Membership, now: number): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= now;
}
