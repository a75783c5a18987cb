/**
 * Makes network policies hold on the one node of a test cluster.
 *
 * A pod's address is known here when its network is made, before its first program runs: from the file that the network
 * plugin leaves, not only from the pod's status, which comes up to a second later.
 *
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../harness/program.ts";
import type { Api, Thing } from "../api.ts";
import type { Layout } from "../layout.ts";
import { latest } from "./latest.ts";
import { rulesText, type Pod, type Policy } from "./policy-rules.ts";

/** What libcni keeps of a network that it made: CNI, `libcni/api.go`, `cachedInfo`. */
interface Kept {
  readonly cniArgs?: readonly (readonly [string, string])[];
  readonly result?: { readonly ips?: readonly { readonly address: string }[] };
}

/** Keeps the rules of the kernel those of the cluster's policies. */
export async function keepPolicies(api: Api, layout: Layout, signal: AbortSignal): Promise<void> {
  const results = join(layout.lib, "cni/results");
  mkdirSync(results, { recursive: true });
  let pods: readonly Pod[] | undefined;
  let namespaces: readonly Thing[] | undefined;
  let policies: readonly Policy[] | undefined;
  let held = "";
  const change = latest(async () => {
    if (pods === undefined || namespaces === undefined || policies === undefined) return;
    const addresses = addressesIn(results);
    const text = rulesText({ namespaces, policies, pods: pods.map((pod) => withAddress(pod, addresses)) });
    if (text === held) return;
    await mustRun(["nft", "-f", "-"], { input: text });
    held = text;
  });
  const seen = (take: () => void): void => {
    take();
    change(undefined);
  };
  watch(results, { signal }, () => change(undefined));
  await Promise.all([
    api.keepList<Pod>("/api/v1/pods", (items) => seen(() => (pods = items)), signal),
    api.keepList<Thing>("/api/v1/namespaces", (items) => seen(() => (namespaces = items)), signal),
    api.keepList<Policy>(
      "/apis/networking.k8s.io/v1/networkpolicies",
      (items) => seen(() => (policies = items)),
      signal,
    ),
  ]);
}

function withAddress(pod: Pod, addresses: ReadonlyMap<string, string>): Pod {
  const { namespace = "", name } = pod.metadata;
  const podIP = pod.status?.podIP ?? addresses.get(`${namespace}/${name}`);
  return podIP === undefined ? pod : { ...pod, status: { ...pod.status, podIP } };
}

/** By namespace and name. */
function addressesIn(folder: string): Map<string, string> {
  return new Map(
    readdirSync(folder).flatMap((file): [string, string][] => {
      const { cniArgs = [], result } = readKept(join(folder, file));
      const args = new Map(cniArgs);
      const [address] = result?.ips?.[0]?.address.split("/") ?? [];
      const name = `${args.get("K8S_POD_NAMESPACE") ?? ""}/${args.get("K8S_POD_NAME") ?? ""}`;
      return address === undefined ? [] : [[name, address]];
    }),
  );
}

function readKept(file: string): Kept {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Kept;
  } catch {
    return {}; // half written, or gone meanwhile: another change follows
  }
}
