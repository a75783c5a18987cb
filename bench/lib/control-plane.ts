/**
 * What a cluster's own programs do meanwhile: processor time of its API server and of etcd, where it is one of ours and they are
 * processes of this machine.
 *
 * @module
 */
import { findOwnBy } from "../../test/cluster/any-cluster.ts";
import type { Component } from "../../test/cluster/components.ts";
import { formatMs } from "./figures.ts";
import { readCpuMs } from "./process-figures.ts";
import type { Outcome } from "./row.ts";

/** Milliseconds of each. */
export interface ControlPlaneCpu {
  readonly apiserver: number;
  readonly etcd: number;
}

/** Measures over what `during` takes. @returns `undefined` of a cluster that is somebody else's */
export async function measureControlPlane(
  kubeconfig: string,
  during: () => Promise<unknown>,
): Promise<ControlPlaneCpu | undefined> {
  const cluster = findOwnBy(kubeconfig);
  const read = (component: Component): number => {
    const pid = cluster?.pidOf(component);
    return pid === undefined ? Number.NaN : readCpuMs(pid);
  };
  const readBoth = (): ControlPlaneCpu => ({ apiserver: read("apiserver"), etcd: read("etcd") });
  const before = readBoth();
  await during();
  const after = readBoth();
  if (cluster === undefined) return undefined;
  return { apiserver: after.apiserver - before.apiserver, etcd: after.etcd - before.etcd };
}

/** The line of the table about `what`. @param minutes how long each was measured for */
export function describeControlPlane(
  what: string,
  { idle, rest }: { readonly idle: ControlPlaneCpu | undefined; readonly rest: ControlPlaneCpu | undefined },
  minutes: number,
): Outcome {
  const title = `${what}: processor time of kube-apiserver and etcd in a minute`;
  if (idle === undefined || rest === undefined) return { what: title, note: "not ours to see: the cluster was given" };
  const tell = ({ apiserver, etcd }: ControlPlaneCpu): string =>
    `${formatMs(apiserver / minutes)} and ${formatMs(etcd / minutes)}`;
  return {
    what: title,
    ours: tell(rest),
    baseline: tell(idle),
    note: "beside it as long without them, before; both with the kubelet and controllers of one node",
  };
}
