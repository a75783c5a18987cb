/**
 * Lists of Gitea and Forgejo, to their end.
 *
 * They are asked for by the number of the page: some lists have no `Link`, and where there is one it leads to the address
 * that the forge thinks it has. A page may be short before the end, since the forge may give fewer entries than asked for
 * (`MAX_RESPONSE_ITEMS`), and leaves out of a page what the token may not see.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { Ask } from "../forge-client.ts";
import type { ForgeHttp, HttpAnswer } from "../http/forge-http.ts";
import { readNextLink } from "../http/links.ts";

/** What Gitea gives at most unless told otherwise: custom/conf/app.example.ini, `MAX_RESPONSE_ITEMS`. */
const PAGE_COUNT = 50;

/** 10,000 repositories are 200 pages. */
const PAGES_MAX = 1_000;

/** As in `http/`, and for its reason: entries move from page to page while a list is read. */
const READINGS_MAX = 4;

export interface Listing<Item> {
  readonly path: string;
  readonly item: z.ZodType<Item>;
}

/** Reads a list; one of several pages again until two readings are the same. @throws {Fault} as `ForgeHttp` says */
export async function readPages<Item>(
  http: ForgeHttp,
  listing: Listing<Item>,
  ask: Ask,
): Promise<HttpAnswer<readonly Item[]>> {
  let before: Reading<Item> | undefined;
  for (let count = 0; count < READINGS_MAX; count += 1) {
    const reading = await readOnce(http, listing, ask);
    if (reading.status === "absent" || reading.pageCount === 1) return reading;
    if (before !== undefined && isDeepStrictEqual(before.value, reading.value)) {
      return { ...reading, askedAt: before.askedAt };
    }
    before = reading;
  }
  throw fault(listing, `the list changed each of the ${READINGS_MAX} times that it was read`);
}

type Reading<Item> = Extract<HttpAnswer<readonly Item[]>, { status: "ok" }> & { readonly pageCount: number };

async function readOnce<Item>(
  http: ForgeHttp,
  listing: Listing<Item>,
  ask: Ask,
): Promise<Reading<Item> | Extract<HttpAnswer<never>, { status: "absent" }>> {
  const items: Item[] = [];
  let first: Reading<Item> | undefined;
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const path = `${listing.path}?page=${page}&limit=${PAGE_COUNT}`;
    const answer = await http.get(path, z.array(listing.item), ask);
    if (answer.status === "absent") {
      if (first === undefined) return { ...answer, source: `GET ${listing.path}` };
      throw fault(listing, "one of its pages is absent");
    }
    items.push(...answer.value);
    first ??= { ...answer, pageCount: 1, source: `GET ${listing.path}` };
    if (isLast(answer, items.length)) return { ...first, value: items, pageCount: page };
  }
  throw fault(listing, `it has more than ${PAGES_MAX} pages`);
}

/** Without a word of the forge's on what comes after, only an empty page is the end. */
function isLast({ value, headers }: { readonly value: readonly unknown[]; readonly headers: Headers }, count: number) {
  const link = headers.get("link");
  if (link !== null) return readNextLink(link) === undefined;
  const total = headers.get("x-total-count");
  return value.length === 0 || (total !== null && /^\d+$/.test(total) && count >= Number(total));
}

function fault({ path }: { readonly path: string }, why: string): Fault {
  return new Fault("forge.unreached", `Cannot ask GET ${path}: ${why}`);
}
