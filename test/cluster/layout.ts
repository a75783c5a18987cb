/**
 * Where everything of one test cluster is: folders, addresses, names. Pure; `open-cluster.ts` makes what is named here.
 *
 * All addresses of cluster `n` are its own, so that several run side by side and the host reaches each one's node, pods
 * and services without a translation:
 *
 *     10.255.n.1             the host's end of the cable        10.(100+n).0.0/17    pods
 *     10.255.n.2             the node                           10.(100+n).128.0/17  services
 *
 * @module
 */
import { join } from "node:path";

/** The folder that holds one folder for each cluster. */
export const CLUSTERS = "/tmp/slipway-cluster";

/** The Kubernetes that Debian 12 has the source of. */
export const KUBERNETES_VERSION = "1.20.2";

/** Where "the Internet" of a cluster is: addresses for documentation, RFC 5737, which nobody has. */
export const PUBLIC_RANGE = "198.51.100.0/24";

/** Clusters are numbered from 1: at most this many side by side. */
export const LAST_NUMBER = 100;

/** Everything of one cluster that has a name. */
export interface Layout {
  readonly name: string;
  readonly number: number;
  /** Everything on disk is below. Socket paths below it have to stay under 108 bytes: unix(7). */
  readonly folder: string;
  readonly certificates: string;
  readonly config: string;
  readonly logs: string;
  /** Bound over `/run`, `/var/lib` and `/var/log` for the cluster's own processes, which have paths there built in. */
  readonly run: string;
  readonly lib: string;
  readonly log: string;
  /** Files bound over settings of the kernel that are not of a namespace, so that the kubelet changes copies. */
  readonly sysctl: string;
  /** Persistent volumes, one folder each. */
  readonly volumes: string;
  /** The names that the cluster's DNS answers, in the form of hosts(5). */
  readonly hosts: string;
  readonly stateFile: string;
  /** Of `system:masters`; the server in it is reachable from the host. */
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly hostAddress: string;
  readonly nodeAddress: string;
  /** An address of the host's that to the cluster is of the Internet: all that there is of it. */
  readonly publicAddress: string;
  /** `https://<node>:6443`. */
  readonly server: string;
  readonly podRange: string;
  readonly serviceRange: string;
  /** Of the Service `default/kubernetes`: the first address of its range. */
  readonly apiServiceAddress: string;
  readonly dnsAddress: string;
  /** The host's end of the cable. */
  readonly hostInterface: string;
  /** Relative to the top of each hierarchy of control groups. */
  readonly controlGroup: string;
}

/** @throws {Error} when the name would not do in paths and in names of objects */
export function makeLayout(name: string, number: number, clusters = CLUSTERS): Layout {
  const folder = folderOf(name, clusters);
  const below = (...parts: string[]): string => join(folder, ...parts);
  const inner = 100 + number;
  const nodeAddress = `10.255.${number}.2`;
  return {
    name,
    number,
    folder,
    certificates: below("certificates"),
    config: below("config"),
    logs: below("logs"),
    run: below("run"),
    lib: below("lib"),
    log: below("log"),
    sysctl: below("sysctl"),
    volumes: below("volumes"),
    hosts: below("hosts"),
    stateFile: below("cluster.json"),
    kubeconfig: below("kubeconfig"),
    nodeName: name,
    hostAddress: `10.255.${number}.1`,
    nodeAddress,
    publicAddress: `198.51.100.${number}`,
    server: `https://${nodeAddress}:6443`,
    podRange: `10.${inner}.0.0/17`,
    serviceRange: `10.${inner}.128.0/17`,
    apiServiceAddress: `10.${inner}.128.1`,
    dnsAddress: `10.${inner}.128.10`,
    hostInterface: `slipcl${number}`,
    controlGroup: `slipway-cluster/${name}`,
  };
}

/** The folder of the cluster of this name, whatever its number. @throws {Error} when the name would not do */
export function folderOf(name: string, clusters = CLUSTERS): string {
  if (!/^[a-z][a-z0-9-]{0,23}$/.test(name)) {
    throw new Error(`Cannot name a cluster ${JSON.stringify(name)}: needs at most 24 of a-z, 0-9 and "-"`);
  }
  return join(clusters, name);
}
