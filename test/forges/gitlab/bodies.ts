/**
 * Writes the things of a GitLab of tests as its REST API shows them.
 *
 * @module
 */
import type { z } from "zod";
import type * as documented from "./documented.ts";
import type { MemberRow } from "./members.ts";
import type { GitlabWorld, WorldGroup, WorldProject, WorldToken, WorldUser } from "./world.ts";

const AT = "2026-01-01T00:00:00Z";

export function tokenBody({ userId, scopes, revoked, expiresAt }: WorldToken) {
  const times = { created_at: AT, last_used_at: null, expires_at: expiresAt };
  return { id: 1, name: "slipway", revoked, active: !revoked, scopes: [...scopes], user_id: userId, ...times };
}

/** @param isTold whether the asker is told what administrators are, or asks about themselves */
export function userBody(user: WorldUser, isTold: boolean, origin: string): z.infer<typeof documented.User> {
  const email = `${user.username}@example.com`;
  const forAdmins = { email, commit_email: email, is_admin: user.isAdmin };
  const more = { created_at: AT, bio: "", location: null, public_email: user.publicEmail, bot: false };
  return { ...basicBody(user, origin), ...more, ...(isTold ? forAdmins : {}) };
}

export function memberBody(row: MemberRow, world: GitlabWorld, origin: string): unknown {
  const { userId, level, expiresAt, membershipState, readCode } = row;
  const user = world.users.get(userId);
  if (user === undefined) throw new Error(`Cannot tell of member ${userId}: there is no such user`);
  return {
    ...basicBody(user, origin),
    access_level: level,
    created_at: AT,
    expires_at: expiresAt,
    ...(membershipState === undefined ? {} : { membership_state: membershipState }),
    ...(readCode === undefined ? {} : { member_role: { id: 1, name: "reader", read_code: readCode } }),
  };
}

export function groupBody(group: WorldGroup, world: GitlabWorld, origin: string): z.infer<typeof documented.Group> {
  const { id, path, visibility, parentId } = group;
  const full_path = world.fullPathOf(group);
  return { id, name: path, path, full_path, visibility, parent_id: parentId, web_url: `${origin}/groups/${full_path}` };
}

export function projectBody(
  project: WorldProject,
  world: GitlabWorld,
  origin: string,
): z.infer<typeof documented.Project> {
  const { id, path, home, visibility, archived, markedForDeletionOn } = project;
  const [full, above] = [world.pathOf(project), world.homePathOf(project)];
  const isOfGroup = "group" in home;
  return {
    id,
    name: path,
    name_with_namespace: full.replaceAll("/", " / "),
    path,
    path_with_namespace: full,
    description: null,
    default_branch: "main",
    visibility,
    archived,
    marked_for_deletion_on: markedForDeletionOn,
    created_at: AT,
    ssh_url_to_repo: `git@gitlab.invalid:${full}.git`,
    http_url_to_repo: `${origin}/${full}.git`,
    web_url: `${origin}/${full}`,
    namespace: {
      id: isOfGroup ? home.group : home.user,
      name: above,
      path: above.slice(above.lastIndexOf("/") + 1),
      kind: isOfGroup ? "group" : "user",
      full_path: above,
      parent_id: isOfGroup ? (world.groups.get(home.group)?.parentId ?? null) : null,
    },
  };
}

function basicBody({ id, username, name, state }: WorldUser, origin: string) {
  return { id, username, name, state, locked: false, avatar_url: null, web_url: `${origin}/${username}` };
}
