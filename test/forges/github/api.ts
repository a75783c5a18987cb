/**
 * The API as a whole: who asks, what for, whether it is rationed, from which copy, and whether the answer is one that
 * GitHub's description allows.
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Description, type Operation } from "../lib/description.ts";
import type { ForgeAnswer, ForgeRequest } from "../lib/exchange.ts";
import { parseJson, type JsonObject } from "../lib/json.ts";
import { Refusal, type Call, type Handlers, type Reply } from "./call.ts";
import type { RateLimits } from "./limits.ts";
import { accountHandlers } from "./routes-accounts.ts";
import { appHandlers } from "./routes-apps.ts";
import { repositoryHandlers } from "./routes-repositories.ts";
import { nameOfViewer, printOfCredential, type Tokens, type Viewer } from "./tokens.ts";
import type { World } from "./world.ts";

export type Edition = "cloud" | "enterprise";

const DESCRIPTIONS: Readonly<Record<Edition, string>> = { cloud: "api.github.com", enterprise: "ghes-3.19" };
/** Where GitHub Enterprise Server has its API. */
const PREFIXES: Readonly<Record<Edition, string>> = { cloud: "", enterprise: "/api/v3" };
const GENERIC_ERROR = "#/components/schemas/basic-error";

/**
 * Where the descriptions do not say what GitHub does. In the list of installations they want each account to be a user
 * and an enterprise at once (`allOf`), where the schema of a single installation says either (`anyOf`).
 */
const CORRECTIONS: Readonly<Record<string, JsonObject>> = {
  "#/paths/~1app~1installations/get/responses/200/content/application~1json/schema/items": {
    $ref: "#/components/schemas/installation",
  },
};
/** A user of an enterprise's server has this, as octokit.net's model of it says; the description leaves it out. */
const SUSPENDED_AT = { type: "string", format: "date-time", nullable: true };
const ENTERPRISE_CORRECTIONS: Readonly<Record<string, JsonObject>> = {
  ...CORRECTIONS,
  "#/components/schemas/public-user/properties/suspended_at": SUSPENDED_AT,
  "#/components/schemas/private-user/properties/suspended_at": SUSPENDED_AT,
};

const require = createRequire(import.meta.url);
const handlers: Handlers = { ...repositoryHandlers, ...accountHandlers, ...appHandlers };

export interface ApiOptions {
  readonly edition: Edition;
  readonly world: World;
  readonly tokens: Tokens;
  readonly limits: RateLimits;
  /** Addresses by which the server is reached. */
  origins(): { readonly http: string; readonly https: string };
  violate(text: string): void;
}

/** Changes the value of an answer before it is checked. */
export type Spoiler = (value: unknown) => unknown;

