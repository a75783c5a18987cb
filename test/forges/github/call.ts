/**
 * A request of the API as its handlers see it, and what they answer with.
 *
 * @module
 */
import { linkOf, pageOf } from "../lib/pages.ts";
import type { Organization, Repository, User } from "./entities.ts";
import type { RateLimits } from "./limits.ts";
import { maySee } from "./rights.ts";
import type { Addresses, Shape } from "./shapes.ts";
import type { Tokens, Viewer } from "./tokens.ts";
import type { World } from "./world.ts";

export interface Call {
  readonly world: World;
  readonly viewer: Viewer;
  readonly params: Readonly<Record<string, string>>;
  /** What follows the operation's own part of the path, to be kept by redirects: `/collaborators`. */
  readonly rest: string;
  readonly method: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly addresses: Addresses;
  readonly tokens: Tokens;
  readonly limits: RateLimits;
  /** As it was sent: some tokens are ended by whoever has them. */
  readonly authorization: string | undefined;
  /** As whom it is counted. */
  readonly asker: string;
  /** A server of an enterprise, where people are suspended and still shown. */
  readonly isEnterprise: boolean;
}

export interface Reply {
  readonly status: number;
  /** Absent: no body. */
  readonly value?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler = (call: Call) => Reply;
/** By method and template, as in `get /orgs/{org}`. */
export type Handlers = Readonly<Record<string, Handler>>;

/** An answer that ends a handler. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reply: Reply;

  constructor(status: number, message: string, more: Omit<Reply, "status" | "value"> & { readonly url?: string } = {}) {
    super(message);
    const { url, headers = {} } = more;
    const documentation = { documentation_url: "https://docs.github.com/rest", status: String(status) };
    this.reply = { status, value: { message, ...(url !== undefined && { url }), ...documentation }, headers };
  }
}

/** GitHub says this of what there is not, and of what the token may not know of. */
export function notFound(): Refusal {
  return new Refusal(404, "Not Found");
}

/** The token has not the permission, whose name GitHub says in a header. */
export function notAccessible(permission: string): Refusal {
  return new Refusal(403, "Resource not accessible by integration", {
    headers: { "x-accepted-github-permissions": permission },
  });
}

/** Finds the repository that the path names, as far as the viewer may see it; follows those that moved by a redirect. */
export function repositoryOf({ world, viewer, params, rest, method, addresses, query }: Call): Repository {
  const fullName = `${params["owner"] ?? ""}/${params["repo"] ?? ""}`;
  const found = world.findRepository(fullName);
  if (found !== undefined && maySee(world, viewer, found)) return found;
  const moved = found === undefined ? world.findMoved(fullName) : undefined;
  if (moved === undefined || !maySee(world, viewer, moved)) throw notFound();
  const search = query.size === 0 ? "" : `?${query.toString()}`;
  const url = `${addresses.api}/repositories/${moved.id}${rest}${search}`;
  const [status, message] =
    method === "get" ? ([301, "Moved Permanently"] as const) : ([307, "Temporary Redirect"] as const);
  throw new Refusal(status, message, { url, headers: { location: url } });
}

export function organizationOf({ world, params }: Call): Organization {
  const found = world.findOwner(params["org"] ?? "");
  if (found?.type !== "Organization") throw notFound();
  return found;
}

/** Finds somebody; those who are suspended are not shown on github.com. */
export function userOf({ world, params, isEnterprise }: Call): User {
  const found = world.findOwner(params["username"] ?? "");
  if (found?.type !== "User" || (found.isSuspended && !isEnterprise)) throw notFound();
  return found;
}

/** A page of a list. */
export interface Listing<Item> {
  readonly all: readonly Item[];
  readonly write: (item: Item) => Shape;
  /** Where the other pages are, from the root of the API: GitHub links by number, whatever the request's path was. */
  readonly path: string;
  /** Puts the list into an object. */
  readonly wrap?: (items: readonly Shape[], totalCount: number) => unknown;
}

export function replyList<Item>({ query, addresses }: Call, listing: Listing<Item>): Reply {
  const { all, write, path, wrap = (items: readonly Shape[]): unknown => items } = listing;
  const page = pageOf(all, query);
  const address = new URL(addresses.api + path);
  for (const [name, value] of query) if (name !== "page") address.searchParams.set(name, value);
  const link = linkOf(page, address);
  return {
    status: 200,
    value: wrap(page.items.map(write), page.totalCount),
    ...(link !== undefined && { headers: { link } }),
  };
}
