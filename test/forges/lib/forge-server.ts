/**
 * The HTTP side that all forge servers of tests share: ports, log of requests, troubles, git, and the memory of every
 * answer that was not as the forge's description has it. What is answered is the forge's own.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../../src/base/clock.ts";
import { makeCertificate } from "./certificate.ts";
import type { ForgeAnswer, ForgeRequest, LoggedRequest } from "./exchange.ts";
import { serveGit, type GitDesk } from "./git-backend.ts";
import { openListeners, type Listeners } from "./listeners.ts";
import { sendAnswer } from "./send.ts";
import { Troubles, type Ongoing, type Trouble, type Where } from "./troubles.ts";

export interface ForgeServerOptions {
  readonly clock: Pick<Clock, "now" | "sleep">;
  /** Names the operation for logs and troubles, before anything is looked at. */
  templateOf(request: ForgeRequest): string;
  /** Answers; with `isStale` about the world as `remember` last kept it. What it throws is a violation. */
  answer(request: ForgeRequest, isStale: boolean): Promise<ForgeAnswer> | ForgeAnswer;
  /** Keeps the world as it is, for stale answers. */
  remember(): void;
  /** Counts a request as under way, before troubles. @returns what to call when it has been answered or given up */
  enter?(request: ForgeRequest): () => void;
  /** Who may clone and push what. */
  readonly git: GitDesk;
  /** Of this machine, at which HTTPS is. @default the loopback */
  readonly address?: string | undefined;
}

/** The end of a server whose answers were not as described. */
class ForgeViolation extends Error {
  override readonly name = "ForgeViolation";
}

export class ForgeServer implements AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** `https://<address>:<port>`; git goes here. */
  readonly httpsOrigin: string;
  /** What makes a client believe `httpsOrigin`. */
  readonly caFile: string;
  /** A folder of this server's own, removed with it. */
  readonly folder: string;
  /** Whatever was not as the description has it, oldest first. */
  readonly violations: readonly string[];
  readonly requests: readonly LoggedRequest[];
  readonly #violations: string[];
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { address, httpPort, httpsPort } = parts.listeners;
    this.origin = `http://127.0.0.1:${httpPort}`;
    this.httpsOrigin = `https://${address}:${httpsPort}`;
    this.caFile = parts.caFile;
    this.folder = parts.folder;
    this.violations = this.#violations = parts.violations;
    this.requests = parts.requests;
  }

  /** Remembers something that was not as described: it fails the test when the server is closed. */
  violate(text: string): void {
    this.#violations.push(text);
  }

  /** Hands over the violations and forgets them, for tests that cause some on purpose. */
  takeViolations(): string[] {
    return this.#violations.splice(0);
  }

  /** Switches a trouble on. */
  async trouble(trouble: Trouble, where: Where = {}): Promise<Ongoing> {
    const { listeners, troubles } = this.#parts;
    if (trouble.type === "stale") this.#parts.options.remember();
    if (trouble.type !== "refuse") return troubles.begin(trouble, where);
    await listeners.refuse();
    return troubles.begin(trouble, { when: () => false }, () => listeners.accept());
  }

  /** Counts requests by method and template: `GET /repos/{owner}/{repo}`. */
  countRequests(filter: (request: LoggedRequest) => boolean = () => true): Map<string, number> {
    const counts = new Map<string, number>();
    for (const request of this.requests) {
      if (!filter(request)) continue;
      const name = `${request.method} ${request.template}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }

  /** Forgets the requests so far. */
  clearRequests(): void {
    this.#parts.requests.length = 0;
  }

  /** Closes the ports. @throws {ForgeViolation} when there is a violation that nobody took */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.closing.abort();
    this.#parts.troubles.endAll();
    await this.#parts.listeners.refuse();
    rmSync(this.folder, { recursive: true, force: true });
    if (this.#violations.length > 0) {
      throw new ForgeViolation(`Cannot accept this exchange with a forge:\n${this.#violations.join("\n")}`);
    }
  }
}

interface Parts {
  readonly options: ForgeServerOptions;
  readonly folder: string;
  readonly caFile: string;
  readonly listeners: Listeners;
  readonly troubles: Troubles;
  readonly violations: string[];
  readonly requests: LoggedRequest[];
  readonly closing: AbortController;
}

/** Opens the ports and answers. */
export async function openForgeServer(options: ForgeServerOptions): Promise<ForgeServer> {
  const folder = mkdtempSync(join(tmpdir(), "forge-"));
  const certificate = await makeCertificate(folder, options.address);
  const common = {
    ...{ options, folder, caFile: certificate.caFile, troubles: new Troubles() },
    ...{ violations: [], requests: [], closing: new AbortController() },
  };
  const listeners = await openListeners((incoming, response) => void handle(incoming, response, common), certificate);
  return new ForgeServer({ ...common, listeners });
}

async function handle(
  incoming: IncomingMessage,
  response: ServerResponse,
  parts: Omit<Parts, "listeners">,
): Promise<void> {
  const { options, violations, requests } = parts;
  let leave: (() => void) | undefined;
  try {
    const url = new URL(incoming.url ?? "/", "http://forge.invalid");
    if (/^\/.+\.git\//.test(url.pathname)) {
      await serveGit(incoming, response, options.git);
      return;
    }
    const request: ForgeRequest = {
      ...{ method: incoming.method ?? "GET", path: url.pathname, query: url.searchParams, headers: incoming.headers },
      ...{ body: await readBody(incoming), isSecure: incoming.socket instanceof TLSSocket },
    };
    leave = options.enter?.(request);
    const at = options.clock.now();
    const template = options.templateOf(request);
    const hits = parts.troubles.hitting(request, template);
    const answer = answerBefore(hits.map(({ trouble }) => trouble)) ?? (await answerWhole(request, hits, parts));
    const { method, path, headers } = request;
    const isSent = await sendAnswer(response, answer, {
      ...{ clock: options.clock, hits, isHead: method === "HEAD" },
      signal: parts.closing.signal,
    });
    requests.push({
      ...{ at, method, template, path, query: url.search.slice(1), headers, asker: answer.asker },
      ...{ status: isSent ? answer.status : undefined, isCharged: answer.isCharged ?? false },
    });
  } catch (error) {
    if (parts.closing.signal.aborted || incoming.socket.destroyed) return;
    violations.push(`${incoming.method ?? ""} ${incoming.url ?? ""}: ${String(error)}`);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  } finally {
    leave?.();
  }
}

/** What is said by a server that did not look at the request. */
function answerBefore(troubles: readonly Trouble[]): ForgeAnswer | undefined {
  const found = troubles.find((trouble) => trouble.type === "status");
  if (found === undefined) return undefined;
  const { status, body } = found;
  if (body === "empty") return { status };
  return body === "json"
    ? { status, body: JSON.stringify({ message: "Server Error" }) }
    : { status, type: "text/html", body: `<html><body><h1>${status}</h1>Unicorn!</body></html>` };
}

async function answerWhole(
  request: ForgeRequest,
  hits: readonly { readonly trouble: Trouble }[],
  { options, violations }: Omit<Parts, "listeners">,
): Promise<ForgeAnswer> {
  try {
    return await options.answer(
      request,
      hits.some(({ trouble }) => trouble.type === "stale"),
    );
  } catch (error) {
    violations.push(`${request.method} ${request.path}: ${error instanceof Error ? (error.stack ?? "") : "?"}`);
    return { status: 500, body: JSON.stringify({ message: "Server Error" }) };
  }
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
