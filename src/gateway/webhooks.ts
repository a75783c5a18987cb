/**
 * Takes webhooks of forges: `POST /webhooks/<forge>`. A webhook that verifies is only ever a reason to ask the forge
 * anew, so it is answered at once and asked about behind the answer; one that is lost, repeated or late does no harm.
 *
 * Called by `cmd/`. Anybody may send anything here: what is held of it is bounded in bytes and in time. TLS is the load
 * balancer's in front of it.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { untilFirst } from "../base/until-first.ts";
import type { ForgeClient, Hint } from "../forge/forge-client.ts";
import type { ListenAddress } from "../wire/addresses.ts";
import { listenHttp } from "./listen-http.ts";

export interface WebhooksOptions {
  readonly address: ListenAddress;
  readonly clock: Clock;
  readonly log: Log;
  /** By the name of the forge; those without a webhook secret too, whose answer is that nothing verifies. */
  readonly forges: ReadonlyMap<string, Pick<ForgeClient, "readWebhook">>;
  /** Told of each webhook that verified, behind its answer. */
  readonly onHints: (forge: string, hints: readonly Hint[]) => Promise<void>;
}

/** How a webhook ended: `cut` is one that was not whole in time, or whose memory was needed. */
export type WebhookOutcome = "taken" | "unsigned" | "malformed" | "too-large" | "cut";

export interface Webhooks extends AsyncDisposable {
  readonly port: number;
  /** Since the start, for metrics. */
  readonly counts: Readonly<Record<WebhookOutcome, number>>;
  /** Bytes of bodies that are held now. */
  readonly heldBytes: number;
}

/** GitHub sends no larger ones: docs.github.com/en/webhooks/webhook-events-and-payloads, Payload cap. */
const BODY_BYTES_MAX = 25 * 2 ** 20;
/** Of all bodies together; when it is used up, the body that came longest ago is given up (guess). */
const HELD_BYTES_MAX = 64 * 2 ** 20;
/** GitHub gives up after 10 s: docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks. */
const REQUEST_MS_MAX = 10_000;
const HEADERS_MS_MAX = 5_000;
const CONNECTIONS_MAX = 256;
/** For webhooks that are under way at a shutdown. */
const DRAIN_MS = 2_000;
/** Strangers cause these warnings, so there are few of them. */
const WARN_EVERY_MS = 60_000;

/** Opens the listener. @throws {Fault} `settings.invalid` when the address cannot be listened on */
export async function openWebhooks(options: WebhooksOptions): Promise<Webhooks> {
  const { clock } = options;
  const taker = new Taker(options);
  const limits = { requestTimeout: REQUEST_MS_MAX, headersTimeout: HEADERS_MS_MAX, connectionsCheckingInterval: 500 };
  const server = createServer({ ...limits, keepAliveTimeout: 5_000 }, (request, response) => {
    taker.take(request, response);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const port = await listenHttp(server, options.address, "webhooks");
  return {
    port,
    counts: taker.counts,
    get heldBytes() {
      return taker.heldBytes;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await untilFirst({ closed: () => closed, late: (signal) => clock.sleep(DRAIN_MS, signal) });
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A body on its way in. */
interface Body {
  readonly chunks: Buffer[];
  bytes: number;
  /** Ends it from our side. */
  readonly giveUp: () => void;
}

class Taker {
  readonly counts: Record<WebhookOutcome, number> = { taken: 0, unsigned: 0, malformed: 0, "too-large": 0, cut: 0 };
  heldBytes = 0;
  readonly #options: WebhooksOptions;
  /** In the order in which they began. */
  readonly #bodies = new Set<Body>();
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    // Not by URL: a request line is any peer's word, and "//" is enough to make URL throw.
    const [, name = ""] = /^\/webhooks\/([^/?]+)(?:\?|$)/.exec(request.url ?? "") ?? [];
    const forge = this.#options.forges.get(name);
    if (forge === undefined) {
      answer(response, 404, "webhooks go to /webhooks/<name of the forge>\n");
    } else if (request.method !== "POST") {
      answer(response, 405, "only POST\n", { allow: "POST" });
    } else if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX) {
      this.#refuseLarge(name, response);
    } else {
      this.#gather(request, (body) => {
        if (body === undefined) this.#refuseLarge(name, response);
        else this.#read({ name, forge }, { request, body, response });
      });
    }
  }

  /** Gathers a body within what may be held; `then` is called with one that is whole, or `undefined` for a large one. */
  #gather(request: IncomingMessage, then: (body: Buffer | undefined) => void): void {
    const body: Body = { chunks: [], bytes: 0, giveUp: () => request.destroy() };
    let isLarge = false;
    const letGo = (): void => {
      if (this.#bodies.delete(body)) this.heldBytes -= body.bytes;
      body.chunks.length = 0;
    };
    this.#bodies.add(body);
    request.on("data", (chunk: Buffer) => {
      if (isLarge) return; // read to its end, so that the answer is not lost behind what the peer still sends
      this.heldBytes += chunk.length;
      body.bytes += chunk.length;
      body.chunks.push(chunk);
      isLarge = body.bytes > BODY_BYTES_MAX;
      if (isLarge) letGo();
      else this.#makeRoom();
    });
    request.once("end", () => {
      const whole = isLarge ? undefined : Buffer.concat(body.chunks);
      letGo();
      then(whole);
    });
    request.once("error", () => {}); // "close" follows
    request.once("close", () => {
      if (!request.complete) this.counts.cut += 1;
      letGo();
    });
  }

  #makeRoom(): void {
    for (const body of this.#bodies) {
      if (this.heldBytes <= HELD_BYTES_MAX) return;
      this.#bodies.delete(body);
      this.heldBytes -= body.bytes;
      body.chunks.length = 0;
      body.giveUp();
    }
  }

  #read({ name, forge }: Addressee, { request, body, response }: Whole): void {
    const { log, onHints } = this.#options;
    const reading = forge.readWebhook(request.headers, body);
    switch (reading.type) {
      case "unsigned":
        this.counts.unsigned += 1;
        this.#warn("webhook.unsigned", { forge: name });
        answer(response, 401, "the signature does not verify\n");
        return;
      case "malformed":
        this.counts.malformed += 1;
        this.#warn("webhook.malformed", { forge: name, why: reading.why });
        answer(response, 400, "this is not of the shape that its event has\n");
        return;
      case "hints":
        this.counts.taken += 1;
        answer(response, 202, "taken\n");
        log.debug("webhook.taken", { forge: name, hints: reading.hints });
        if (reading.hints.length === 0) return;
        onHints(name, reading.hints).catch((error: unknown) => {
          log.error("webhook.failed", error, { forge: name });
        });
    }
  }

  #refuseLarge(forge: string, response: ServerResponse): void {
    this.counts["too-large"] += 1;
    this.#warn("webhook.too-large", { forge });
    answer(response, 413, "webhooks have 25 MiB at most\n", { connection: "close" });
  }

  #warn(event: string, facts: Readonly<Record<string, string>>): void {
    const now = this.#options.clock.elapsed();
    if (now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    this.#options.log.warn(event, facts);
  }
}

interface Addressee {
  readonly name: string;
  readonly forge: Pick<ForgeClient, "readWebhook">;
}

interface Whole {
  readonly request: IncomingMessage;
  readonly body: Buffer;
  readonly response: ServerResponse;
}

function answer(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(text);
}
