/**
 * Programs that wait in members of pools for whoever claims them: to start one takes longer than all that it does then.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { LABELS } from "../../policy/kubernetes/labels.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import type { ClusterApi, ExecRequest, ObjectWatch } from "./api/cluster-api.ts";
import { type Doors, type DoorsOptions, makeDoors } from "./inside/doors.ts";
import { FEED, RUN_COMMAND } from "./inside.ts";
import type { RunningPod } from "./judge-pod.ts";

export interface Standby {
  /** `run out`, for what is asked first. */
  readonly runs: Doors;
  /** `feed`, for the checkout. */
  readonly feeds: Doors;
}

/** Makes the keepers of one cluster. */
export function makeStandby(api: Pick<ClusterApi, "exec">, of: { clock: Clock; log: Log }): Standby {
  return {
    runs: makeDoors({ ...of, open: starterOf(api, { argv: [RUN_COMMAND, "out"] }), idleMs: null }),
    feeds: makeDoors({ ...of, open: starterOf(api, { argv: [FEED], mayStall: true }), idleMs: null }),
  };
}

/** Starts a program of the toolbox in whatever pod. */
export function starterOf(
  { exec }: Pick<ClusterApi, "exec">,
  program: Pick<ExecRequest, "argv" | "mayStall">,
): DoorsOptions["open"] {
  return ({ namespace, name, container }, signal) => exec({ namespace, pod: name, container, ...program }, signal);
}

/**
 * Has programs wait in every member that is ready, those that an earlier service made too, for as long as it is a member.
 *
 * @param readyPod finds the pod of a namespace in which everything is set up
 */
export function keepStandby(
  { runs, feeds }: Standby,
  { namespaces, pods }: Readonly<Record<"namespaces" | "pods", ObjectWatch>>,
  readyPod: (namespace: KubernetesObject) => RunningPod | undefined,
): void {
  const look = (namespace: KubernetesObject, isMember: boolean): void => {
    const id = namespace.metadata.labels?.[LABELS.environment];
    if (id === undefined) return;
    const pod = isMember ? readyPod(namespace) : undefined;
    for (const programs of [runs, feeds]) {
      if (pod === undefined) programs.close(id);
      else programs.prepare(id, pod);
    }
  };
  namespaces.onChange(({ type, object }) => look(object, type === "set" && isOfPool(object)));
  // The first list of pods may come after that of namespaces, none of which changes by itself then.
  pods.onChange(({ object }) => {
    const namespace = namespaces.find(undefined, object.metadata.namespace ?? "");
    // Pods change often, and most are nobody's to look at.
    if (namespace !== undefined && isOfPool(namespace)) look(namespace, true);
  });
}

function isOfPool({ metadata }: KubernetesObject): boolean {
  return metadata.labels?.[LABELS.pool] !== undefined;
}

/** Ends those that wait in an environment which is no member any more. */
export function closeStandby({ runs, feeds }: Standby, id: string): void {
  runs.close(id);
  feeds.close(id);
}
