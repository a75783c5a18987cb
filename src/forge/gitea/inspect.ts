/**
 * Tries the token of a Gitea or Forgejo: `slip check --online`. Neither tells the scopes of a token, so each is tried.
 *
 * @module
 */
import { z } from "zod";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { Ask, Finding } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { bad, good, tryTo } from "../inspecting.ts";
import { Account, Organization, Repository, Team } from "./shapes.ts";

/** Says what the token may do, and what it should be allowed to and is not. */
export async function inspectGitea(http: ForgeHttp, settings: ForgeSettings, signal: AbortSignal): Promise<Finding[]> {
  const ask: Ask = { priority: "background", signal };
  const self = await tryTo(http.get("/user", Account, ask));
  if (self.type === "refused" && self.why.includes("status 401"))
    return [bad(`the token is not accepted: ${self.why}`)];
  const findings = [
    self.type === "refused" ? bad(`the token needs the scope "read:user": ${self.why}`) : good("the token is accepted"),
  ];
  if (self.type === "ok" && self.value.is_admin !== true) {
    const lost = "accounts that are private, deactivated or forbidden to log in are not told apart";
    findings.push(bad(`the token's account is no site administrator: ${lost}`));
  }
  for (const organization of settings.organizations)
    findings.push(...(await inspectOrganization(http, organization, ask)));
  for (const path of settings.repositories) findings.push(...(await inspectRepository(http, path, ask)));
  return findings;
}

async function inspectOrganization(http: ForgeHttp, name: string, ask: Ask): Promise<Finding[]> {
  const organization = await tryTo(http.get(pathOf`/orgs/${name}`, Organization, ask));
  if (organization.type === "refused") {
    return [bad(`the token needs the scope "read:organization" for ${name}: ${organization.why}`)];
  }
  const isUser = organization.type === "absent";
  const list = isUser ? pathOf`/users/${name}/repos` : pathOf`/orgs/${name}/repos`;
  const repositories = await tryTo(http.get(`${list}?page=1&limit=50`, z.array(Repository), ask));
  if (repositories.type === "absent") return [bad(`the token is shown neither an organization nor a user ${name}`)];
  if (repositories.type === "refused")
    return [bad(`the token may not list the repositories of ${name}: ${repositories.why}`)];
  const findings = [good(`the token is shown ${repositories.value.length} repositories of ${name} on the first page`)];
  if (!isUser) findings.push(...(await inspectTeams(http, name, ask)));
  const lacking = repositories.value.filter(({ permissions }) => permissions?.admin !== true);
  const [first] = lacking;
  if (first !== undefined) findings.push(notAdmin(`${lacking.length} repositories of ${name}, as ${first.name}`));
  return findings;
}

async function inspectTeams(http: ForgeHttp, name: string, ask: Ask): Promise<Finding[]> {
  const lost = bad(`the token's account is no owner of ${name}: the members of its teams are not shown`);
  const teams = await tryTo(http.get(`${pathOf`/orgs/${name}/teams`}?page=1&limit=50`, z.array(Team), ask));
  if (teams.type !== "ok") return [lost];
  for (const { id } of teams.value) {
    const members = await tryTo(http.get(`/teams/${id}/members?page=1&limit=1`, z.array(Account), ask));
    if (members.type !== "ok") return [lost];
  }
  return [good(`the token is shown the members of the teams of ${name}`)];
}

async function inspectRepository(http: ForgeHttp, path: string, ask: Ask): Promise<Finding[]> {
  const [owner = "", name = ""] = path.split("/");
  const repository = await tryTo(http.get(pathOf`/repos/${owner}/${name}`, Repository, ask));
  if (repository.type === "refused")
    return [bad(`the token needs the scope "read:repository" for ${path}: ${repository.why}`)];
  if (repository.type === "absent") return [bad(`the token is shown no repository ${path}`)];
  return [
    repository.value.permissions?.admin === true ? good(`the token may read the roles of ${path}`) : notAdmin(path),
  ];
}

/** routers/api/v1/repo/collaborators.go: only they may ask for the permissions of others. */
function notAdmin(what: string): Finding {
  return bad(`the token's account is not an administrator of ${what}: the roles of others are not told`);
}
