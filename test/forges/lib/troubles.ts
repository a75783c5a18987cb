/**
 * What can go wrong between a forge and its client, switched on and off by tests: outages, slowness, broken answers.
 *
 * Limits of rate are the forge's own answers, and none of these.
 *
 * @module
 */
import type { ForgeRequest } from "./exchange.ts";

export type Trouble =
  /** Connections are refused by the kernel, and open ones ended. For all requests, whatever `where` says. */
  | { readonly type: "refuse" }
  /** The connection is reset (RST) when the request has been read. */
  | { readonly type: "reset" }
  /** Nothing is answered until the trouble ends; then the connection is. */
  | { readonly type: "hang" }
  /** Answered after so long on the server's clock. */
  | { readonly type: "slow"; readonly ms: number }
  /** An error of the forge, before it looked at the request. `html`: as a proxy in front of it would say it. */
  | { readonly type: "status"; readonly status: number; readonly body: "json" | "html" | "empty" }
  /** Headers, half of the body, and the end of the connection. */
  | { readonly type: "truncated" }
  /** A good status and half of the body, as if it were all: no JSON. */
  | { readonly type: "garbage" }
  /** A content-length that is off by so many bytes: promises too much when positive. */
  | { readonly type: "wrong-length"; readonly byBytes: number }
  /** Good answers about the world as it was when the trouble began. */
  | { readonly type: "stale" };

/** Which requests are hit; all without it. */
export interface Where {
  /** As the description writes it: `/orgs/{org}/repos`. */
  readonly template?: string;
  readonly method?: string;
  /** Requests for this page of a list, those without a page being for the first. */
  readonly page?: number;
  /** Only the first so many of those that match. */
  readonly count?: number;
  readonly when?: (request: ForgeRequest) => boolean;
}

/** A trouble that was switched on. */
export interface Ongoing extends AsyncDisposable {
  /** How many requests it has hit. */
  readonly hitCount: number;
  /** Switches it off; the second time does nothing. */
  end(): Promise<void>;
}

interface Entry {
  readonly trouble: Trouble;
  readonly where: Where;
  readonly ended: PromiseWithResolvers<undefined>;
  hitCount: number;
}

/** The troubles under way. */
export class Troubles {
  readonly #entries = new Set<Entry>();

  begin(trouble: Trouble, where: Where, onEnd: () => Promise<void> = async () => {}): Ongoing {
    const entry: Entry = { trouble, where, ended: Promise.withResolvers<undefined>(), hitCount: 0 };
    this.#entries.add(entry);
    const end = async (): Promise<void> => {
      if (!this.#entries.delete(entry)) return;
      entry.ended.resolve(undefined);
      await onEnd();
    };
    return {
      get hitCount() {
        return entry.hitCount;
      },
      end,
      [Symbol.asyncDispose]: end,
    };
  }

  /** Lists what hits a request, each with a promise of its end. */
  hitting(request: ForgeRequest, template: string): { readonly trouble: Trouble; readonly ended: Promise<void> }[] {
    const hits = [...this.#entries].filter(({ where, hitCount }) => {
      const page = Number(request.query.get("page") ?? 1);
      if (where.template !== undefined && where.template !== template) return false;
      if (where.method !== undefined && where.method.toLowerCase() !== request.method.toLowerCase()) return false;
      if (where.page !== undefined && where.page !== page) return false;
      if (where.when !== undefined && !where.when(request)) return false;
      return where.count === undefined || hitCount < where.count;
    });
    for (const entry of hits) entry.hitCount += 1;
    return hits.map(({ trouble, ended }) => ({ trouble, ended: ended.promise }));
  }

  /** Ends all, so that nothing hangs any more. */
  endAll(): void {
    for (const entry of this.#entries) entry.ended.resolve(undefined);
    this.#entries.clear();
  }
}
