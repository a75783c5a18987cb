/**
 * Sends a request until there is an answer to it or a reason why there is none: authorization, turns, second tries, and
 * what each status means. Used by `pages.ts`, which reads the answers.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../base/clock.ts";
import { Fault, type FaultCode } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import type { Ask, Budget } from "../forge-client.ts";
import { exchange, type ExchangeLimits, type Reply, type Request } from "./exchange.ts";
import { type Rate, Rationing, type RationingLimits } from "./rationing.ts";
import { isAbsent, type Verdict, verdictOf, wordReply } from "./verdict.ts";

export interface HttpAsk extends Ask {
  /** What the forge counts budgets by, where it is not one for all: the number of an installation. */
  readonly lane?: string;
  /** Asks for the answer anew, with its headers. */
  readonly isUnconditional?: boolean;
}

/** Headers that authorize a request. */
export type Authorization = Readonly<Record<string, string>>;

/**
 * Says with which headers to ask. Called while the request holds its turn, so it must not ask by the same `ForgeHttp`.
 *
 * `refused` are those that were just answered with 401. It is called once with them; what it returns is tried if it
 * differs.
 */
export type Authorize = (ask: HttpAsk, refused?: Authorization) => Promise<Authorization> | Authorization;

export interface ForgeHttpLimits extends ExchangeLimits, RationingLimits {
  /** Pages of one list. @default 1_000 */
  readonly listPagesMax: number;
  /** Bytes of one list as it comes. @default 256 MiB: 10,000 repositories of GitHub are some 60 MB */
  readonly listBytesMax: number;
  /** Readings of a list of several pages that keeps changing. @default 4 (guess) */
  readonly listReadingsMax: number;
  /** Before the second try. @default 250 (guess: a login waits for 2 s) */
  readonly retryWaitMs: number;
}

const DEFAULTS: ForgeHttpLimits = {
  requestTimeoutMs: 10_000,
  bodyMaxBytes: 16 * 2 ** 20,
  concurrentMax: 10,
  pointsPerSecond: 12,
  burstPoints: 100,
  listPagesMax: 1_000,
  listBytesMax: 256 * 2 ** 20,
  listReadingsMax: 4,
  retryWaitMs: 250,
};

/** What a request costs: GitHub, "Rate limits for the REST API", calculating points for the secondary rate limit. */
const POINTS = { GET: 1, POST: 5, DELETE: 5 } as const;

/** How often requests came to which end: counted from the start of the process, each try by itself. */
export interface RequestCounts {
  /** A whole answer, anew. */
  readonly ok: number;
  /** 304: the answer kept is still the one. */
  readonly unchanged: number;
  /** 404, 410 and 451. */
  readonly absent: number;
  readonly failed: number;
  /** Refused by a limit of the forge. */
  readonly limited: number;
}

export interface SenderOptions {
  readonly apiUrl: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly authorize: Authorize;
  readonly readRate?: (headers: Headers) => Rate | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<ForgeHttpLimits>;
}

/** An answer with one of the statuses 200, 201, 204, 304, 404, 410, 451, or of a redirection. */
export interface Sent {
  readonly reply: Reply;
  /** Epoch ms at which the request was sent that this answers. */
  readonly askedAt: number;
}

type Outcome = keyof RequestCounts;

/** When a request without an answer may be sent again, and how often. */
const AGAIN = { never: 0, "after a wait": 1, "with other headers": 1, "in its turn": 2 } as const;

interface Failure {
  readonly fault: Fault;
  readonly again: keyof typeof AGAIN;
  /** What the request was authorized with. */
  readonly used: Authorization;
}

