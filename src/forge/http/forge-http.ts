/**
 * The one way in which forges are asked: REST over Node's own `fetch`, with conditional requests, paging, rationing and
 * faults the same for GitHub, GitLab and Gitea. Their folders know the paths and shapes; this knows none.
 *
 * What comes out is a whole and definite answer, or a `Fault`. Bodies are cut down by their schema before they are kept,
 * so a schema has to accept what it puts out: no renaming or converting in it. A cache belongs to one credential of one
 * forge.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Fault } from "../../base/fault.ts";
import type { Budget } from "../forge-client.ts";
import type { AnswerCache } from "../../wire/knowledge.ts";
import { type Page, PageReader, type Shape } from "./pages.ts";
import { type HttpAsk, type RequestCounts, Sender, type SenderOptions } from "./sender.ts";

export interface ForgeHttpOptions extends SenderOptions {
  readonly cache: AnswerCache;
}

interface Answered {
  /** Epoch ms at which the first request of the answer was sent. */
  readonly askedAt: number;
  /** Method and path as asked, for people. */
  readonly source: string;
  /** Where the answer came from in the end, redirections followed; of a list, where its first page did. */
  readonly url: string;
}

/** `absent` is 404, 410 or 451: the forge says that there is no such thing, or shows us none. */
export type HttpAnswer<Value> =
  | (Answered & { readonly status: "ok"; readonly value: Value; readonly headers: Headers })
  | (Answered & { readonly status: "absent" });

/** Answers that have the list inside an object. */
export interface Envelope<Whole, Item> {
  readonly schema: z.ZodType<Whole>;
  readonly itemsOf: (whole: Whole) => readonly Item[];
}

/**
 * Every method rejects with a `Fault`: `forge.unreached` when there is no whole answer, `forge.limited` when requests are
 * rationed and this one has to wait longer than it may, `forge.refused` for 401 and a 403 that is no limit. Its message
 * names method, path, status and the forge's id of the request, never a credential.
 *
 * Paths begin with a slash and go behind `apiUrl`; `pathOf` builds them. A GET is sent once more after a network error,
 * 502, 503 or 504.
 */
export interface ForgeHttp {
  /** Asks for one thing. A 204 has the value `null`. */
  get<Value>(path: string, schema: z.ZodType<Value>, ask: HttpAsk): Promise<HttpAnswer<Value>>;
  /**
   * Asks for a list, to its end. A page that fails fails the whole; a first page that is absent makes the list absent.
   * The path says `per_page` (or `limit`), or the last page is never asked for conditionally.
   *
   * Entries move from page to page while a list is read, and one that moves forward at the wrong moment is on none. So a
   * list of several pages that is not all as kept is read again, until a reading is as the one before: at GitHub
   * conditional requests make that free. After `listReadingsMax` readings there is no answer.
   */
  list<Item>(path: string, item: z.ZodType<Item>, ask: HttpAsk): Promise<HttpAnswer<readonly Item[]>>;
  listIn<Whole, Item>(
    path: string,
    envelope: Envelope<Whole, Item>,
    ask: HttpAsk,
  ): Promise<HttpAnswer<readonly Item[]>>;
  /** Sends JSON. Never sent twice, other than after a 401 or a limit, which say that nothing was done. */
  post<Value>(path: string, body: unknown, schema: z.ZodType<Value>, ask: HttpAsk): Promise<HttpAnswer<Value>>;
  /** Takes something away. `absent`: it was not there. Never sent twice, as `post`. */
  delete(path: string, ask: HttpAsk): Promise<HttpAnswer<null>>;
  /** Of the lane that has the least left. */
  readonly budget: Budget | undefined;
  readonly counts: RequestCounts;
}

