/**
 * What a Gitea of tests answers: which documented operation a request is, who may ask it, and what the world says.
 * Only `gitea-server.ts` uses it. Who may ask what is as in routers/api/v1/api.go of go-gitea/gitea.
 *
 * @module
 */
import type { z } from "zod";
import type { ForgeAnswer, ForgeRequest } from "../lib/exchange.ts";
import { keyBody, organizationBody, repositoryBody, teamBody, userBody } from "./bodies.ts";
import * as documented from "./documented.ts";
import { isMember, isOwner, isShown, maySeeCode, modeOf, teamsOf } from "./permissions.ts";
import type { GiteaWorld, WorldOrganization, WorldRepository, WorldTeam, WorldUser } from "./world.ts";

const API = "/api/v1";

interface Asked {
  readonly request: ForgeRequest;
  readonly world: GiteaWorld;
  /** What stands in the path for the names in braces. */
  readonly names: Readonly<Record<string, string>>;
  readonly asker: WorldUser;
}

type Handler = (asked: Asked) => ForgeAnswer;

/** Each documented operation with the category of scopes that it needs. */
const TEMPLATES = [
  ["/user", "user"],
  ["/users/search", "user"],
  ["/users/{username}/keys", "user"],
  ["/users/{username}/repos", "user"],
  ["/orgs/{org}", "organization"],
  ["/orgs/{org}/repos", "organization"],
  ["/orgs/{org}/teams", "organization"],
  ["/teams/{id}", "organization"],
  ["/teams/{id}/members", "organization"],
  ["/teams/{id}/members/{username}", "organization"],
  ["/repositories/{id}", "repository"],
  ["/repos/{owner}/{repo}", "repository"],
  ["/repos/{owner}/{repo}/collaborators", "repository"],
  ["/repos/{owner}/{repo}/collaborators/{collaborator}", "repository"],
  ["/repos/{owner}/{repo}/collaborators/{collaborator}/permission", "repository"],
  ["/repos/{owner}/{repo}/teams", "repository"],
] as const;

type Template = (typeof TEMPLATES)[number][0];

/** Names the operation that a request is, as the description writes it. */
export function templateOf({ path }: ForgeRequest): string {
  return matching(path)?.template ?? path;
}

function matching(path: string): { template: Template; scope: string; names: Record<string, string> } | undefined {
  if (!path.startsWith(`${API}/`)) return undefined;
  const parts = path.slice(API.length).split("/").map(decodeURIComponent);
  for (const [template, scope] of TEMPLATES) {
    const wanted = template.split("/");
    if (wanted.length !== parts.length) continue;
    if (!wanted.every((part, index) => part.startsWith("{") || part === parts[index])) continue;
    const pairs = wanted.map((part, index) => [part.slice(1, -1), parts[index] ?? ""]);
    return {
      template,
      scope,
      names: Object.fromEntries(pairs.filter(([name]) => name !== "")) as Record<string, string>,
    };
  }
  return undefined;
}

export class GiteaAnswers {
  /** Where the server is, for addresses in answers. */
  origin = "";
  /** `MAX_RESPONSE_ITEMS` of its settings. */
  maxItems = 50;
  readonly #world: GiteaWorld;
  #remembered: GiteaWorld | undefined;

  constructor(world: GiteaWorld) {
    this.#world = world;
  }

  remember(): void {
    this.#remembered = this.#world.copy();
  }

