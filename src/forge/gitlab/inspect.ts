/**
 * Tries the token of a GitLab: `slip check --online`.
 *
 * @module
 */
import type { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { Ask, Finding } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { bad, good, type Tried, tryTo } from "../inspecting.ts";
import { Anything, Member, Self, TokenOfOurs } from "./shapes.ts";

/** A token that ends sooner is worth a word. Guess: time enough for somebody to make a new one. */
const ENDS_SOON_MS = 14 * 24 * 3_600_000;

interface InspectContext {
  readonly settings: ForgeSettings;
  readonly clock: Clock;
}

/** Says what the token may do, and what it should be allowed to and is not. */
export async function inspectGitlab(http: ForgeHttp, context: InspectContext, signal: AbortSignal): Promise<Finding[]> {
  const ask: Ask = { priority: "background", signal };
  const token = await tryTo(http.get("/personal_access_tokens/self", TokenOfOurs, ask));
  if (token.type === "refused") return [bad(`GitLab does not accept the token: ${token.why}`)];
  const findings = token.type === "ok" ? findingsOfToken(token.value, context.clock.now()) : [];
  if (token.type === "absent") findings.push(good("the version of GitLab does not tell the scopes of a token"));
  const self = await tryTo(http.get("/user", Self, ask));
  const isAdmin = self.type === "ok" && self.value.is_admin === true;
  for (const organization of context.settings.organizations) {
    findings.push(...(await inspectGroup(http, organization, { self, isAdmin, ask })));
  }
  for (const path of context.settings.repositories) findings.push(...(await inspectProject(http, path, ask)));
  return findings;
}

function findingsOfToken(token: z.infer<typeof TokenOfOurs>, now: number): Finding[] {
  const { scopes, active, expires_at } = token;
  const has = (...any: string[]) => any.some((scope) => scopes.includes(scope));
  const endsAt = typeof expires_at === "string" ? Date.parse(expires_at) : Number.POSITIVE_INFINITY;
  return [
    has("api", "read_api")
      ? good("the token has a scope to read the API")
      : bad('the token has not the scope "read_api"'),
    has("api", "read_repository", "write_repository")
      ? good("the token has a scope to fetch repositories")
      : bad('the token has not the scope "read_repository"'),
    ...(active === false ? [bad("the token is revoked or has ended")] : []),
    ...(endsAt - now < ENDS_SOON_MS ? [bad(`the token ends on ${expires_at ?? ""}`)] : []),
  ];
}

interface GroupContext {
  readonly self: Tried<z.infer<typeof Self>>;
  readonly isAdmin: boolean;
  readonly ask: Ask;
}

async function inspectGroup(http: ForgeHttp, name: string, { self, isAdmin, ask }: GroupContext): Promise<Finding[]> {
  const group = await tryTo(http.get(`${pathOf`/groups/${name}`}?with_projects=false`, Anything, ask));
  if (group.type === "refused") return [bad(`the token may not read the group ${name}: ${group.why}`)];
  if (group.type === "absent") {
    if (name.includes("/")) return [bad(`GitLab shows the token no group ${name}`)];
    const user = await tryTo(http.get(`${pathOf`/users/${name}/projects`}?per_page=1`, Anything.array(), ask));
    return user.type === "ok"
      ? [good(`the token sees the user ${name}`)]
      : [bad(`GitLab shows the token neither a group nor a user ${name}`)];
  }
  const findings = [good(`the token sees the group ${name}`)];
  if (isAdmin || self.type !== "ok") return findings;
  const member = await tryTo(http.get(`/groups/${group.value.id}/members/all/${self.value.id}`, Member, ask));
  if (member.type === "ok") return findings;
  const text = `the token's account is no member of ${name}: members of private groups that are invited to it are not seen`;
  return [...findings, bad(text)];
}

async function inspectProject(http: ForgeHttp, path: string, ask: Ask): Promise<Finding[]> {
  const project = await tryTo(http.get(pathOf`/projects/${path}`, Anything, ask));
  if (project.type === "refused") return [bad(`the token may not read ${path}: ${project.why}`)];
  if (project.type === "absent") return [bad(`GitLab shows the token no project ${path}`)];
  const members = await tryTo(http.get(`/projects/${project.value.id}/members/all?per_page=1`, Member.array(), ask));
  return members.type === "ok"
    ? [good(`the token sees ${path} and its members`)]
    : [bad(`the token may not read the members of ${path}: it needs the scope "read_api" and a role in the project`)];
}
