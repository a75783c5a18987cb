/**
 * Starts a program in a pod: `ClusterApi.exec`. Our own client, since those there are keep no bound on memory and do not
 * notice a stream that died.
 *
 * @module
 */
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";

import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Exec, ExecRequest } from "./cluster-api.ts";
import { V4, V5 } from "./exec-channels.ts";
import type { ExecConnection } from "./exec-connection.ts";
import { faultOfDialling, faultOfRefusal, nameOf } from "./exec-status.ts";
import { ExecStream } from "./exec-stream.ts";

/** Most bytes of one message of the server; those there are send 32 KiB at most. */
const MESSAGE_MAX_BYTES = 1_024 * 1_024;

/** Most bytes read of an answer that is no upgrade. */
const REFUSAL_BYTES = 16 * 1_024;

/** The longest that an upgrade may take, whatever the caller's patience. Guess: starting a container's process is part of it. */
const OPEN_MS = 30_000;

export interface ExecOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Opens the streams of a new program in a pod. A server can say only at the end that it could not start it: `refused`.
 *
 * @param signal bounds the opening alone
 * @throws {Fault} `cluster.unreached`, `cluster.refused` or `cluster.forbidden` when the streams cannot be opened
 */
export async function openExec(
  connection: ExecConnection,
  request: ExecRequest,
  options: ExecOptions,
  signal: AbortSignal,
): Promise<Exec> {
  signal.throwIfAborted();
  const headers = await connection.headers();
  signal.throwIfAborted();
  const socket = new WebSocket(makeUrl(connection.url, request), [V5, V4], { ...SOCKET, ...connection.tls, headers });
  return new Promise((resolve, reject) => {
    const isOver = new AbortController(); // takes the listener off the caller's signal
    const fail = (error: unknown) => {
      isOver.abort();
      socket.on("error", () => {}); // what it says of its own end
      socket.terminate();
      reject(error instanceof Error ? error : new Error("Cannot open an exec: it was given up", { cause: error }));
    };
    signal.addEventListener("abort", () => fail(signal.reason), { once: true, signal: isOver.signal });
    socket.once("unexpected-response", (_, response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
        if (body.length > REFUSAL_BYTES) response.destroy();
      });
      response.once("close", () =>
        fail(faultOfRefusal(connection.name, request, { httpStatus: response.statusCode ?? 0, body })),
      );
    });
    const onError = (cause: Error) => fail(faultOfDialling(connection.name, request, cause));
    socket.once("error", onError);
    socket.once("open", () => {
      isOver.abort();
      socket.off("error", onError);
      const { mayStall = false } = request;
      const stream = new ExecStream(socket, { ...options, name: nameOf(request), mayStall });
      resolve({ stream, canEndInput: stream.canEndInput, stderr: () => stream.stderr(), ended: stream.ended });
    });
  });
}

const SOCKET: ClientOptions = {
  perMessageDeflate: false,
  maxPayload: MESSAGE_MAX_BYTES,
  handshakeTimeout: OPEN_MS,
  skipUTF8Validation: true,
  followRedirects: false,
  // RFC 6455 section 10.3 has clients mask so that a page in a browser cannot write what a proxy takes for HTTP. We are no
  // browser and inside TLS no proxy sees a frame; a mask of zeros needs no work on our side.
  generateMask: (mask) => {
    mask.fill(0);
  },
};

/** https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.20/#-strong-misc-operations-pod-v1-core-strong- */
function makeUrl(base: URL, { namespace, pod, container, argv }: ExecRequest): URL {
  const url = new URL(base);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  url.pathname = `${base.pathname.replace(/\/+$/, "")}${path}`;
  url.protocol = base.protocol === "http:" ? "ws:" : "wss:";
  const words = argv.map((word): [string, string] => ["command", word]);
  const streams = ["stdin", "stdout", "stderr"].map((name): [string, string] => [name, "true"]);
  url.search = new URLSearchParams([...words, ["container", container], ...streams]).toString();
  return url;
}