/** Makes the way to ask one forge. Nothing needs closing: connections and timers end by themselves. */
export function openForgeHttp(options: ForgeHttpOptions): ForgeHttp {
  const sender = new Sender(options);
  const pages = new PageReader(sender, options.cache, options.log);
  const listIn: ForgeHttp["listIn"] = async (path, envelope, ask) =>
    answerOf(await readList(sender, pages, { path, envelope, ask }), `GET ${path}`);
  return {
    get: async (path, schema, ask) => answerOf(await pages.read(sender.urlOf(path), { schema }, ask), `GET ${path}`),
    list: async (path, item, ask) => await listIn(path, { schema: z.array(item), itemsOf: (items) => items }, ask),
    listIn,
    post: async (path, body, schema, ask) =>
      answerOf(await pages.change(sender.urlOf(path), { method: "POST", body, schema }, ask), `POST ${path}`),
    delete: async (path, ask) =>
      answerOf(await pages.change(sender.urlOf(path), { method: "DELETE", schema: z.null() }, ask), `DELETE ${path}`),
    get budget() {
      return sender.budget;
    },
    counts: sender.counts,
  };
}

function answerOf<Value>(page: Page<Value>, source: string): HttpAnswer<Value> {
  const { askedAt, url } = page;
  if (page.status === "absent") return { status: "absent", askedAt, source, url };
  return { status: "ok", value: page.value, headers: page.headers, askedAt, source, url };
}

interface Listing<Whole, Item> {
  readonly path: string;
  readonly envelope: Envelope<Whole, Item>;
  readonly ask: HttpAsk;
}

/** Reads a list until it is certain that no entry was missed. */
async function readList<Whole, Item>(
  sender: Sender,
  pages: PageReader,
  listing: Listing<Whole, Item>,
): Promise<Page<readonly Item[]>> {
  let before: Reading<Item> | undefined;
  for (let count = 0; count < sender.limits.listReadingsMax; count += 1) {
    const reading = await readOnce(sender, pages, listing);
    if (reading.status === "absent" || reading.pageCount === 1 || reading.isUnchanged) return reading;
    // What was so at the end of the reading before was so at the start of this one: both saw that one moment.
    if (before !== undefined && isDeepStrictEqual(before.value, reading.value)) {
      return { ...reading, askedAt: before.askedAt };
    }
    before = reading;
  }
  throw listFault(
    sender,
    listing,
    `the list changed each of the ${sender.limits.listReadingsMax} times that it was read`,
  );
}

type Reading<Item> = Extract<Page<readonly Item[]>, { status: "ok" }> & { readonly pageCount: number };

async function readOnce<Whole, Item>(
  sender: Sender,
  pages: PageReader,
  listing: Listing<Whole, Item>,
): Promise<Reading<Item> | Extract<Page<never>, { status: "absent" }>> {
  const { path, envelope, ask } = listing;
  const { listPagesMax, listBytesMax } = sender.limits;
  const shape: Shape<Whole> = { schema: envelope.schema, countOf: (whole) => envelope.itemsOf(whole).length };
  const first = await pages.read(sender.urlOf(path), shape, ask);
  if (first.status === "absent") return first;
  const items = [...envelope.itemsOf(first.value)];
  const seen = new Set([first.url]);
  let [isUnchanged, byteCount] = [first.isUnchanged, first.byteCount];
  for (let next = first.next; next !== undefined;) {
    if (seen.has(next)) throw listFault(sender, listing, "its pages go round in a circle");
    seen.add(next);
    if (seen.size > listPagesMax) throw listFault(sender, listing, `it has more than ${listPagesMax} pages`);
    const page = await pages.read(next, shape, ask);
    if (page.status === "absent") throw listFault(sender, listing, "one of its pages is absent");
    items.push(...envelope.itemsOf(page.value));
    isUnchanged &&= page.isUnchanged;
    byteCount += page.byteCount;
    if (byteCount > listBytesMax) throw listFault(sender, listing, `it is longer than ${listBytesMax} bytes`);
    next = page.next;
  }
  return { ...first, value: items, pageCount: seen.size, isUnchanged, byteCount };
}

function listFault(sender: Sender, { path }: { readonly path: string }, why: string): Fault {
  return sender.fault({ method: "GET", url: sender.urlOf(path) }, why);
}
