/**
 * What a GitLab of tests answers: which documented operation a request is, who may ask it, and what the world says.
 * Only `gitlab-server.ts` uses it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { z } from "zod";
import type { Clock } from "../../../src/base/clock.ts";
import type { ForgeAnswer, ForgeRequest } from "../lib/exchange.ts";
import { pageOf } from "../lib/pages.ts";
import { groupBody, memberBody, projectBody, tokenBody, userBody } from "./bodies.ts";
import * as documented from "./documented.ts";
import { chainOf, type MemberRow, membersOf, membersOfGroup } from "./members.ts";
import type { GitlabWorld, WorldGroup, WorldProject, WorldToken, WorldUser } from "./world.ts";

const API = "/api/v4";

/** Limits requests to so many in a window, for all who ask, as Rack::Attack does. */
export interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
}

interface Asked {
  readonly request: ForgeRequest;
  readonly world: GitlabWorld;
  readonly id: string;
  readonly memberId: string;
  readonly asker: WorldUser;
  readonly token: WorldToken;
}

type Handler = (asked: Asked) => ForgeAnswer;

/** Names the operation that a request is, as the documentation writes it. */
export function templateOf({ path }: ForgeRequest): string {
  return matching(path)?.template ?? path;
}

const TEMPLATES = [
  "/personal_access_tokens/self",
  "/user",
  "/users/:id",
  "/users/:id/keys",
  "/users/:id/projects",
  "/groups/:id",
  "/groups/:id/projects",
  "/groups/:id/members/all/:user_id",
  "/projects/:id",
  "/projects/:id/members/all",
  "/projects/:id/members/all/:user_id",
] as const;

type Template = (typeof TEMPLATES)[number];

function matching(path: string): { template: Template; id: string; memberId: string } | undefined {
  if (!path.startsWith(`${API}/`)) return undefined;
  const parts = path.slice(API.length).split("/");
  const template = TEMPLATES.find((one) => {
    const wanted = one.split("/");
    return (
      wanted.length === parts.length && wanted.every((part, index) => part.startsWith(":") || part === parts[index])
    );
  });
  const valueOf = (index: number): string => decodeURIComponent(parts[index] ?? "");
  return template === undefined ? undefined : { template, id: valueOf(2), memberId: valueOf(5) };
}

export class GitlabAnswers {
  /** Where the server is, for addresses in answers. */
  origin = "";
  rateLimit: RateLimit | undefined;
  readonly #world: GitlabWorld;
  readonly #clock: Clock;
  #remembered: GitlabWorld | undefined;
  #windowAt = 0;
  #windowCount = 0;

  constructor(world: GitlabWorld, clock: Clock) {
    this.#world = world;
    this.#clock = clock;
  }

  remember(): void {
    this.#remembered = this.#world.copy();
  }

