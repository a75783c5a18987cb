/**
 * The client of one cluster's API server: `cluster-api.ts` done over HTTPS.
 *
 * @module
 */
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { KubernetesObject, ObjectKind, ObjectRef } from "../../../wire/kubernetes.ts";
import type { ResolvedAccess } from "./access.ts";
import type {
  ClusterApi,
  Exec,
  ExecRequest,
  ObjectWatch,
  Permission,
  Removal,
  ServerVersion,
  Where,
} from "./cluster-api.ts";
import { type Connection, makeConnection } from "./connection.ts";
import { openExec } from "./exec.ts";
import { makeAgents } from "./exchange.ts";
import { openKindFinder } from "./kind-finder.ts";
import { listAll } from "./lists.ts";
import { isRecord, pathOf, takeObject } from "./objects.ts";
import { lackingOf } from "./permissions.ts";
import { type Ask, openRequests, type Requests } from "./requests.ts";
import { type Asked, statusOf, unreachedFault } from "./server-status.ts";
import { readVersionInfo } from "./versions.ts";
import { openWatched, type Watched } from "./watch.ts";

export interface ClusterApiOptions {
  /** Of the cluster, as in the settings. */
  readonly name: string;
  readonly access: ResolvedAccess;
  readonly requestRate: { readonly perSecond: number; readonly burst: number };
  readonly clock: Clock;
  readonly log: Log;
}

/** Whose fields they are: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
const FIELD_MANAGER = "slipway";

/** Opens a client. Needs no network: a cluster that is away is seen when something is asked of it. */
export async function openClusterApi(options: ClusterApiOptions): Promise<ClusterApi> {
  const closing = new AbortController();
  const connection = makeConnection(options, closing.signal);
  const requests = openRequests(connection);
  const streams = makeAgents({ maxSockets: Number.POSITIVE_INFINITY, keepAlive: false });
  const finder = openKindFinder(connection, requests);
  return {
    ...objectsOf(connection, requests),
    version: (signal) => readServerVersion(connection, requests, signal),
    list: async (kind, where, signal) => (await listAll({ connection, requests, kind, where }, signal)).objects,
    findKind: (apiVersion, kind, signal) => finder.find(apiVersion, kind, signal),
    watch: watchesOf((kind, where, onUnused) =>
      openWatched({ connection, requests, agents: streams, kind, where, onUnused }),
    ),
    exec: (request, signal) => openExecOn(connection, request, signal),
    lacking: (asked: readonly Permission[], signal) => lackingOf(asked, { connection, requests }, signal),
    requestCounts: () => new Map(connection.counts),
    [Symbol.asyncDispose]: async () => {
      closing.abort(unreachedFault(options.name, { verb: "use", resource: "the client" }, "it was closed"));
      requests.close();
      streams.close();
    },
  };
}

type ObjectCalls = Pick<ClusterApi, "read" | "apply" | "create" | "merge" | "remove">;

function objectsOf(connection: Connection, requests: Requests): ObjectCalls {
  const send = async (ask: Ask, kind: ObjectKind, signal: AbortSignal): Promise<KubernetesObject | undefined> => {
    const { status, body } = await requests.send(ask, signal);
    if (status >= 400) return undefined;
    const object = takeObject(body, kind);
    if (object === undefined) throw unreachedFault(connection.name, ask, `the answer is no ${kind.kind}`);
    return object;
  };
  const whole = async (ask: Ask, kind: ObjectKind, signal: AbortSignal): Promise<KubernetesObject> => {
    const object = await send(ask, kind, signal);
    if (object === undefined) throw unreachedFault(connection.name, ask, `the answer is no ${kind.kind}`);
    return object;
  };
  return {
    read: (ref, signal) => send({ ...askOf("get", ref), method: "GET", expected: [404] }, ref.of, signal),
    apply: (kind, object, signal) => whole(applyAsk(kind, object), kind, signal),
    create: (kind, object, signal) => {
      const { path: _, ...ask } = askOf("create", refOf(kind, object));
      const path = pathOf(kind, object.metadata.namespace);
      const query = { fieldManager: FIELD_MANAGER };
      const how = { method: "POST", path, query, body: object, isRepeatable: false, expected: [409] } as const;
      return send({ ...ask, ...how }, kind, signal);
    },
    merge: (ref, patch, signal) => send(mergeAsk(ref, patch), ref.of, signal),
    remove: (ref, removal, signal) => remove(requests, { ref, removal }, signal),
  };
}

function refOf(kind: ObjectKind, { metadata }: KubernetesObject): ObjectRef {
  return { of: kind, name: metadata.name, ...(metadata.namespace !== undefined && { namespace: metadata.namespace }) };
}