export class Api {
  readonly prefix: string;
  readonly description: Description;
  readonly #options: ApiOptions;
  readonly #spoilers = new Map<string, Spoiler>();
  #remembered: World | undefined;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.prefix = PREFIXES[options.edition];
    const folder = dirname(require.resolve("@octokit/openapi/package.json"));
    this.description = Description.read(
      join(folder, "generated", `${DESCRIPTIONS[options.edition]}.json`),
      options.edition === "enterprise" ? ENTERPRISE_CORRECTIONS : CORRECTIONS,
    );
  }

  /** Keeps the world as it is, for stale answers. */
  remember(): void {
    this.#remembered = this.#options.world.copy();
  }

  /** Spoils answers to `get /orgs/{org}` and the like; nothing is spoilt any more without a spoiler. */
  spoil(operation: string, spoiler?: Spoiler): void {
    if (spoiler === undefined) this.#spoilers.delete(operation);
    else this.#spoilers.set(operation, spoiler);
  }

  templateOf(request: ForgeRequest): string {
    return this.#find(request, this.#options.world).operation?.template ?? request.path;
  }

  /** Counts a request as under way. @returns what to call at its end */
  enter(request: ForgeRequest): () => void {
    const viewer = this.#options.tokens.identify(request.headers.authorization, this.#options.world);
    return viewer.type === "refused" ? () => undefined : this.#options.limits.enter(nameOfViewer(viewer));
  }

  answer(request: ForgeRequest, isStale: boolean): ForgeAnswer {
    const world = isStale && this.#remembered !== undefined ? this.#remembered : this.#options.world;
    if (request.headers["user-agent"] === undefined) {
      return { status: 403, type: "text/html", body: "Request forbidden by administrative rules." };
    }
    const { operation, path } = this.#find(request, world);
    const viewer = this.#options.tokens.identify(request.headers.authorization, world);
    if (operation === undefined) {
      this.#options.violate(`${request.method} ${request.path}: there is no such operation`);
      return this.#finish(request, { viewer, operation }, new Refusal(404, "Not Found").reply);
    }
    if (viewer.type === "refused") {
      return this.#finish(request, { viewer, operation }, new Refusal(viewer.status, viewer.message).reply);
    }
    const body = request.body.length === 0 ? undefined : (parseJson(request.body.toString()) ?? null);
    const complaint = this.description.complaintAboutRequest(operation, request.query, body);
    if (complaint !== undefined) this.#options.violate(`${request.method} ${request.path}: ${complaint}`);
    const asker = nameOfViewer(viewer);
    const { limits, tokens, edition } = this.#options;
    const limited = limits.check(asker, request.method);
    if (limited !== undefined && operation.template !== "/rate_limit") {
      const { headers } = limited;
      return this.#finish(
        request,
        { viewer, operation },
        new Refusal(limited.status, limited.message, { headers }).reply,
      );
    }
    const { params, method, template } = operation;
    const call: Call = {
      ...{ world, viewer, params, query: request.query, body, addresses: this.#addressesFor(request) },
      authorization: request.headers.authorization,
      ...{ tokens, limits, asker, isEnterprise: edition === "enterprise", method },
      rest: template.startsWith("/repos/{owner}/{repo}")
        ? path
            .split("/")
            .slice(4)
            .map((part) => `/${part}`)
            .join("")
        : "",
    };
    return this.#finish(
      request,
      { viewer, operation },
      this.#handle(call, operation),
      limits.charge.bind(limits, asker),
    );
  }

  #handle(call: Call, { method, template }: Operation): Reply {
    const handler = handlers[`${method} ${template}`];
    if (handler === undefined) {
      this.#options.violate(`${method} ${template}: this server does not speak of that`);
      return new Refusal(404, "Not Found").reply;
    }
    try {
      return handler(call);
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    }
  }

  /** Checks, makes conditional, counts and writes out. */
  #finish(
    request: ForgeRequest,
    {
      viewer,
      operation,
    }: { readonly viewer: Viewer | { readonly type: "refused" }; readonly operation: Operation | undefined },
    reply: Reply,
    charge?: () => void,
  ): ForgeAnswer {
    const asker = viewer.type === "refused" ? "anonymous" : nameOfViewer(viewer);
    const name = operation === undefined ? "" : `${operation.method} ${operation.template}`;
    const value = this.#spoilers.get(name)?.(reply.value) ?? reply.value;
    if (operation !== undefined) {
      const described = { status: reply.status, body: value, genericError: GENERIC_ERROR };
      const complaint = this.description.complaintAboutAnswer(operation, described);
      if (complaint !== undefined) {
        this.#options.violate(
          `${request.method} ${request.path} was about to be answered with ${reply.status}: ${complaint}`,
        );
        return { status: 500, body: JSON.stringify({ message: "Server Error" }), asker };
      }
    }
    const body = value === undefined ? undefined : JSON.stringify(value);
    const etag = reply.status === 200 && operation?.method === "get" ? etagOf(request, body ?? "") : undefined;
    const isKnown = etag !== undefined && namesEtag(request.headers["if-none-match"], etag);
    const isFree =
      charge === undefined || operation?.template === "/rate_limit" || (isKnown && viewer.type !== "anonymous");
    if (!isFree) charge();
    const headers = {
      ...this.#commonHeaders(viewer),
      ...this.#options.limits.headers(asker),
      ...(etag !== undefined && { etag, "cache-control": "private, max-age=60, s-maxage=60" }),
      ...reply.headers,
    };
    if (isKnown) return { status: 304, headers, asker, isCharged: !isFree };
    return { status: reply.status, headers, asker, isCharged: !isFree, ...(body !== undefined && { body }) };
  }

  #commonHeaders(viewer: Viewer | { readonly type: "refused" }): Record<string, string> {
    return {
      // By the server's clock: a client may count the seconds of other headers from it.
      date: new Date(this.#options.world.now()).toUTCString(),
      "x-github-request-id": randomUUID().toUpperCase(),
      "x-github-media-type": "github.v3; format=json",
      "x-github-api-version-selected": "2022-11-28",
      vary: "Accept, Authorization, Cookie, Accept-Encoding, Accept, X-Requested-With",
      ...(viewer.type === "user" && { "x-oauth-scopes": viewer.scopes.join(", ") }),
    };
  }

  #addressesFor(request: ForgeRequest): Call["addresses"] {
    const { http, https } = this.#options.origins();
    return { api: (request.isSecure ? https : http) + this.prefix, html: https };
  }

  /** Finds the operation, also where GitHub names things by number: the targets of its redirects and of its links. */
  #find({ method, path: asked }: ForgeRequest, world: World): { operation: Operation | undefined; path: string } {
    if (!asked.startsWith(this.prefix)) return { operation: undefined, path: asked };
    const path = asked.slice(this.prefix.length);
    const verb = method === "HEAD" ? "GET" : method;
    const operation = this.description.find(verb, path);
    if (operation !== undefined) return { operation, path };
    const byName = byNameIn(path, world);
    return { operation: byName === undefined ? undefined : this.description.find(verb, byName), path: byName ?? path };
  }
}

function byNameIn(path: string, world: World): string | undefined {
  const [, kind, number, rest = ""] = /^\/(repositories|organizations|user)\/(\d+)(\/.*)?$/.exec(path) ?? [];
  const id = Number(number);
  if (kind === "repositories") {
    const repository = world.repositories.get(id);
    return `/repos/${repository === undefined ? "-/-" : world.fullName(repository)}${rest}`;
  }
  if (kind === undefined) return undefined;
  const [, teamId, teamRest = ""] = /^\/team\/(\d+)(\/.*)?$/.exec(rest) ?? [];
  const login = world.owners.get(id)?.login ?? "-";
  if (kind === "user") return `/users/${login}${rest}`;
  if (teamId === undefined) return `/orgs/${login}${rest}`;
  return `/orgs/${login}/teams/${world.teams.get(Number(teamId))?.slug ?? "-"}${teamRest}`;
}

/** Another for each token, as GitHub's are: github/docs issue 34689. */
function etagOf({ path, query, headers }: ForgeRequest, body: string): string {
  const hash = createHash("sha256").update(
    `${printOfCredential(headers.authorization)} ${path}?${query.toString()} ${body}`,
  );
  return `W/"${hash.digest("hex")}"`;
}

/** RFC 9110 section 13.1.2: weak comparison, any of a list. */
function namesEtag(header: string | undefined, etag: string): boolean {
  const plain = (text: string): string => text.trim().replace(/^W\//, "");
  return (header ?? "").split(",").some((one) => one.trim() === "*" || plain(one) === plain(etag));
}