  answer(request: ForgeRequest, isStale: boolean): ForgeAnswer {
    const limits = this.#limit();
    if (limits.isSpent) return { status: 429, headers: limits.headers, body: "Retry later\n", type: "text/plain" };
    const world = isStale ? (this.#remembered ?? this.#world) : this.#world;
    const answer = tagged(this.#answerOf(request, world), request);
    const token = world.tokens.get(String(request.headers["private-token"] ?? ""));
    const asker = token === undefined ? undefined : world.users.get(token.userId)?.username;
    return { ...answer, headers: { ...limits.headers, ...answer.headers }, ...(asker === undefined ? {} : { asker }) };
  }

  #answerOf(request: ForgeRequest, world: GitlabWorld): ForgeAnswer {
    const found = matching(request.path);
    if (found === undefined || request.method !== "GET") return error(404, "404 Not Found");
    const token = world.tokens.get(String(request.headers["private-token"] ?? ""));
    const asker = world.users.get(token?.userId ?? 0);
    if (token === undefined || asker === undefined || !this.#isGood(token)) return error(401, "401 Unauthorized");
    if (asker.state !== "active") return error(403, "403 Forbidden - Your account has been blocked.");
    const isSelf = found.template === "/personal_access_tokens/self";
    if (!isSelf && !token.scopes.some((scope) => scope === "api" || scope === "read_api"))
      return lackingScope(found.template);
    return this.#handlers[found.template]({ request, world, asker, token, ...found });
  }

  readonly #handlers: Readonly<Record<Template, Handler>> = {
    "/personal_access_tokens/self": ({ token }) => ok(documented.PersonalAccessToken, tokenBody(token)),
    "/user": ({ asker }) => ok(documented.User, userBody(asker, true, this.origin)),
    "/users/:id": ({ world, id, asker }) => {
      const user = /^\d+$/.test(id) ? world.users.get(Number(id)) : undefined;
      if (user === undefined) return error(404, "404 User Not Found");
      return ok(documented.User, userBody(user, asker.isAdmin, this.origin));
    },
    "/users/:id/keys": (asked) => {
      const user = userBy(asked.id, asked.world);
      if (user === undefined) return error(404, "404 User Not Found");
      const keys = user.keys.map(({ id, line, expiresAt, usage }) => {
        return {
          id,
          title: "laptop",
          key: line,
          created_at: "2026-01-01T00:00:00Z",
          expires_at: expiresAt,
          usage_type: usage,
        };
      });
      return this.#page(documented.SshKey, keys, asked);
    },
    "/users/:id/projects": (asked) => {
      const user = userBy(asked.id, asked.world);
      if (user === undefined) return error(404, "404 User Not Found");
      return this.#projects(asked, ({ home }) => "user" in home && home.user === user.id);
    },
    "/groups/:id": (asked) => {
      const group = this.#group(asked);
      if (group === undefined) return error(404, "404 Group Not Found");
      return ok(documented.Group, groupBody(group, asked.world, this.origin));
    },
    "/groups/:id/projects": (asked) => {
      const group = this.#group(asked);
      if (group === undefined) return error(404, "404 Group Not Found");
      const isDeep = asked.request.query.get("include_subgroups") === "true";
      return this.#projects(asked, ({ home }) => {
        if (!("group" in home)) return false;
        return isDeep ? chainOf(asked.world, home.group).includes(group) : home.group === group.id;
      });
    },
    "/groups/:id/members/all/:user_id": (asked) => {
      const group = this.#group(asked);
      const row = membersOfGroup(asked.world, group?.id ?? 0).find(({ userId }) => String(userId) === asked.memberId);
      return row === undefined ? error(404, "404 Not found") : ok(documented.Member, this.#member(row, asked));
    },
    "/projects/:id": (asked) => {
      const project = this.#project(asked);
      if (project === undefined) return error(404, "404 Project Not Found");
      const isPath = !/^\d+$/.test(asked.id);
      if (isPath && asked.id.toLowerCase() !== asked.world.pathOf(project).toLowerCase()) {
        return { status: 301, headers: { location: `${this.origin}${API}/projects/${project.id}` } };
      }
      return ok(documented.Project, projectBody(project, asked.world, this.origin));
    },
    "/projects/:id/members/all": (asked) => {
      const rows = this.#members(asked);
      if (rows === undefined) return error(404, "404 Project Not Found");
      return this.#page(
        documented.Member,
        rows.map((row) => this.#member(row, asked)),
        asked,
      );
    },
    "/projects/:id/members/all/:user_id": (asked) => {
      const rows = this.#members(asked);
      if (rows === undefined) return error(404, "404 Project Not Found");
      const row = rows.find(({ userId }) => String(userId) === asked.memberId);
      return row === undefined ? error(404, "404 Not found") : ok(documented.Member, this.#member(row, asked));
    },
  };

  #isGood({ revoked, expiresAt }: WorldToken): boolean {
    return !revoked && (expiresAt === null || Date.parse(expiresAt) > this.#clock.now());
  }

  #member(row: MemberRow, { world }: Asked): unknown {
    return memberBody(row, world, this.origin);
  }

