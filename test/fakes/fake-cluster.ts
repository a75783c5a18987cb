/**
 * A cluster in memory for the parts of the runtime that read and write objects: what is applied stays, what is removed is gone
 * at once, and every write gives a new version. Nothing runs in it; `test/kubernetes` does the same on a real one.
 *
 * @module
 */
import { Fault } from "../../src/base/fault.ts";
import type { ClusterApi, ObjectWatch } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { ServerStatus } from "../../src/runtime/kubernetes/api/server-status.ts";
import type { Cluster } from "../../src/runtime/kubernetes/cluster.ts";
import { KEPT_ANNOTATION, type Kept } from "../../src/runtime/kubernetes/kept.ts";
import type { EnvironmentSpec } from "../../src/runtime/runtime.ts";
import type { ClusterSettings } from "../../src/wire/cluster-settings.ts";
import { type KubernetesObject, kinds, type ObjectKind, type ObjectRef } from "../../src/wire/kubernetes.ts";
import { hang } from "./controller-world.ts";
import { HandClock } from "./hand-clock.ts";
import { clusterSettings } from "./object-facts.ts";
import { recordingLog } from "./recording-log.ts";

export class FakeCluster {
  /** What was asked for, in order: `delete namespaces slipway-k3x9`. */
  readonly asked: string[] = [];
  readonly clock = new HandClock();
  readonly logged = recordingLog();
  /** Minor version of the server. */
  minor = 30;
  /** Called before each request has its effect; may change objects, or throw. */
  onAsk: (asked: string) => void = () => undefined;
  readonly #objects = new Map<string, KubernetesObject>();
  readonly #listeners = new Set<() => void>();
  #version = 0;

  /** The cluster as the parts of the runtime are given it; `run` is the name of this run of the service. */
  as(run = "ours", changes: Partial<ClusterSettings> = {}): Cluster {
    return {
      api: this.#api as ClusterApi,
      settings: clusterSettings(changes),
      installation: "inst1234",
      runs: { current: run, all: new Set([run]) },
      gatewayKey: "ssh-ed25519 AAAA gateway",
      namespaces: this.#watch(kinds.namespace),
      pods: this.#watch(kinds.pod),
      doors: { prepare: () => undefined, take: () => hang(), close: () => undefined, closeAll: () => undefined },
      standby: {} as Cluster["standby"],
      paths: { next: () => "exec", entered: () => undefined, failed: () => undefined },
      clock: this.clock,
      log: this.logged.log,
    };
  }

  /** Puts an object there, as somebody else does. */
  put(kind: ObjectKind, object: Pick<KubernetesObject, "metadata"> & Record<string, unknown>): KubernetesObject {
    const { apiVersion, kind: name } = kind;
    return this.#write(kind, { ...object, apiVersion, kind: name });
  }

  /** Makes the namespace of an environment that a run of a service wrote last. */
  putEnvironment(kept: Kept, run: string): KubernetesObject {
    const { id, generation } = kept.spec;
    const labels = {
      "slipway.dev/installation": "inst1234",
      "slipway.dev/environment": id,
      "slipway.dev/generation": String(generation),
    };
    const annotations = { [KEPT_ANNOTATION]: JSON.stringify({ ...kept, run }) };
    return this.put(kinds.namespace, { metadata: { name: `slipway-${id}`, labels, annotations } });
  }

  find(kind: ObjectKind, name: string, namespace = "slipway-k3x9"): KubernetesObject | undefined {
    return this.#objects.get(keyOf({ of: kind, name, namespace }));
  }

