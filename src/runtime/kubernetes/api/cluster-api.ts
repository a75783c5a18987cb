/**
 * What the Kubernetes runtime asks of a cluster's API server: the contract between `runtime/kubernetes/` and the client.
 *
 * One of these is made for each cluster. It treats the server gently: requests of one client are rate limited on our side,
 * there is one watch for a kind and selector however many want it, and nothing is polled. A failure is a `Fault` with the
 * code `cluster.unreached` (no whole answer; to be tried again), `cluster.refused` (the server understood and will not:
 * the message is the server's own) or `cluster.forbidden` (a permission is missing: names verb, resource and namespace).
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { KubernetesObject, ObjectKind, ObjectRef } from "../../../wire/kubernetes.ts";

export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
  /** `v1.20.2`. */
  readonly text: string;
  /** When it said so, by its own clock, epoch ms; absent where it does not say. */
  readonly saidAt?: number;
}

/** Which objects of a kind. */
export interface Where {
  /** All namespaces when absent. */
  readonly namespace?: string;
  /** `key=value,key=value`. */
  readonly labelSelector?: string;
}

/** Which objects a list has. */
export interface ListWhere extends Where {
  /** `involvedObject.name=api,type=Warning`. */
  readonly fieldSelector?: string;
}

export interface Removal {
  /** Removes nothing but this very object, not one of the same name made since. */
  readonly uid?: string;
  /** Removes it in this very state alone. */
  readonly resourceVersion?: string;
  /** @default background */
  readonly propagation?: "background" | "foreground";
  readonly graceSeconds?: number;
}

/** A change that a watch saw. */
export type WatchChange =
  | { readonly type: "set"; readonly object: KubernetesObject }
  /** With what was last known of it. */
  | { readonly type: "gone"; readonly object: KubernetesObject };

/**
 * The objects of one kind, kept up to date by list and watch through every error, 410 and restart of the server. A relist
 * that finds what is known already tells nobody anything.
 */
export interface ObjectWatch {
  /** Resolves when the first list was taken. @throws {Fault} `cluster.unreached` when `signal` aborts first */
  untilSynced(signal: AbortSignal): Promise<void>;
  /** Whether the stream is up: what is known is at most seconds old. */
  readonly isConnected: boolean;
  find(namespace: string | undefined, name: string): KubernetesObject | undefined;
  all(): readonly KubernetesObject[];
  /** Calls back with each change from now on. @returns a function that stops it */
  onChange(listener: (change: WatchChange) => void): () => void;
  /**
   * Waits until `isSo` says yes; it is asked now and after each change. What it throws rejects.
   *
   * @returns what `isSo` returned
   */
  until<Answer>(isSo: () => Answer | undefined, signal: AbortSignal): Promise<Answer>;
  /** Gives it back; the stream ends with the last user. */
  close(): void;
}

export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly argv: readonly string[];
  /**
   * The program may leave its input unread for longer than a few seconds (git that unpacks). A server then answers no ping
   * either, so such a stream is given up only after a minute of silence.
   *
   * @default false
   */
  readonly mayStall?: boolean;
}

/** How a program in a pod ended. `lost` is every way that says nothing of the program. */
export type ExecEnd =
  | { readonly type: "exited"; readonly exitCode: number }
  /** It never ran: no such program, no such container; the server's sentence. */
  | { readonly type: "refused"; readonly reason: string }
  | { readonly type: "lost"; readonly reason: string };

/** A program that runs in a pod. */
export interface Exec {
  /**
   * Its standard input and output, with back-pressure both ways. `end()` closes its input where the server can do that
   * (protocol v5); else the program must know the end of its input by itself. `destroy()` closes the connection. The
   * readable side ends after the last byte when the program ended, and is destroyed with an error when it was lost.
   */
  readonly stream: Duplex;
  /** Whether `end()` reaches the program. */
  readonly canEndInput: boolean;
  /** Last 16 KiB of its standard error. */
  stderr(): string;
  /** Never rejects. */
  readonly ended: Promise<ExecEnd>;
}

/** One thing that we must be allowed to do. */
export interface Permission {
  readonly verb: string;
  /** "" is the core group. */
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  /** All namespaces when absent. */
  readonly namespace?: string;
}

export interface ClusterApi extends AsyncDisposable {
  version(signal: AbortSignal): Promise<ServerVersion>;
  /** `undefined` when there is none. */
  read(ref: ObjectRef, signal: AbortSignal): Promise<KubernetesObject | undefined>;
  list(kind: ObjectKind, where: ListWhere, signal: AbortSignal): Promise<readonly KubernetesObject[]>;
  /** Server-side apply, whole, as field manager `slipway`, taking over fields of others. @returns the object as it is now */
  apply(kind: ObjectKind, object: KubernetesObject, signal: AbortSignal): Promise<KubernetesObject>;
  /** @returns `undefined` when there is one of that name */
  create(kind: ObjectKind, object: KubernetesObject, signal: AbortSignal): Promise<KubernetesObject | undefined>;
  /** JSON merge patch (RFC 7386). @returns `undefined` when there is no such object */
  merge(ref: ObjectRef, patch: unknown, signal: AbortSignal): Promise<KubernetesObject | undefined>;
  /** Asks for an object to be removed; `gone` when there is none any more, `changed` when its state is another. */
  remove(ref: ObjectRef, removal: Removal, signal: AbortSignal): Promise<"going" | "gone" | "changed">;
  /** Kinds that the server serves in a group, by `kind`; for manifests of people. */
  findKind(apiVersion: string, kind: string, signal: AbortSignal): Promise<ObjectKind | undefined>;
  watch(kind: ObjectKind, where: Where): ObjectWatch;
  /** Resolves when the program has been started. @throws {Fault} when it cannot be */
  exec(request: ExecRequest, signal: AbortSignal): Promise<Exec>;
  /** Those of `asked` that the server would refuse us. */
  lacking(asked: readonly Permission[], signal: AbortSignal): Promise<readonly Permission[]>;
  /** Requests sent since it was opened, by `verb resource`. */
  requestCounts(): ReadonlyMap<string, number>;
}
