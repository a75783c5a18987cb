/**
 * Reads one answer, or one page of a list: asks with the ETag of what is kept, follows redirections inside the forge's
 * API, checks the shape, and keeps what was read. Used by `forge-http.ts`.
 *
 * @module
 */
import type { z } from "zod";
import type { Log } from "../../base/log.ts";
import type { AnswerCache, CachedAnswer } from "../../wire/knowledge.ts";
import type { Reply, Request } from "./exchange.ts";
import { readNextLink } from "./links.ts";
import type { HttpAsk, Sender, Sent } from "./sender.ts";
import { isAbsent } from "./verdict.ts";

export interface Whole<Value> {
  readonly status: "ok";
  readonly value: Value;
  readonly headers: Headers;
  /** Epoch ms at which the first request for it was sent. */
  readonly askedAt: number;
  /** Address that answered. */
  readonly url: string;
  /** Address of the next page. */
  readonly next: string | undefined;
  /** It is what was kept, by 304 or by comparison. */
  readonly isUnchanged: boolean;
  readonly byteCount: number;
}

export type Page<Value> = Whole<Value> | { readonly status: "absent"; readonly askedAt: number; readonly url: string };

export interface Shape<Value> {
  readonly schema: z.ZodType<Value>;
  /** For a page of a list: how many entries it has. */
  readonly countOf?: (value: Value) => number;
}

/** A request that changes something. */
export interface Changing<Value> {
  readonly method: "POST" | "DELETE";
  /** Sent as JSON; absent: nothing is. */
  readonly body?: unknown;
  readonly schema: z.ZodType<Value>;
}

interface Kept<Value> {
  readonly answer: CachedAnswer;
  readonly value: Value;
}

/** As RFC 9110 section 15.4 asks for; a loop would go on for ever. */
const REDIRECTIONS_MAX = 5;

export class PageReader {
  readonly #sender: Sender;
  readonly #cache: AnswerCache;
  readonly #log: Log;

  constructor(sender: Sender, cache: AnswerCache, log: Log) {
    this.#sender = sender;
    this.#cache = cache;
    this.#log = log;
  }

  /** Asks for `url`. @throws {Fault} as `ForgeHttp` says */
  async read<Value>(url: string, shape: Shape<Value>, ask: HttpAsk): Promise<Page<Value>> {
    let at = url;
    let askedAt: number | undefined;
    for (let count = 0; count <= REDIRECTIONS_MAX; count += 1) {
      const kept = ask.isUnconditional === true ? undefined : await this.#kept(at, shape);
      const etag = kept !== undefined && !mayHaveGrown(at, kept, shape) ? kept.answer.etag : undefined;
      const sent = await this.#sender.send(
        { method: "GET", url: at, headers: etag === undefined ? {} : { "if-none-match": etag } },
        ask,
      );
      askedAt ??= sent.askedAt;
      const { status, headers } = sent.reply;
      if (status === 304 || status < 300 || isAbsent(status)) {
        return await this.#pageOf(at, shape, { ...sent, askedAt, kept });
      }
      at = new URL(headers.get("location") ?? "", at).href;
      if (!this.#sender.isOurs(at)) throw this.#fault(url, "it redirects out of the forge's API");
    }
    throw this.#fault(url, `it redirects more than ${REDIRECTIONS_MAX} times`);
  }

