/**
 * An API server over real HTTPS that knows one kind, config maps, and can fail in every way that a watch has to survive.
 * Its versions, history, bookmarks and refusals follow k8s.io/apiserver 1.20; `test/kubernetes` does the same against a real
 * one.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ResolvedAccess } from "../../src/runtime/kubernetes/api/access.ts";
import { makeCertificate } from "../forges/lib/certificate.ts";
import { listenAt, listenAtFree } from "../harness/free-port.ts";

interface Stored {
  readonly apiVersion: "v1";
  readonly kind: "ConfigMap";
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly managedFields: readonly unknown[];
  };
  readonly data: Readonly<Record<string, string>>;
}

interface Event {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  readonly object: Stored;
}

export interface SeenRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Answers in the server's stead; false to let it answer itself. */
export type Answerer = (request: SeenRequest, response: ServerResponse) => boolean;

/** Writes a `Status`, the form of every refusal. */
export function refuse(response: ServerResponse, code: number, fields: Record<string, unknown> = {}): true {
  const { headers = {}, ...rest } = fields as { headers?: Record<string, string> };
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", code, ...rest }));
  return true;
}

export class ClusterServer implements AsyncDisposable {
  /** How it is reached, with a token. */
  readonly access: ResolvedAccess;
  readonly seen: SeenRequest[] = [];
  /** Asked before each answer. */
  onRequest: Answerer = () => false;
  /** After so long a stream is ended as agreed. */
  streamMs: number | undefined;
  #objects = new Map<string, Stored>();
  #events: Event[] = [];
  #version = 10_000;
  /** History before this is forgotten. */
  #compactedAt = 10_000;
  #uidCount = 0;
  #held: Event[] | undefined;
  readonly #streams = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  readonly #server: ReturnType<typeof createServer>;
  readonly #folder: string;
  readonly #port: number;