  get #api(): Partial<ClusterApi> {
    return {
      version: async () => {
        const text = `v1.${this.minor}.0`;
        return { major: 1, minor: this.minor, text, saidAt: this.clock.now() };
      },
      read: async (ref) => {
        this.#ask("get", ref);
        return this.#objects.get(keyOf(ref));
      },
      list: async (of, { namespace = "", fieldSelector }) => {
        this.#ask("list", { of, name: [namespace, fieldSelector ?? []].flat().join(" ") });
        return this.#of(of).filter(({ metadata }) => metadata.namespace === namespace);
      },
      apply: async (of, object) => {
        this.#ask("apply", { of, name: object.metadata.name });
        return this.#write(of, object);
      },
      merge: async (ref, patch) => {
        this.#ask("merge", ref);
        const before = this.#objects.get(keyOf(ref));
        return before === undefined ? undefined : this.#write(ref.of, merged(before, patch) as KubernetesObject);
      },
      remove: async (ref, { uid, resourceVersion }) => {
        this.#ask("delete", ref);
        const { metadata } = this.#objects.get(keyOf(ref)) ?? {};
        if (metadata === undefined || (uid !== undefined && uid !== metadata.uid)) return "gone";
        if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) return "changed";
        this.#drop(ref);
        return "gone";
      },
    };
  }

  #ask(verb: string, { of, name }: ObjectRef): void {
    const asked = `${verb} ${of.resource} ${name}`;
    this.asked.push(asked);
    this.onAsk(asked);
  }

  #of({ kind }: ObjectKind): KubernetesObject[] {
    return [...this.#objects.values()].filter((object) => object.kind === kind);
  }

  #write(of: ObjectKind, object: KubernetesObject): KubernetesObject {
    const { metadata } = object;
    const key = keyOf({ of, ...metadata });
    const uid = this.#objects.get(key)?.metadata.uid ?? `uid-${this.#version}`;
    this.#version += 1;
    const written = { ...object, metadata: { ...metadata, uid, resourceVersion: String(this.#version) } };
    this.#objects.set(key, written);
    this.#tell();
    return written;
  }

  #drop(ref: ObjectRef): void {
    this.#objects.delete(keyOf(ref));
    for (const [key, { metadata }] of this.#objects)
      if (ref.of.resource === "namespaces" && metadata.namespace === ref.name) this.#objects.delete(key);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #watch(kind: ObjectKind): ObjectWatch {
    return {
      isConnected: true,
      untilSynced: async () => undefined,
      find: (namespace = "", name) => this.#objects.get(keyOf({ of: kind, namespace, name })),
      all: () => this.#of(kind),
      onChange: () => () => undefined,
      until: async (isSo, signal) => {
        for (;;) {
          const answer = isSo();
          if (answer !== undefined) return answer;
          signal.throwIfAborted();
          const { promise, resolve } = Promise.withResolvers<undefined>();
          const wake = (): void => resolve(undefined);
          this.#listeners.add(wake);
          signal.addEventListener("abort", wake, { once: true });
          await promise;
          this.#listeners.delete(wake);
        }
      },
      close: () => undefined,
    };
  }
}

/** What a server says of a field that it does not take, as the client throws it: of a long message only the front. */
export function invalidField(field: string, message: string): Fault {
  const causes = [{ field, message, reason: "FieldValueInvalid" }];
  const cause = new ServerStatus(`${field}: ${message}`.slice(0, 20), { code: 422, reason: "Invalid", causes });
  return new Fault("cluster.refused", `Cannot patch on cluster "one": ${message}`, { told: message, cause });
}

/** What is kept of an environment `k3x9` of ada's. */
export function keptOf(changes: Partial<EnvironmentSpec> = {}, more: Omit<Kept, "spec"> = {}): Kept {
  const spec: EnvironmentSpec = {
    ...{ id: "k3x9", hostname: "hello-main", uid: 0, limits: {}, cluster: "one", generation: 7 },
    source: {
      repository: "hello",
      mirrorPath: "/mirrors/hello.git",
      originUrl: "https://git.example/hello",
      branch: "main",
    },
    author: { name: "Ada", email: "ada@example.com" },
    owner: { person: "ada", login: "hello-main" },
    ...changes,
  };
  return { spec, ...more };
}

function keyOf({ of, namespace = "", name }: ObjectRef): string {
  return `${of.kind} ${of.isNamespaced ? namespace : ""} ${name}`;
}

/** RFC 7386. */
function merged(before: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result = new Map<string, unknown>(Object.entries(before ?? {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, merged(result.get(key), value));
  }
  return Object.fromEntries(result);
}

/** Makes the environment `k3x9`, which runs and is set up. */
export function putRunning(fake: FakeCluster): void {
  const containerStatuses = [{ name: "main", state: { running: {} } }];
  const { uid = "" } = fake.put(kinds.pod, {
    metadata: { name: "one", namespace: "slipway-k3x9" },
    status: { phase: "Running", containerStatuses },
  }).metadata;
  const entrance = {
    ...{ user: "dev", workspaceFolder: "/workspace/hello", labels: {}, container: "main" },
    ...{ hostKey: "", serviceNames: [], warnings: [] },
  };
  fake.putEnvironment(keptOf({}, { entrance, isCheckedOut: true, readyPod: uid }), "ours");
}
