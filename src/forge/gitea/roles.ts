/**
 * Who may do what with a repository of Gitea or Forgejo, put together from its routes: the owner, direct collaborators,
 * and the teams of an organization.
 *
 * The forge's own word on one account (`…/permission`) is not enough: of a public repository everybody may read, a site
 * administrator owns everything, and a team that may write issues counts as writing. So it is believed for direct
 * collaborators, for whom it is right, and teams are asked for what they may do with code.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { Collaborator, ForgeRole } from "../../wire/forge.ts";
import type { AccountName, Ask } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { findAccount } from "./accounts.ts";
import { higherOf, roleOf, roleOfTeam } from "./meaning.ts";
import { readPages } from "./pages.ts";
import { Account, Organization, Permission, type Repository, Team } from "./shapes.ts";

export class GiteaRoles {
  readonly #http: ForgeHttp;
  /** Which owners are organizations, by number: none becomes the other. */
  readonly #organizations = new Map<number, boolean>();

  constructor(http: ForgeHttp) {
    this.#http = http;
  }

  /** Everybody with a role; `undefined`: the repository went away meanwhile. */
  async list(repository: Repository, ask: Ask): Promise<Collaborator[] | undefined> {
    const { owner } = repository;
    const collaborators = await readPages(
      this.#http,
      { path: `${base(repository)}/collaborators`, item: Account },
      ask,
    );
    const teams = await this.#teams(repository, ask);
    if (collaborators.status === "absent" || teams === undefined) return undefined;
    const found = new Map<string, Collaborator>();
    const add = ({ id, login }: Pick<Account, "id" | "login">, role: ForgeRole): void => {
      const before = found.get(String(id))?.role ?? "none";
      if (role !== "none") found.set(String(id), { id: String(id), login, role: higherOf(before, role) });
    };
    if (!(await this.#isOrganization(owner, ask))) add(owner, "admin");
    const direct = collaborators.value.map(async (account) => {
      const role = await this.#permission(repository, { id: String(account.id), login: account.login }, ask);
      if (role === undefined) throw raced(repository, account.login);
      add(account, role);
    });
    const byTeam = teams.map(async (team) => {
      const members = await readPages(this.#http, { path: `/teams/${team.id}/members`, item: Account }, ask);
      if (members.status === "absent") throw unseen(team, repository);
      for (const member of members.value) add(member, roleOfTeam(team));
    });
    await Promise.all([...direct, ...byTeam]);
    return [...found.values()];
  }

  /** The role of one account. */
  async read(repository: Repository, account: AccountName, ask: Ask): Promise<ForgeRole> {
    if (String(repository.owner.id) === account.id) return "admin";
    const shown = await findAccount(this.#http, account.id, ask);
    // Not every account is shown to every token: then it is looked for by the name it had, and known by its number.
    const named = { id: account.id, login: shown.value?.login ?? account.login };
    const permission = await this.#permission(repository, named, ask);
    if (permission === undefined) {
      if (shown.value !== undefined) throw raced(repository, named.login);
      return "none";
    }
    const [teams, isDirect] = await Promise.all([
      this.#teams(repository, ask),
      this.#http.get(
        pathOf`/repos/${repository.owner.login}/${repository.name}/collaborators/${named.login}`,
        z.null(),
        ask,
      ),
    ]);
    const byTeam = await Promise.all((teams ?? []).map((team) => this.#roleBy(team, named, repository, ask)));
    return byTeam.reduce(higherOf, isDirect.status === "ok" ? permission : "none");
  }

  /** What the forge says that somebody may do; `undefined`: the name is nobody's, or another's. */
  async #permission(repository: Repository, { id, login }: AccountName, ask: Ask): Promise<ForgeRole | undefined> {
    const { owner, name } = repository;
    const path = pathOf`/repos/${owner.login}/${name}/collaborators/${login}/permission`;
    const answer = await this.#http.get(path, Permission, ask);
    if (answer.status === "absent" || String(answer.value.user?.id ?? "") !== id) return undefined;
    return roleOf(answer.value.permission);
  }

  async #roleBy(team: Team, { id, login }: AccountName, repository: Repository, ask: Ask): Promise<ForgeRole> {
    const role = roleOfTeam(team);
    if (role === "none") return role;
    const teamId = String(team.id);
    const member = await this.#http.get(pathOf`/teams/${teamId}/members/${login}`, Account, ask);
    if (member.status === "ok") return String(member.value.id) === id ? role : "none";
    // To those who may not see the team the answer is the same.
    const seen = await this.#http.get(pathOf`/teams/${teamId}`, Team, ask);
    if (seen.status === "absent") throw unseen(team, repository);
    return "none";
  }

  /** The teams that have the repository; a user's has none. `undefined`: there is no such repository. */
  async #teams(repository: Repository, ask: Ask): Promise<readonly Team[] | undefined> {
    if (!(await this.#isOrganization(repository.owner, ask))) return [];
    const teams = await this.#http.get(`${base(repository)}/teams`, z.array(Team), ask);
    return teams.status === "absent" ? undefined : teams.value;
  }

  /** Of a user's repository `/teams` is answered with 405, so it is found out before. */
  async #isOrganization({ id, login }: Repository["owner"], ask: Ask): Promise<boolean> {
    const known = this.#organizations.get(id);
    if (known !== undefined) return known;
    const organization = await this.#http.get(pathOf`/orgs/${login}`, Organization, ask);
    const isOne = organization.status === "ok" && organization.value.id === id;
    if (!isOne && (await findAccount(this.#http, String(id), ask)).value === undefined) {
      throw new Fault("forge.refused", `Cannot ask for the teams of "${login}": the token is not shown who that is`);
    }
    this.#organizations.set(id, isOne);
    return isOne;
  }
}

function base({ owner, name }: Repository): string {
  return pathOf`/repos/${owner.login}/${name}`;
}

function raced({ owner, name }: Repository, login: string): Fault {
  const what = `the role of "${login}" in ${owner.login}/${name}`;
  return new Fault("forge.unreached", `Cannot ask for ${what}: the name changed hands while it was asked for`);
}

/** Team members are shown to site administrators, owners of the organization and each other: routers/api/v1/api.go. */
function unseen({ id }: Team, { owner }: Repository): Fault {
  const why = "the token's account is no owner of the organization";
  return new Fault("forge.refused", `Cannot ask who is in team ${id} of "${owner.login}": ${why}`);
}