export class Sender {
  readonly limits: ForgeHttpLimits;
  readonly #options: SenderOptions;
  readonly #counts = { ok: 0, unchanged: 0, absent: 0, failed: 0, limited: 0 };
  readonly #rationing: Rationing;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.limits = { ...DEFAULTS, ...options.limits };
    this.#rationing = new Rationing(this.limits, options.clock);
  }

  get budget(): Budget | undefined {
    return this.#rationing.budget;
  }

  get counts(): RequestCounts {
    return this.#counts;
  }

  urlOf(path: string): string {
    return `${this.#options.apiUrl}${path}`;
  }

  /** Says whether an address that the forge named is one of its own API, where the credential may go. */
  isOurs(url: string): boolean {
    const [ours, theirs] = [URL.parse(`${this.#options.apiUrl}/`), URL.parse(url)];
    return ours !== null && theirs?.origin === ours.origin && theirs.pathname.startsWith(ours.pathname);
  }

  /** Method and path, as messages and people are told them. */
  sourceOf({ method, url }: Pick<Request, "method" | "url">): string {
    const { apiUrl } = this.#options;
    return `${method} ${url.startsWith(apiUrl) ? url.slice(apiUrl.length) : url}`;
  }

  /** Words why a request has no answer. */
  fault(request: Pick<Request, "method" | "url">, why: string, cause?: unknown): Fault {
    const message = `Cannot ask ${this.sourceOf(request)}: ${why}`;
    return new Fault("forge.unreached", message, cause === undefined ? {} : { cause });
  }

  /** Sends a request. @throws {Fault} as `ForgeHttp` says */
  async send(request: Request, ask: HttpAsk): Promise<Sent> {
    if (!this.isOurs(request.url)) throw this.fault(request, "the address is not one of the forge's API");
    const tries = { never: 0, "after a wait": 0, "with other headers": 0, "in its turn": 0 };
    let last: Failure | undefined;
    for (;;) {
      const tried = await this.#try(request, ask, last);
      if ("reply" in tried) return tried;
      tries[tried.again] += 1;
      if (tries[tried.again] > AGAIN[tried.again]) throw tried.fault;
      if (tried.again === "after a wait") await this.#wait(tried.fault, ask.signal);
      last = tried;
    }
  }

  async #try(request: Request, ask: HttpAsk, last: Failure | undefined): Promise<Sent | Failure> {
    const endTurn = await this.#turn(request, ask);
    try {
      const isRefused = last?.again === "with other headers";
      const used = await this.#options.authorize(ask, isRefused ? last.used : undefined);
      if (isRefused && isDeepStrictEqual(used, last.used)) return { ...last, again: "never" };
      return await this.#exchange(request, ask, used);
    } finally {
      endTurn();
    }
  }

  async #turn(request: Request, { lane = "", priority, signal }: HttpAsk): Promise<() => void> {
    const wanted = { priority, lane, points: POINTS[request.method], source: this.sourceOf(request), signal };
    return await this.#rationing.turn(wanted);
  }

  async #exchange(request: Request, ask: HttpAsk, used: Authorization): Promise<Sent | Failure> {
    const { clock, log } = this.#options;
    const headers = { "user-agent": "slipway", ...this.#options.headers, ...request.headers, ...used };
    const askedAt = clock.now();
    const startMs = clock.elapsed();
    const reply = await exchange({ ...request, headers }, { limits: this.limits, clock, signal: ask.signal });
    const facts = { source: this.sourceOf(request), ms: Math.round(clock.elapsed() - startMs) };
    if ("none" in reply) {
      this.#counts.failed += 1;
      log.debug("forge.unanswered", { ...facts, why: reply.why });
      const mayHelp = reply.none === "network" && request.method === "GET";
      const fault = this.fault(request, reply.why, reply.cause);
      return { fault, again: mayHelp ? "after a wait" : "never", used };
    }
    log.debug("forge.answered", { ...facts, status: reply.status });
    return this.#judge(request, reply, { ask, used, askedAt });
  }

  #judge(request: Request, reply: Reply, { ask, used, askedAt }: Tried): Sent | Failure {
    const rate = this.#options.readRate?.(reply.headers);
    if (rate !== undefined) this.#rationing.learn(ask.lane ?? "", rate);
    const verdict = verdictOf(reply, rate, this.#options.clock.now());
    this.#counts[outcomeOf(reply, verdict)] += 1;
    if (verdict.type === "answer") return { reply, askedAt };
    const isRepeatable = request.method === "GET" && verdict.type === "failed" && verdict.isPassing;
    if (verdict.pauseMs > 0) this.#rationing.pause(verdict.pauseMs);
    const message = `Cannot ask ${this.sourceOf(request)}: ${wordReply(reply, Object.values(used))}`;
    const fault = new Fault(CODES[verdict.type], message);
    return { fault, again: isRepeatable ? "after a wait" : AGAIN_OF[verdict.type], used };
  }

  async #wait(fault: Fault, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(this.limits.retryWaitMs, signal);
    } catch {
      throw fault; // rejects only on abort, and then this is why there is no answer
    }
  }
}

interface Tried {
  readonly ask: HttpAsk;
  readonly used: Authorization;
  readonly askedAt: number;
}

const CODES = {
  limited: "forge.limited",
  unauthorized: "forge.refused",
  refused: "forge.refused",
  failed: "forge.unreached",
} as const satisfies Record<Exclude<Verdict["type"], "answer">, FaultCode>;

const AGAIN_OF = {
  limited: "in its turn",
  unauthorized: "with other headers",
  refused: "never",
  failed: "never",
} as const satisfies Record<keyof typeof CODES, keyof typeof AGAIN>;

function outcomeOf({ status }: Reply, verdict: Verdict): Outcome {
  if (verdict.type === "limited") return "limited";
  if (verdict.type !== "answer") return "failed";
  if (status === 304) return "unchanged";
  return isAbsent(status) ? "absent" : "ok";
}