  /** Has `url` change something; nothing of the answer is kept. */
  async change<Value>(url: string, { method, body, schema }: Changing<Value>, ask: HttpAsk): Promise<Page<Value>> {
    const json = { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const sent = await this.#sender.send({ method, url, ...(body === undefined ? { headers: {} } : json) }, ask);
    const { reply, askedAt } = sent;
    if (isAbsent(reply.status)) return { status: "absent", askedAt, url };
    if (reply.status >= 300) throw this.#sender.fault({ method, url }, `status ${reply.status}`);
    const value = this.#check({ method, url }, reply, schema);
    return { status: "ok", value, askedAt, url, ...rest(reply), next: undefined, isUnchanged: false };
  }

  async #pageOf<Value>(
    url: string,
    shape: Shape<Value>,
    { reply, askedAt, kept }: Sent & { readonly kept: Kept<Value> | undefined },
  ): Promise<Page<Value>> {
    if (isAbsent(reply.status)) return { status: "absent", askedAt, url };
    const link = reply.headers.get("link");
    // Whoever asks for one thing, or goes by the numbers of pages, is led nowhere: Gitea's links may name another origin.
    const linked = shape.countOf === undefined ? undefined : this.#resolve(readNextLink(link), url);
    if (reply.status === 304) {
      if (kept === undefined) throw this.#fault(url, "status 304 to a request without a condition");
      const next = link === null ? kept.answer.next : linked;
      return {
        status: "ok",
        value: kept.value,
        askedAt,
        url,
        ...rest(reply),
        next,
        isUnchanged: next === kept.answer.next,
      };
    }
    const value = this.#check({ method: "GET", url }, reply, shape.schema);
    const body = JSON.stringify(value);
    const isUnchanged = kept?.answer.body === body && kept.answer.next === linked;
    const etag = reply.headers.get("etag");
    if (etag !== null) await this.#keep(url, { etag, body, ...(linked === undefined ? {} : { next: linked }) });
    return { status: "ok", value, askedAt, url, ...rest(reply), next: linked, isUnchanged };
  }

  #resolve(target: string | undefined, url: string): string | undefined {
    if (target === undefined) return undefined;
    const next = URL.parse(target, url)?.href;
    if (next === undefined || !this.#sender.isOurs(next)) {
      throw this.#fault(url, "its next page is not in the forge's API");
    }
    return next;
  }

  /** Cuts an answer down to what is read of it. Messages of the parsers of JSON repeat the text, so they are left out. */
  #check<Value>(request: Pick<Request, "method" | "url">, { status, text }: Reply, schema: z.ZodType<Value>): Value {
    let body: unknown;
    try {
      body = status === 204 ? null : JSON.parse(text);
    } catch {
      throw this.#sender.fault(request, "the answer is not whole JSON");
    }
    const checked = schema.safeParse(body);
    if (checked.success) return checked.data;
    const [issue] = checked.error.issues;
    const where =
      issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.map(String).join(".").slice(0, 100)}`;
    throw this.#sender.fault(request, `the answer has another shape${where}: ${issue?.message ?? "unknown"}`);
  }

  /** What is kept only saves requests: without the cache, or after a change of the shape, everything is asked anew. */
  async #kept<Value>(url: string, { schema }: Shape<Value>): Promise<Kept<Value> | undefined> {
    try {
      const answer = await this.#cache.read(url);
      if (answer === undefined) return undefined;
      const checked = schema.safeParse(JSON.parse(answer.body));
      return checked.success ? { answer, value: checked.data } : undefined;
    } catch (error) {
      this.#log.warn("forge.cache.unread", { url, err: error });
      return undefined;
    }
  }

  async #keep(url: string, answer: CachedAnswer): Promise<void> {
    try {
      await this.#cache.write(url, answer);
    } catch (error) {
      this.#log.warn("forge.cache.unwritten", { url, err: error });
    }
  }

  #fault(url: string, why: string) {
    return this.#sender.fault({ method: "GET", url }, why);
  }
}

function rest({ headers, byteCount }: Reply): { headers: Headers; byteCount: number } {
  return { headers, byteCount };
}

/**
 * Says whether a kept last page may have got a page behind it without a change of its own: it is full. Its ETag would
 * still fit, and a 304 has no `Link` (RFC 9110 section 15.4.5 asks for none), so such a page is asked for anew.
 */
function mayHaveGrown<Value>(url: string, { answer, value }: Kept<Value>, { countOf }: Shape<Value>): boolean {
  if (countOf === undefined || answer.next !== undefined) return false;
  const parameters = new URL(url).searchParams;
  const size = Number(parameters.get("per_page") ?? parameters.get("limit") ?? 1);
  return countOf(value) >= size;
}
