/**
 * GitHub's rations: the primary limit by the hour, and the secondary ones by the minute and at once.
 *
 * Source: docs.github.com, "Rate limits for the REST API": 5,000 an hour (60 without a token); 900 points a minute, of
 * which a read costs 1 and a write 5; 100 requests at the same time. A 304 to somebody with a token costs none of the
 * 5,000, and counts to the others like all requests.
 *
 * @module
 */

export interface LimitOptions {
  /** For each who asks. @default 5_000 */
  readonly perHour?: number;
  /** @default 900; `Infinity`: none */
  readonly pointsPerMinute?: number;
  /** @default 100 */
  readonly atOnce?: number;
}

/** Refused, and what to say. */
export interface Limited {
  readonly status: 403 | 429;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Ration {
  readonly limit: number;
  readonly used: number;
  readonly remaining: number;
  /** Epoch seconds. */
  readonly reset: number;
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Without a token. */
const ANONYMOUS_PER_HOUR = 60;

interface Account {
  used: number;
  resetAt: number;
  /** Points of the last minute. */
  spent: { readonly at: number; readonly points: number }[];
  underWay: number;
}

export class RateLimits {
  readonly #now: () => number;
  readonly #options: Required<LimitOptions>;
  readonly #accounts = new Map<string, Account>();
  #exhausted: { readonly until: number; readonly status: 403 | 429 } | undefined;
  #secondary: { readonly until: number; readonly status: 403 | 429; readonly hasRetryAfter: boolean } | undefined;

  constructor(now: () => number, options: LimitOptions = {}) {
    this.#now = now;
    this.#options = { perHour: 5_000, pointsPerMinute: 900, atOnce: 100, ...options };
  }

  /** From now on nobody has a request left, until `restore` or the hour ends. */
  exhaust(status: 403 | 429 = 403): void {
    const until = this.#now() + HOUR_MS;
    this.#exhausted = { until, status };
    for (const [asker, account] of this.#accounts)
      Object.assign(account, { used: this.#limitOf(asker), resetAt: until });
  }

  /** Uses up so many requests of somebody at once. */
  use(asker: string, count: number): void {
    this.#account(asker).used += count;
  }

  /** Everybody is over a secondary limit for so long. Without `retryAfter` there is no such header, as GitHub may do. */
  limitSecondary(options: { seconds: number; status?: 403 | 429; retryAfter?: boolean }): void {
    const { seconds, status = 403, retryAfter = true } = options;
    this.#secondary = { until: this.#now() + seconds * 1_000, status, hasRetryAfter: retryAfter };
  }

  /** All rations are full again. */
  restore(): void {
    this.#exhausted = undefined;
    this.#secondary = undefined;
    for (const account of this.#accounts.values()) Object.assign(account, { used: 0, spent: [] });
  }

  ration(asker: string): Ration {
    const { used, resetAt } = this.#account(asker);
    const limit = this.#limitOf(asker);
    return {
      limit,
      used: Math.min(used, limit),
      remaining: Math.max(0, limit - used),
      reset: Math.ceil(resetAt / 1_000),
    };
  }

  headers(asker: string): Record<string, string> {
    const { limit, used, remaining, reset } = this.ration(asker);
    return {
      "x-ratelimit-limit": String(limit),
      "x-ratelimit-remaining": String(remaining),
      "x-ratelimit-used": String(used),
      "x-ratelimit-reset": String(reset),
      "x-ratelimit-resource": "core",
    };
  }

  /** Counts a request that arrived. @returns what to call when it has been answered */
  enter(asker: string): () => void {
    const account = this.#account(asker);
    account.underWay += 1;
    return () => {
      account.underWay -= 1;
    };
  }

  /** Says that a request has to be refused, or counts it to the secondary limit. */
  check(asker: string, method: string): Limited | undefined {
    const account = this.#account(asker);
    const secondary = this.#checkSecondary(account, method);
    if (secondary !== undefined) return { ...secondary, headers: { ...this.headers(asker), ...secondary.headers } };
    if (this.ration(asker).remaining > 0) return undefined;
    const who = asker === "anonymous" ? "127.0.0.1" : asker.replace(/^(\w+):/, "$1 ID ");
    return {
      status: this.#exhausted?.status ?? 403,
      message: `API rate limit exceeded for ${who}.`,
      headers: this.headers(asker),
    };
  }

  /** Counts an answered request to the primary limit. */
  charge(asker: string): void {
    this.#account(asker).used += 1;
  }

  #checkSecondary(account: Account, method: string): Limited | undefined {
    const now = this.#now();
    account.spent = account.spent.filter(({ at }) => at > now - MINUTE_MS);
    const points = /^(GET|HEAD|OPTIONS)$/.test(method) ? 1 : 5;
    const before = account.spent.reduce((sum, entry) => sum + entry.points, 0);
    if (Number.isFinite(this.#options.pointsPerMinute)) account.spent.push({ at: now, points });
    const forced = this.#secondary !== undefined && now < this.#secondary.until ? this.#secondary : undefined;
    const isOver = before + points > this.#options.pointsPerMinute || account.underWay > this.#options.atOnce;
    if (forced === undefined && !isOver) return undefined;
    const { status, hasRetryAfter, until } = forced ?? { status: 403, hasRetryAfter: true, until: now + MINUTE_MS };
    const seconds = Math.ceil((until - now) / 1_000);
    return {
      status,
      message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
      headers: hasRetryAfter ? { "retry-after": String(seconds) } : {},
    };
  }

  #account(asker: string): Account {
    let account = this.#accounts.get(asker);
    if (account === undefined) {
      account = { used: 0, resetAt: this.#now() + HOUR_MS, spent: [], underWay: 0 };
      if (this.#exhausted !== undefined && this.#now() < this.#exhausted.until) {
        Object.assign(account, { used: this.#limitOf(asker), resetAt: this.#exhausted.until });
      }
      this.#accounts.set(asker, account);
    }
    if (account.resetAt <= this.#now()) {
      account.used = 0;
      account.resetAt = this.#now() + HOUR_MS;
    }
    return account;
  }

  #limitOf(asker: string): number {
    return asker === "anonymous" ? ANONYMOUS_PER_HOUR : this.#options.perHour;
  }
}
