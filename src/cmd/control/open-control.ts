/**
 * The control socket: a Unix socket in the state folder on which a running service answers the commands of `slip`, in
 * HTTP and JSON. Whoever may open it is the operator: it belongs to the user of the service and to nobody else.
 *
 * Opened by `service.ts`; `ask-service.ts` is the other end.
 *
 * @module
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { json } from "node:stream/consumers";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { type Asked, type ControlAnswer, type ControlPath, controlRequests, type Shape } from "../../wire/control.ts";
import { socketPath } from "../../base/socket-path.ts";

/** What a service can be asked. Each rejects with a `Fault` that the asker is told. */
export type ControlHandlers = {
  readonly [Path in ControlPath]: (asked: Asked<Path>, signal: AbortSignal) => Promise<ControlAnswer<Path>>;
};

export interface ControlOptions {
  readonly path: string;
  readonly handlers: ControlHandlers;
  readonly log: Log;
}

/** An answer may have to ask a forge for a long list (guess). */
const ANSWER_MS_MAX = 60_000;
/** More at once are turned away; there is one operator (guess). */
const CONNECTIONS_MAX = 64;

/**
 * Opens the socket; one that a killed service left is taken away. The lock on the state folder sees to it that there is
 * only one service here.
 *
 * @throws {Fault} `state.unwritable` when it cannot be made
 */
export async function openControl({ path, handlers, log }: ControlOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort();
    });
    const signal = AbortSignal.any([stop.signal, gone.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
    reply(handlers, request, signal)
      .catch((error: unknown) => {
        if (!(error instanceof Fault || signal.aborted)) log.error("control.failed", error, { path: request.url });
        return refusalOf(error);
      })
      .then(({ status, body }) => response.writeHead(status, { "content-type": "application/json" }).end(body))
      .catch((error: unknown) => {
        log.error("control.failed", error, { path: request.url });
        response.destroy();
      });
  });
  server.maxConnections = CONNECTIONS_MAX;
  try {
    rmSync(path, { force: true });
    using named = socketPath(path);
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(named.address, resolve));
    // Nobody gets in before this either: the state folder is closed to others.
    chmodSync(path, 0o600);
  } catch (cause) {
    server.close();
    throw new Fault("state.unwritable", `Cannot make the control socket ${path}`, { cause });
  }
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      rmSync(path, { force: true });
    },
  };
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

async function reply(handlers: ControlHandlers, request: IncomingMessage, signal: AbortSignal): Promise<Reply> {
  const path = request.url ?? "/";
  if (!isControlPath(path) || request.method !== "POST") {
    throw new Fault("usage.wrong", `Cannot answer ${String(request.method)} ${path}: there is no such request`);
  }
  const asked: unknown = await json(request);
  return { status: 200, body: JSON.stringify(await handle(handlers, { path, asked }, signal)) };
}

/** Each path with its own shape: a switch, as the types of several cannot be told apart in one call. */
async function handle(
  handlers: ControlHandlers,
  { path, asked }: { readonly path: ControlPath; readonly asked: unknown },
  signal: AbortSignal,
): Promise<unknown> {
  switch (path) {
    case "/access/explain":
      return handlers[path](check(controlRequests[path].asked, asked), signal);
    case "/access/list":
      return handlers[path](check(controlRequests[path].asked, asked), signal);
    case "/pools/list":
      return handlers[path](check(controlRequests[path].asked, asked), signal);
    case "/pools/explain":
      return handlers[path](check(controlRequests[path].asked, asked), signal);
    case "/garbage/sweep":
      return handlers[path](check(controlRequests[path].asked, asked), signal);
    case "/authorized-keys":
      return handlers[path](check(controlRequests[path].asked, asked), signal);
  }
}

function check<T>(shape: Shape<T>, asked: unknown): T {
  const checked = shape.safeParse(asked);
  if (checked.success) return checked.data;
  const told = "this slip and the running service are of different versions";
  throw new Fault("usage.wrong", `Cannot answer: ${told}`, { told, cause: checked.error });
}

function isControlPath(path: string): path is ControlPath {
  return Object.hasOwn(controlRequests, path);
}

function refusalOf(error: unknown): Reply {
  const { code, message, told } =
    error instanceof Fault ? error : new Fault("service.failed", "Cannot answer: the service failed, its log says why");
  return { status: 422, body: JSON.stringify({ code, message, told }) };
}
