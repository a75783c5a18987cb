/**
 * The `Runtime` of a Kubernetes cluster: each environment is a namespace of its own.
 *
 * Opened once for each cluster by `cmd/`. It needs no answer of the cluster to be opened: one that is away fails what is
 * asked of it, and disturbs nothing else.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { makeOneAtATime } from "../../base/one-at-a-time.ts";
import { selectorOf } from "../../policy/kubernetes/labels.ts";
import type { Path } from "../../policy/kubernetes/path.ts";
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import { kinds } from "../../wire/kubernetes.ts";
import type { Runtime } from "../runtime.ts";
import type { ClusterApi } from "./api/cluster-api.ts";
import { verifyMember } from "./claiming.ts";
import { type Cluster, type Runs, findReadyPod, untilSeen } from "./cluster.ts";
import { DOOR } from "./inside.ts";
import { makeDoors } from "./inside/doors.ts";
import { readKept } from "./kept.ts";
import { makePaths } from "./paths.ts";
import { makeRuntime } from "./make-runtime.ts";
import { keepStandby, makeStandby, starterOf } from "./standby.ts";

export interface KubernetesOptions {
  /** Closed by whoever opened it, after the runtime. */
  readonly api: ClusterApi;
  readonly settings: ClusterSettings;
  /** Tells the services that share a cluster apart: `[a-z0-9]{4,32}`. */
  readonly installation: string;
  readonly runs: Runs;
  /** Public key of the gateway, as a line of authorized_keys. */
  readonly gatewayKey: string;
  /** Namespace that we run in ourselves, in this very cluster; absent when we run elsewhere. */
  readonly gateway?: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** A runtime that can be away. */
export interface KubernetesRuntime extends Runtime {
  /** Whether the cluster answers. Waits a little for one that has not been heard of yet. */
  isUp(): Promise<boolean>;
  /** Says which way the next session goes into a pod. */
  path(): Path;
  /** Talks to what runs in an environment. @throws when it does not answer as it should */
  verify(id: string, signal: AbortSignal): Promise<void>;
}

/** Opens the runtime of one cluster; `signal` ends what it keeps open. */
export function openKubernetes(options: KubernetesOptions, signal: AbortSignal): KubernetesRuntime {
  const { api, settings, installation, clock, log } = options;
  const where = { labelSelector: selectorOf(installation) };
  const namespaces = api.watch(kinds.namespace, where);
  const pods = api.watch(kinds.pod, where);
  const doors = makeDoors({ open: starterOf(api, { argv: [DOOR] }), clock, log });
  const standby = makeStandby(api, { clock, log });
  const paths = makePaths({ setting: settings.path, isInside: options.gateway !== undefined, clock, log });
  signal.addEventListener(
    "abort",
    () => {
      for (const programs of [doors, standby.runs, standby.feeds]) programs.closeAll();
      namespaces.close();
      pods.close();
    },
    { once: true },
  );
  const cluster: Cluster = { ...options, namespaces, pods, doors, paths, standby };
  keepStandby(standby, cluster, (namespace) => findReadyPod(cluster, { namespace, kept: readKept(namespace) }));
  return {
    ...makeRuntime(cluster, makeOneAtATime(), signal),
    isUp: async () => {
      await untilSeen(cluster).catch(() => undefined);
      return namespaces.isConnected && pods.isConnected;
    },
    path: () => paths.next(),
    verify: (id, asked) => verifyMember(cluster, id, AbortSignal.any([asked, signal])),
  };
}
