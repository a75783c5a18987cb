/**
 * Starts a program in a pod: `ClusterApi.exec`. Our own client, since those there are keep no bound on memory and do not
 * notice a stream that died.
 *
 * @module
 */
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Exec, ExecRequest } from "./cluster-api.ts";
import { V4, V5 } from "./exec-channels.ts";
import type { ExecConnection } from "./exec-connection.ts";
import { faultOfDialling, faultOfRefusal, nameOf } from "./exec-status.ts";
import { ExecStream } from "./exec-stream.ts";
import { type Link, openLink, Refused } from "./upgrade.ts";

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
  const late = new AbortController();
  const stop = options.clock.after(OPEN_MS, () => late.abort(new Error(`No answer after ${OPEN_MS} ms`)));
  const ask = { url: makeUrl(connection.url, request), tls: connection.tls, headers, protocols: [V5, V4] };
  const { mayStall = false } = request;
  const begin = (link: Link) => new ExecStream(link, { ...options, name: nameOf(request), mayStall });
  try {
    const stream = await openLink(ask, begin, AbortSignal.any([signal, late.signal]));
    return { stream, canEndInput: stream.canEndInput, stderr: () => stream.stderr(), ended: stream.ended };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Refused) throw faultOfRefusal(connection.name, request, error);
    throw faultOfDialling(connection.name, request, error instanceof Error ? error : new Error(String(error)));
  } finally {
    stop();
  }
}

/** https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.20/#-strong-misc-operations-pod-v1-core-strong- */
function makeUrl(base: URL, { namespace, pod, container, argv }: ExecRequest): URL {
  const url = new URL(base);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  url.pathname = `${base.pathname.replace(/\/+$/, "")}${path}`;
  const words = argv.map((word): [string, string] => ["command", word]);
  const streams = ["stdin", "stdout", "stderr"].map((name): [string, string] => [name, "true"]);
  url.search = new URLSearchParams([...words, ["container", container], ...streams]).toString();
  return url;
}
