/**
 * The little of the Kubernetes API that the test cluster itself needs. FOR TESTS: it trusts what it reads to have the shape
 * it is asked for, and knows one kubeconfig form, that of `certificates.ts`. The service has a client of its own, in `src/`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** What all objects have. */
export interface Thing {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}

interface Listing<Item> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly Item[];
}

interface WatchEvent<Item> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Item;
}

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: Record<"server" | "certificate-authority-data", string> }];
  readonly users: readonly [{ readonly user: Record<"client-certificate-data" | "client-key-data", string> }];
}

const RETRY_MS = 250;
const ANSWER_MS = 10_000;

export class Api {
  readonly #server: string;
  readonly #agent: Agent;

  constructor(kubeconfig: string) {
    const { clusters, users } = JSON.parse(readFileSync(kubeconfig, "utf8")) as Kubeconfig;
    const bytes = (text: string): Buffer => Buffer.from(text, "base64");
    this.#server = clusters[0].cluster.server;
    this.#agent = new Agent({
      keepAlive: true,
      ca: bytes(clusters[0].cluster["certificate-authority-data"]),
      cert: bytes(users[0].user["client-certificate-data"]),
      key: bytes(users[0].user["client-key-data"]),
    });
  }

  /** @throws {Error} on any answer but 2xx; its message begins with the status */
  async get(path: string): Promise<unknown> {
    return this.#call("GET", path);
  }

  /** Server-side apply: makes it, or changes the fields that are named. */
  async apply(path: string, object: unknown): Promise<void> {
    await this.#call("PATCH", `${path}?fieldManager=slipway-test&force=true`, object, "application/apply-patch+yaml");
  }

  /** Deletes; what is not there is as good. */
  async delete(path: string): Promise<void> {
    try {
      await this.#call("DELETE", path);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("404"))) throw error;
    }
  }

  /**
   * Keeps a list current until `signal` aborts, through every error, and calls `onChange` with all of it after each
   * change. For a path such as `/api/v1/services`.
   */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- says which shape the caller trusts it to have
  async keepList<Item extends Thing>(
    path: string,
    onChange: (items: readonly Item[]) => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        const { metadata, items } = (await this.get(path)) as Listing<Item>;
        const held = new Map(items.map((item) => [keyOf(item), item]));
        onChange([...held.values()]);
        await this.#follow(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}`, signal, (line) => {
          const event = JSON.parse(line) as WatchEvent<Item>;
          if (event.type === "ERROR") throw new Error("410: list again");
          if (event.type === "DELETED") held.delete(keyOf(event.object));
          else held.set(keyOf(event.object), event.object);
          onChange([...held.values()]);
        });
      } catch {
        // The server is away or has forgotten where we were: list again.
      }
      await sleep(RETRY_MS);
    }
  }

  async #follow(path: string, signal: AbortSignal, onEvent: (line: string) => void): Promise<void> {
    const answer = await this.#open("GET", path, { signal });
    answer.setEncoding("utf8");
    let rest = "";
    for await (const chunk of answer) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onEvent(line);
    }
  }

  async #call(method: string, path: string, body?: unknown, type = "application/json"): Promise<unknown> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await this.#open(method, path, { signal, type, ...(body === undefined ? {} : { body }) });
    const text = Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>)).toString("utf8");
    const status = answer.statusCode ?? 0;
    if (status < 200 || status > 299) throw new Error(`${status}: ${method} ${path}: ${text}`);
    return text.startsWith("{") ? (JSON.parse(text) as unknown) : text;
  }

  async #open(
    method: string,
    path: string,
    { body, type = "application/json", signal }: { body?: unknown; type?: string; signal: AbortSignal },
  ): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const headers = body === undefined ? {} : { "content-type": type };
    const asked = request(new URL(path, this.#server), { method, headers, agent: this.#agent, signal });
    asked.once("response", resolve);
    asked.once("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }
}

function keyOf({ metadata }: Thing): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