function askOf(verb: string, { of, namespace, name }: ObjectRef): Asked & { path: string; isRepeatable: true } {
  const within = namespace === undefined ? {} : { namespace };
  return { verb, resource: of.resource, ...within, name, path: pathOf(of, namespace, name), isRepeatable: true };
}

/** Doing it twice comes to the same: it says how the object is to be. With a version it is for one state of the object alone. */
function applyAsk(kind: ObjectKind, object: KubernetesObject): Ask {
  return {
    ...askOf("patch", refOf(kind, object)),
    isRepeatable: object.metadata.resourceVersion === undefined,
    method: "PATCH",
    query: { fieldManager: FIELD_MANAGER, force: "true" },
    contentType: "application/apply-patch+yaml", // JSON is YAML
    body: object,
  };
}

function mergeAsk(ref: ObjectRef, patch: unknown): Ask {
  const meta = isRecord(patch) && isRecord(patch["metadata"]) ? patch["metadata"] : {};
  return {
    ...askOf("patch", ref),
    method: "PATCH",
    query: { fieldManager: FIELD_MANAGER },
    contentType: "application/merge-patch+json",
    body: patch,
    // With a version it is for one state of the object alone, and that is another once it was done.
    isRepeatable: meta["resourceVersion"] === undefined,
    expected: [404],
  };
}

async function remove(
  requests: Requests,
  { ref, removal }: { readonly ref: ObjectRef; readonly removal: Removal },
  signal: AbortSignal,
): Promise<"going" | "gone" | "changed"> {
  const { uid, resourceVersion, propagation = "background", graceSeconds } = removal;
  const preconditions = {
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
  const isBound = Object.keys(preconditions).length > 0;
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: propagation === "background" ? "Background" : "Foreground",
    ...(isBound && { preconditions }),
    ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
  };
  // 409 is told where the precondition does not hold; a namespace that is on its way out says it too.
  const expected = isBound || ref.of.resource === "namespaces" ? [404, 409] : [404];
  const { status, body: answer } = await requests.send(
    { ...askOf("delete", ref), method: "DELETE", body, expected },
    signal,
  );
  if (status === 404) return "gone";
  if (status === 409 && isUnmet(answer, "UID")) return "gone";
  if (status === 409) return isUnmet(answer, "ResourceVersion") ? "changed" : "going";
  // An object that something still holds is sent as it is; a `Status` says that it was let go.
  return isRecord(answer) && answer["kind"] === "Status" ? "gone" : "going";
}

/**
 * `Precondition failed: UID in precondition: a, UID in object meta: b`, of k8s.io/apiserver's `storage.Preconditions`, and the
 * same of `ResourceVersion`.
 */
function isUnmet(answer: unknown, what: "UID" | "ResourceVersion"): boolean {
  const message = isRecord(answer) ? answer["message"] : undefined;
  return typeof message === "string" && new RegExp(`${what} in (the )?precondition`).test(message);
}

async function readServerVersion(
  connection: Connection,
  requests: Requests,
  signal: AbortSignal,
): Promise<ServerVersion> {
  const asked = { verb: "get", resource: "version" };
  const { body, sentAt } = await requests.send(
    { ...asked, method: "GET", path: "/version", isRepeatable: true },
    signal,
  );
  const version = isRecord(body) ? readVersionInfo(body) : undefined;
  if (version === undefined) throw unreachedFault(connection.name, asked, "the answer is no version of Kubernetes");
  return sentAt === undefined ? version : { ...version, saidAt: sentAt };
}

async function openExecOn(connection: Connection, request: ExecRequest, signal: AbortSignal): Promise<Exec> {
  const { clock, log } = connection;
  const either = AbortSignal.any([signal, connection.closing]);
  for (let tryCount = 1; ; tryCount += 1) {
    const credentials = await connection.credentials(either);
    await connection.turn("exec pods", either);
    const server = {
      name: connection.name,
      url: connection.urlOf(""),
      tls: credentials.tls,
      headers: async () => ({ ...credentials.headers }),
    };
    try {
      return await openExec(server, request, { clock, log }, either);
    } catch (error) {
      if (statusOf(error)?.code !== 401) throw error;
      connection.refuse(credentials);
      if (tryCount > 1) throw error;
    }
  }
}

/** One watch for a kind and selector, however many want it. */
function watchesOf(open: (kind: ObjectKind, where: Where, onUnused: () => void) => Watched) {
  const watches = new Map<string, Watched>();
  return (kind: ObjectKind, where: Where): ObjectWatch => {
    const key = JSON.stringify([kind.apiVersion, kind.resource, where.namespace, where.labelSelector]);
    const known = watches.get(key);
    if (known !== undefined) return known.open();
    const watched = open(kind, where, () => watches.delete(key));
    watches.set(key, watched);
    return watched.open();
  };
}