  answer(request: ForgeRequest, isStale: boolean): ForgeAnswer {
    const world = isStale ? (this.#remembered ?? this.#world) : this.#world;
    const found = matching(request.path);
    if (found === undefined || request.method !== "GET") return this.#error(404, "not found");
    const token = world.tokens.get(/^token (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "");
    const asker = world.users.get(token?.userId ?? 0);
    if (token === undefined || asker === undefined) return this.#error(401, "invalid username, password or token");
    if (asker.mayNotLogIn || !asker.isActive) return this.#error(403, "This account is prohibited from signing in");
    const { template, scope, names } = found;
    const isAllowed = token.scopes.some((one) => ["all", `read:${scope}`, `write:${scope}`].includes(one));
    if (!isAllowed) {
      return this.#error(403, `token does not have at least one of required scope(s), required=[read:${scope}]`);
    }
    return { ...this.#handlers[template]({ request, world, names, asker }), asker: asker.login };
  }

  readonly #handlers: Readonly<Record<Template, Handler>> = {
    "/user": ({ asker }) => ok(documented.User, userBody(asker, asker, this.origin)),
    "/users/search": ({ world, asker, request: { query } }) => {
      const id = Number(query.get("uid") ?? 0);
      const seen = [...world.users.values()].filter(
        (user) => (id > 0 ? user.id === id : true) && seesUser(asker, user),
      );
      return ok(documented.SearchResults, { ok: true, data: seen.map((user) => userBody(user, asker, this.origin)) });
    },
    "/users/{username}/keys": (asked) => {
      const user = this.#user(asked, asked.names["username"]);
      if (user === undefined) return this.#error(404, "user redirect does not exist");
      const keys = user.keys.map((key) => keyBody(key, user, asked.asker, this.origin));
      return this.#page(documented.PublicKey, keys, asked);
    },
    "/users/{username}/repos": (asked) => {
      const user = this.#user(asked, asked.names["username"]);
      return user === undefined ? this.#error(404, "user redirect does not exist") : this.#repositories(user.id, asked);
    },
    "/orgs/{org}": (asked) => {
      const organization = this.#organization(asked);
      if (organization === undefined) return this.#error(404, "GetOrgByName");
      return ok(documented.Organization, organizationBody(organization, this.origin));
    },
    "/orgs/{org}/repos": (asked) => {
      const organization = this.#organization(asked);
      return organization === undefined ? this.#error(404, "GetOrgByName") : this.#repositories(organization.id, asked);
    },
    "/orgs/{org}/teams": (asked) => {
      const organization = this.#organization(asked);
      if (organization === undefined) return this.#error(404, "GetOrgByName");
      if (!asked.asker.isAdmin && !isMember(organization, asked.asker))
        return this.#error(403, "Must be an organization member");
      return this.#page(documented.Team, organization.teams.map(teamBody), asked);
    },
    "/teams/{id}": (asked) => this.#ofTeam(asked, (team) => ok(documented.Team, teamBody(team))),
    "/teams/{id}/members": (asked) =>
      this.#ofTeam(asked, ({ members }) => {
        const bodies = [...members].map((id) => this.#userBody(id, asked));
        return this.#page(documented.User, bodies, asked);
      }),
    "/teams/{id}/members/{username}": (asked) =>
      this.#ofTeam(asked, ({ members }) => {
        const user = this.#user(asked, asked.names["username"]);
        if (user === undefined || !members.has(user.id)) return this.#error(404, "not found");
        return ok(documented.User, userBody(user, asked.asker, this.origin));
      }),
    "/repositories/{id}": (asked) => {
      const repository = asked.world.repositories.get(Number(asked.names["id"]));
      if (repository === undefined || modeOf(asked.world, repository, asked.asker) === "none")
        return this.#error(404, "not found");
      return ok(documented.Repository, this.#repositoryBody(repository, asked));
    },
    "/repos/{owner}/{repo}": (asked) =>
      this.#ofRepository(asked, (repository) => ok(documented.Repository, this.#repositoryBody(repository, asked))),
    "/repos/{owner}/{repo}/collaborators": (asked) =>
      this.#ofRepository(asked, ({ collaborators }) => {
        const bodies = [...collaborators.keys()].map((id) => this.#userBody(id, asked));
        return this.#page(documented.User, bodies, asked);
      }),
    "/repos/{owner}/{repo}/collaborators/{collaborator}": (asked) =>
      this.#ofRepository(asked, ({ collaborators }) => {
        const user = this.#user(asked, asked.names["collaborator"]);
        if (user === undefined) return this.#error(422, "user does not exist");
        return collaborators.has(user.id) ? { status: 204 } : this.#error(404, "not found");
      }),
    "/repos/{owner}/{repo}/collaborators/{collaborator}/permission": (asked) =>
      this.#ofRepository(asked, (repository) => {
        const { world, asker, names } = asked;
        const mode = modeOf(world, repository, asker);
        const isSelf = names["collaborator"]?.toLowerCase() === asker.login.toLowerCase();
        if (!asker.isAdmin && !isSelf && mode !== "admin" && mode !== "owner") {
          const text =
            "Only admins can query all permissions, repo admins can query all repo permissions, collaborators can query only their own";
          return this.#error(403, text);
        }
        const user = this.#user(asked, names["collaborator"]);
        if (user === undefined) return this.#error(404, "user does not exist");
        const permission = modeOf(world, repository, user);
        const body = { permission, role_name: permission, user: userBody(user, asker, this.origin) };
        return ok(documented.RepoCollaboratorPermission, body);
      }),
    "/repos/{owner}/{repo}/teams": (asked) =>
      this.#ofRepository(asked, (repository) => {
        if (!asked.world.organizations.has(repository.ownerId))
          return this.#error(405, "repo is not owned by an organization");
        const teams = teamsOf(asked.world, repository).map((team) => documented.Team.parse(teamBody(team)));
        return { status: 200, body: JSON.stringify(teams) };
      }),
  };

  /** reqTeamMembership: owners of the organization and the team's own; others of the organization are told to go. */
  #ofTeam(asked: Asked, answer: (team: WorldTeam) => ForgeAnswer): ForgeAnswer {
    const { world, asker, names } = asked;
    const organization = [...world.organizations.values()].find(({ teams }) =>
      teams.some(({ id }) => String(id) === names["id"]),
    );
    const team = organization?.teams.find(({ id }) => String(id) === names["id"]);
    if (organization === undefined || team === undefined) return this.#error(404, "GetTeamById");
    if (asker.isAdmin || isOwner(organization, asker) || team.members.has(asker.id)) return answer(team);
    return isMember(organization, asker) ? this.#error(403, "Must be a team member") : this.#error(404, "not found");
  }

  #ofRepository(asked: Asked, answer: (repository: WorldRepository) => ForgeAnswer): ForgeAnswer {
    const { world, names, asker, request } = asked;
    const path = `${names["owner"] ?? ""}/${names["repo"] ?? ""}`;
    const found = [...world.repositories.values()].find(
      (one) => world.pathOf(one).toLowerCase() === path.toLowerCase(),
    );
    const moved = world.repositories.get(world.movedPaths.get(path.toLowerCase()) ?? 0);
    if (found === undefined && moved !== undefined) {
      const rest = request.path.slice(`${API}/repos/${path}`.length);
      return { status: 307, headers: { location: `${API}/repos/${world.pathOf(moved)}${rest}` } };
    }
    if (found === undefined || modeOf(world, found, asker) === "none") return this.#error(404, "not found");
    return answer(found);
  }

  #repositories(ownerId: number, asked: Asked): ForgeAnswer {
    const { world, asker } = asked;
    const theirs = [...world.repositories.values()].filter((one) => one.ownerId === ownerId);
    // Counted before what may not be seen is left out: routers/api/v1/user/repo.go.
    const body = (repository: WorldRepository) =>
      asker.isAdmin || maySeeCode(world, repository, asker) ? this.#repositoryBody(repository, asked) : undefined;
    return this.#page(documented.Repository, theirs.map(body), asked, { hasLink: true });
  }

  #organization({ world, names, asker }: Asked): WorldOrganization | undefined {
    const found = [...world.organizations.values()].find(
      ({ name }) => name.toLowerCase() === names["org"]?.toLowerCase(),
    );
    return found !== undefined && isShown(found, asker) ? found : undefined;
  }

  #user({ world }: Asked, login = ""): WorldUser | undefined {
    return [...world.users.values()].find((user) => user.login.toLowerCase() === login.toLowerCase());
  }

  #userBody(id: number, { world, asker }: Asked): z.infer<typeof documented.User> {
    const user = world.users.get(id);
    if (user === undefined) throw new Error(`Cannot tell of user ${id}: there is none`);
    return userBody(user, asker, this.origin);
  }

  #repositoryBody(repository: WorldRepository, { world, asker }: Asked): z.infer<typeof documented.Repository> {
    return repositoryBody(repository, { world, asker, origin: this.origin });
  }

  /** All lists have `X-Total-Count`, not all a `Link`; entries that are `undefined` are left out of their page. */
  #page(shape: z.ZodType, all: readonly unknown[], { request }: Asked, { hasLink = false } = {}): ForgeAnswer {
    const { path, query } = request;
    const limit = Math.min(Number(query.get("limit") ?? 30), this.maxItems);
    const page = Math.max(1, Number(query.get("page") ?? 1));
    const lastPage = Math.max(1, Math.ceil(all.length / limit));
    const items = all.slice((page - 1) * limit, page * limit).filter((item) => item !== undefined);
    const linkTo = (to: number, rel: string): string =>
      `<http://gitea.invalid${path}?page=${to}&limit=${limit}>; rel="${rel}"`;
    const links = [
      ...(page < lastPage ? [linkTo(page + 1, "next"), linkTo(lastPage, "last")] : []),
      ...(page > 1 ? [linkTo(1, "first"), linkTo(page - 1, "prev")] : []),
    ];
    const headers = {
      "x-total-count": String(all.length),
      ...(hasLink && links.length > 0 ? { link: links.join(",") } : {}),
    };
    return { status: 200, headers, body: JSON.stringify(items.map((item) => shape.parse(item))) };
  }

  #error(status: number, message: string): ForgeAnswer {
    const body = documented.ErrorBody.parse({ message, url: `${this.origin}/api/swagger` });
    return { status, body: JSON.stringify(body) };
  }
}

function seesUser(asker: WorldUser, { id, visibility }: WorldUser): boolean {
  return asker.isAdmin || asker.id === id || (visibility !== "private" && !asker.isRestricted);
}

function ok(shape: z.ZodType, body: unknown): ForgeAnswer {
  return { status: 200, body: JSON.stringify(shape.parse(body)) };
}
