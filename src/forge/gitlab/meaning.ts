/**
 * What GitLab's answers mean in our words. Pure.
 *
 * @module
 */
import type { Collaborator, ForgeAccount, ForgeRepository, ForgeRole } from "../../wire/forge.ts";
import type { Member, Project, SshKey, User } from "./shapes.ts";

/** Roles of GitLab: doc/api/project_members.md, "Roles". Levels between two of them are the lower one. */
const REPORTER = 20;
const DEVELOPER = 30;
const MAINTAINER = 40;
const GUEST = 10;

/**
 * Says what a member may do with a repository.
 *
 * Guests and planners may not read the code of what is not public (doc/user/permissions.md, "Repository"), other than by
 * a custom role that says so. A membership that has ended by its date is none, though GitLab lists it until a daily job
 * takes it away: where another route remains, the role is back once it has.
 */
export function roleOf(member: Member, isPrivate: boolean, now: number): ForgeRole {
  if (member.state !== "active" || hasEnded(member.expires_at, now)) return "none";
  if ((member.membership_state ?? "active") !== "active") return "none";
  if (member.access_level >= MAINTAINER) return "admin";
  if (member.access_level >= DEVELOPER) return "write";
  if (member.access_level >= REPORTER) return "read";
  const mayRead = !isPrivate || member.member_role?.read_code === true;
  return member.access_level >= GUEST && mayRead ? "read" : "none";
}

const ORDER: readonly ForgeRole[] = ["none", "read", "write", "admin"];

/** Makes the list of those with a role. Versions before 16 list somebody once for each route: the highest role counts. */
export function collaboratorsOf(members: readonly Member[], isPrivate: boolean, now: number): Collaborator[] {
  const found = new Map<string, Collaborator>();
  for (const member of members) {
    const [id, role] = [String(member.id), roleOf(member, isPrivate, now)];
    if (ORDER.indexOf(role) <= ORDER.indexOf(found.get(id)?.role ?? "none")) continue;
    found.set(id, { id, login: member.username, role });
  }
  return [...found.values()];
}

/**
 * Reads a project. Its address for git is made from the settings and not taken from the answer, so that the token is
 * only ever sent to the forge of the settings.
 */
export function repositoryOf(project: Project, url: string): ForgeRepository {
  const path = project.path_with_namespace;
  const slash = path.lastIndexOf("/");
  return {
    id: String(project.id),
    owner: path.slice(0, slash),
    name: path.slice(slash + 1),
    cloneUrl: `${url}/${path.split("/").map(encodeURIComponent).join("/")}.git`,
    isPrivate: project.visibility !== "public",
    isArchived: project.archived || typeof project.marked_for_deletion_on === "string",
  };
}

/** Reads an account. Any state but `active` keeps somebody from using git at GitLab, so it does here. */
export function accountOf(user: User, url: string): ForgeAccount {
  const id = String(user.id);
  // doc/user/profile: the private commit e-mail address, by its default host name.
  const hidden = `${id}-${user.username}@users.noreply.${URL.parse(url)?.hostname ?? "invalid"}`;
  const email = [user.commit_email, user.public_email, user.email].find(
    (text) => text !== undefined && text !== null && text !== "",
  );
  return {
    id,
    login: user.username,
    fullName: inOneLine(user.name) || user.username,
    email: inOneLine(email ?? "") || hidden,
    isSuspended: user.state !== "active",
  };
}

/** Lists the keys that may log in: neither past their date nor for signatures alone. */
export function keysOf(keys: readonly SshKey[], now: number): string[] {
  return keys
    .filter(
      ({ expires_at, usage_type }) => !hasEnded(expires_at, now) && (usage_type ?? "auth_and_signing") !== "signing",
    )
    .map(({ key }) => key);
}

/** A day ends what it is the end of at its beginning, in UTC: app/models/concerns/expirable.rb. An unreadable one has. */
function hasEnded(at: string | null | undefined, now: number): boolean {
  if (at === undefined || at === null) return false;
  const time = Date.parse(at);
  return Number.isNaN(time) || time <= now;
}

/** Names and addresses go into git's settings, where a line's end would begin another one. */
function inOneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}
