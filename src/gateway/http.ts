/**
 * The pages for machines: `/metrics` for Prometheus, `/healthz` (the process answers), `/readyz` (it takes logins).
 *
 * Called by `cmd/`.
 *
 * @module
 */
import { createServer, type ServerResponse } from "node:http";
import type { ListenAddress } from "../wire/addresses.ts";
import { listenHttp } from "./listen-http.ts";
import type { Metrics } from "./metrics.ts";

export interface HttpOptions {
  readonly address: ListenAddress;
  readonly metrics: Metrics;
  /** Why no logins are taken now, or `undefined` when they are. */
  readonly unready: () => string | undefined;
}

/** Opens the HTTP listener. @throws {Fault} `settings.invalid` when the address cannot be listened on */
export async function openHttp(options: HttpOptions): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    // Not by URL: a request line is any peer's word, and "//" is enough to make URL throw.
    const path = (request.url ?? "/").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "only GET\n");
    else if (path === "/healthz") answer(response, 200, "ok\n");
    else if (path === "/readyz") answerReady(response, options.unready());
    else if (path === "/metrics") answerMetrics(response, options.metrics);
    else answer(response, 404, "there are /metrics, /healthz and /readyz\n");
  });
  const port = await listenHttp(server, options.address, "HTTP");
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function answer(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type }).end(text);
}

function answerReady(response: ServerResponse, unready: string | undefined): void {
  if (unready === undefined) answer(response, 200, "ready\n");
  else answer(response, 503, `${unready}\n`);
}

function answerMetrics(response: ServerResponse, metrics: Metrics): void {
  metrics.registry.metrics().then(
    (text) => {
      answer(response, 200, text, metrics.registry.contentType);
    },
    () => {
      answer(response, 500, "the metrics could not be read\n");
    },
  );
}