  private constructor(server: ReturnType<typeof createServer>, port: number, ca: string, folder: string) {
    this.#server = server;
    this.#folder = folder;
    this.#port = port;
    this.access = {
      server: `https://127.0.0.1:${this.#port}`,
      source: "a test",
      isInsecure: false,
      authority: { text: ca },
      token: { text: "secret-of-ours" },
    };
    server.on("request", (request, response) => void this.#receive(request, response));
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {}); // we cut them ourselves
    });
  }

  static async open(): Promise<ClusterServer> {
    const folder = mkdtempSync(join(tmpdir(), "cluster-server-"));
    const { key, cert } = await makeCertificate(folder);
    const server = createServer({ key, cert });
    return new ClusterServer(server, await listenAtFree(server), cert, folder);
  }

  /** All there is, by name. */
  get objects(): ReadonlyMap<string, Stored> {
    return this.#objects;
  }

  get version(): number {
    return this.#version;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Makes or changes an object. */
  set(name: string, data: Record<string, string> = {}): void {
    const held = this.#objects.get(name);
    const uid = held?.metadata.uid ?? `uid-${(this.#uidCount += 1)}`;
    this.#version += 1;
    const object = this.#make(name, uid, data);
    this.#objects.set(name, object);
    this.#tell({ type: held === undefined ? "ADDED" : "MODIFIED", version: this.#version, object });
  }

  remove(name: string): void {
    const held = this.#objects.get(name);
    if (held === undefined) return;
    this.#version += 1;
    this.#objects.delete(name);
    this.#tell({ type: "DELETED", version: this.#version, object: this.#make(name, held.metadata.uid, held.data) });
  }

  bookmark(): void {
    const metadata = { resourceVersion: String(this.#version) };
    this.sendLine(JSON.stringify({ type: "BOOKMARK", object: { kind: "ConfigMap", apiVersion: "v1", metadata } }));
  }

  /** Sends a line to every stream as it is. */
  sendLine(line: string): void {
    for (const stream of this.#streams) stream.write(`${line}\n`);
  }

  /** Sends the last events once more. */
  repeat(count: number): void {
    for (const event of this.#events.slice(-count)) this.sendLine(lineOf(event));
  }

  /** Has the changes of `act` told last first. */
  disorder(act: () => void): void {
    this.#held = [];
    act();
    const events = this.#held;
    this.#held = undefined;
    this.sendLine(events.toReversed().map(lineOf).join("\n"));
  }

  /** Has a change arrive in pieces of one byte, which cuts its characters in two. */
  async sendSlowly(act: () => void): Promise<void> {
    this.#held = [];
    act();
    const bytes = Buffer.from(this.#held.map((event) => `${lineOf(event)}\n`).join(""));
    this.#held = undefined;
    for (const byte of bytes) {
      for (const stream of this.#streams) await new Promise((done) => stream.write(Buffer.of(byte), done));
    }
  }

  /** Ends every stream, as is agreed or not. */
  endStreams(how: "cleanly" | "abruptly" | "within a line"): void {
    for (const stream of this.#streams) {
      if (how === "cleanly") stream.end();
      else if (how === "within a line") stream.write('{"type":"MODIF', () => stream.socket?.destroy());
      else stream.socket?.destroy();
    }
    this.#streams.clear();
  }

  /** Forgets the history: whoever asks for what came after an earlier version gets 410. */
  compact(): void {
    this.#version += 1;
    this.#compactedAt = this.#version;
    this.#events = [];
  }

  /** What a server sends whose history went on without the watcher. */
  sendExpired(): void {
    const object = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version: 1 (2)" };
    this.sendLine(JSON.stringify({ type: "ERROR", object }));
  }

  /** Goes back to an earlier state, as after a restore of etcd: its versions are given out a second time. */
  setBack(): void {
    this.endStreams("abruptly");
    this.#version -= 5_000;
    this.#compactedAt = this.#version;
    this.#events = [];
    for (const [name, { metadata, data }] of this.#objects) {
      this.#version += 1;
      this.#objects.set(name, this.#make(name, metadata.uid, data));
    }
  }

  /** Refuses connections until `start()`. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#streams.clear();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async start(): Promise<void> {
    await listenAt(this.#server, this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop();
    rmSync(this.#folder, { recursive: true });
  }

  #make(name: string, uid: string, data: Readonly<Record<string, string>>): Stored {
    const metadata = { name, namespace: "a", uid, resourceVersion: String(this.#version), managedFields: [{}] };
    return { apiVersion: "v1", kind: "ConfigMap", metadata, data };
  }

  #tell(event: Event): void {
    this.#events.push(event);
    if (this.#held === undefined) this.sendLine(lineOf(event));
    else this.#held.push(event);
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return; // the client went away
    }
    const url = new URL(request.url ?? "/", this.access.server);
    const { method = "GET", headers } = request;
    const seen = { method, url, headers, body: Buffer.concat(chunks).toString() };
    this.seen.push(seen);
    if (this.onRequest(seen, response)) return;
    if (headers.authorization !== "Bearer secret-of-ours") refuse(response, 401, { reason: "Unauthorized" });
    else if (method !== "GET" || !/^\/api\/v1\/(namespaces\/a\/)?configmaps$/.test(url.pathname)) refuse(response, 404);
    else if (url.searchParams.get("watch") === "true") this.#watch(url, response);
    else this.#list(url, response);
  }

  #watch({ searchParams }: URL, response: ServerResponse): void {
    const from = Number(searchParams.get("resourceVersion"));
    if (from < this.#compactedAt) {
      refuse(response, 410, { reason: "Expired", message: `too old resource version: ${from} (${this.#compactedAt})` });
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    this.#streams.add(response);
    const timer = this.streamMs === undefined ? undefined : setTimeout(() => response.end(), this.streamMs);
    response.on("close", () => {
      clearTimeout(timer);
      this.#streams.delete(response);
    });
    for (const event of this.#events) if (event.version > from) response.write(`${lineOf(event)}\n`);
  }

  /** Pages are cut by position; a real server keeps them to one version, and forgets that too. */
  #list({ searchParams }: URL, response: ServerResponse): void {
    const limit = Number(searchParams.get("limit") ?? Number.POSITIVE_INFINITY);
    const [at = String(this.#version), offset = "0"] = searchParams.get("continue")?.split("/") ?? [];
    if (Number(at) !== this.#version) {
      refuse(response, 410, { reason: "Expired", message: "The provided continue parameter is too old" });
      return;
    }
    const all = [...this.#objects.values()];
    const end = Number(offset) + limit;
    const metadata = { resourceVersion: at, ...(end < all.length && { continue: `${at}/${end}` }) };
    // Items of lists lack what they have in common.
    const items = all.slice(Number(offset), end).map(({ metadata, data }) => ({ metadata, data }));
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ kind: "ConfigMapList", apiVersion: "v1", metadata, items }));
  }
}

function lineOf({ type, object }: Event): string {
  return JSON.stringify({ type, object });
}