  #projects(asked: Asked, isWanted: (project: WorldProject) => boolean): ForgeAnswer {
    const { world } = asked;
    const seen = [...world.projects.values()].filter((project) => isWanted(project) && this.#isShown(project, asked));
    return this.#page(
      documented.Project,
      seen.map((project) => projectBody(project, world, this.origin)),
      asked,
    );
  }

  #group({ id, world, asker }: Asked): WorldGroup | undefined {
    const found = [...world.groups.values()].find(
      (group) => String(group.id) === id || world.fullPathOf(group).toLowerCase() === id.toLowerCase(),
    );
    if (found?.visibility !== "private" || asker.isAdmin) return found;
    return membersOfGroup(world, found.id).some(({ userId }) => userId === asker.id) ? found : undefined;
  }

  #project(asked: Asked): WorldProject | undefined {
    const { id, world } = asked;
    const byPath = [...world.projects.values()].find((one) => world.pathOf(one).toLowerCase() === id.toLowerCase());
    const moved = world.projects.get(world.movedPaths.get(id.toLowerCase()) ?? 0);
    const found = /^\d+$/.test(id) ? world.projects.get(Number(id)) : (byPath ?? moved);
    return found !== undefined && this.#isShown(found, asked) ? found : undefined;
  }

  #isShown(project: WorldProject, { world, asker }: Asked): boolean {
    if (project.visibility !== "private" || asker.isAdmin) return true;
    return membersOf(world, project, this.#clock.now()).some(({ userId }) => userId === asker.id);
  }

  /** Members of private groups that are invited are shown to members of the project alone. */
  #members(asked: Asked): MemberRow[] | undefined {
    const { world, asker } = asked;
    const project = this.#project(asked);
    if (project === undefined) return undefined;
    const now = this.#clock.now();
    const all = membersOf(world, project, now);
    if (asker.isAdmin || all.some(({ userId }) => userId === asker.id)) return all;
    const own = new Set(membersOf(world, { ...project, invited: [] }, now).map(({ userId }) => userId));
    return all.filter(({ userId }) => own.has(userId));
  }

  /** doc/api/rest/_index.md, "Offset-based pagination". */
  #page(shape: z.ZodType, all: readonly unknown[], { request: { path, query } }: Asked): ForgeAnswer {
    const { items, page, perPage, lastPage, totalCount } = pageOf(all, query, { defaultCount: 20 });
    const linkTo = (number: number, rel: string): string => {
      const target = new URL(`${this.origin}${path}?${query.toString()}`);
      target.searchParams.set("page", String(number));
      return `<${target.href}>; rel="${rel}"`;
    };
    const links = [
      ...(page < lastPage ? [linkTo(page + 1, "next")] : []),
      linkTo(1, "first"),
      linkTo(lastPage, "last"),
    ];
    const headers = {
      link: links.join(", "),
      "x-next-page": page < lastPage ? String(page + 1) : "",
      "x-page": String(page),
      "x-per-page": String(perPage),
      "x-prev-page": page > 1 ? String(page - 1) : "",
      "x-total": String(totalCount),
      "x-total-pages": String(lastPage),
    };
    return { status: 200, headers, body: JSON.stringify(items.map((item) => shape.parse(item))) };
  }

  /** doc/administration/settings/user_and_ip_rate_limits.md, "Response headers". */
  #limit(): { readonly isSpent: boolean; readonly headers: Readonly<Record<string, string>> } {
    if (this.rateLimit === undefined) return { isSpent: false, headers: {} };
    const { limit, windowMs } = this.rateLimit;
    const now = this.#clock.now();
    if (now - this.#windowAt >= windowMs) [this.#windowAt, this.#windowCount] = [now, 0];
    this.#windowCount += 1;
    const resetAt = this.#windowAt + windowMs;
    const isSpent = this.#windowCount > limit;
    const headers = {
      date: new Date(now).toUTCString(),
      "ratelimit-limit": String(limit),
      "ratelimit-name": "throttle_authenticated_api",
      "ratelimit-observed": String(this.#windowCount),
      "ratelimit-remaining": String(Math.max(0, limit - this.#windowCount)),
      "ratelimit-reset": String(Math.ceil(resetAt / 1_000)),
      ...(isSpent && { "retry-after": String(Math.ceil((resetAt - now) / 1_000)) }),
    };
    return { isSpent, headers };
  }
}

function userBy(id: string, world: GitlabWorld): WorldUser | undefined {
  return [...world.users.values()].find((user) => String(user.id) === id || user.username === id);
}

function ok(shape: z.ZodType, body: unknown): ForgeAnswer {
  return { status: 200, body: JSON.stringify(shape.parse(body)) };
}

function error(status: number, message: string): ForgeAnswer {
  return { status, body: JSON.stringify(documented.ErrorBody.parse({ message })) };
}

function lackingScope(template: Template): ForgeAnswer {
  const body = {
    error: "insufficient_scope",
    error_description: "The request requires higher privileges than provided by the access token.",
    scope: template.startsWith("/user") ? "api read_user read_api" : "api read_api",
  };
  return { status: 403, body: JSON.stringify(documented.ErrorBody.parse(body)) };
}

/** Rack::ConditionalGet and Rack::ETag, which answer all of GitLab's API. */
function tagged(answer: ForgeAnswer, { headers }: ForgeRequest): ForgeAnswer {
  if (answer.status !== 200) return answer;
  const etag = `W/"${createHash("sha256")
    .update(answer.body ?? "")
    .digest("hex")
    .slice(0, 32)}"`;
  const isSame = headers["if-none-match"] === etag;
  const { body, ...rest } = answer;
  return {
    ...rest,
    ...(isSame ? { status: 304 } : body === undefined ? {} : { body }),
    headers: { ...answer.headers, etag },
  };
}
