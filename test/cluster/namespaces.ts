/**
 * The namespaces that a test cluster lives in: of network, mounts and processes, all held by one process and gone with it.
 *
 * Ending the holder ends every process of the cluster, pods included, and with them their mounts, interfaces and rules:
 * nothing has to be found and undone one by one. The cluster sees the host's files, with folders of its own bound over
 * `/run`, `/var/lib` and `/var/log`.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun, run } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { LAST_NUMBER, makeLayout, PUBLIC_RANGE, type Layout } from "./layout.ts";
import { isAlive, launch, untilChild, type Process } from "./processes.ts";

/**
 * The first process: gets the mounts ready, then waits, and reaps what is orphaned.
 * It takes pairs of a source and where to bind it. Nothing it mounts reaches the host (`--propagation private`), but
 * pods and the kubelet see each other's mounts (`--make-rshared`).
 */
const HOLDER = `
set -eu
folder=$1; shift
mount -t proc proc /proc
while [ $# -gt 0 ]; do mount --bind "$1" "$2"; shift 2; done
mount --make-rshared /
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
: > "$folder/held"
sleep infinity & wait
`;

/** What the kubelet sets for the whole machine: ContainerManager's setupKernelTunables. */
const MACHINE_WIDE = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
];

/** Starts the holder and returns it: the first process of the cluster's, by its pid on the host. */
export async function holdNamespaces(layout: Layout): Promise<Process> {
  const binds: [string, string][] = [
    [layout.run, "/run"],
    [layout.lib, "/var/lib"],
    [layout.log, "/var/log"],
    ...copySysctls(layout.sysctl),
  ];
  const outer = launch(
    [
      ...["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"],
      ...["bash", "-c", HOLDER, "holder", layout.folder, ...binds.flat()],
    ],
    join(layout.logs, "holder.log"),
  );
  const holder = await untilChild(outer);
  await until("the namespaces", () => {
    if (!isAlive(outer)) throw new Error(`Cannot make namespaces: see ${join(layout.logs, "holder.log")}`);
    return existsSync(join(layout.folder, "held"));
  });
  return holder;
}

/** The words that run a program inside, in the cluster's control groups. */
export function inside(holder: Process, groups: readonly string[], words: readonly string[]): string[] {
  const enter = 'while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done; shift; exec "$@"';
  const target = ["nsenter", "--target", String(holder.pid), "--mount", "--net", "--pid", "--wd=/", "--"];
  return [...target, "sh", "-c", enter, "enter", ...groups, "--", ...words];
}

/** Makes the cable between the host and a cluster that is not there yet, whose name decides nothing. */
export async function claimNumber(name: string, clusters: string | undefined): Promise<Layout> {
  for (let number = 1; number <= LAST_NUMBER; number += 1) {
    const layout = makeLayout(name, number, clusters);
    const { hostInterface } = layout;
    // That an interface's name can be had once only makes this the claim.
    const made = await run(["ip", "link", "add", hostInterface, "type", "veth", "peer", "name", `${hostInterface}n`]);
    if (made.exitCode === 0) return layout;
    if (!made.stderr.includes("File exists")) throw new Error(`Cannot make an interface: ${made.stderr}`);
  }
  throw new Error(`Cannot make one more cluster: there are ${LAST_NUMBER}`);
}

/** Lays the cable into the cluster, and the host's route to its pods and services. */
export async function connectHost(layout: Layout, holder: Process): Promise<void> {
  const { hostInterface, hostAddress, nodeAddress } = layout;
  const pid = String(holder.pid);
  const within = ["nsenter", "--target", pid, "--net", "--", "ip"];
  await mustRun(["ip", "link", "set", `${hostInterface}n`, "netns", pid, "name", "eth0"]);
  await mustRun(["ip", "address", "add", `${hostAddress}/30`, "dev", hostInterface]);
  await mustRun(["ip", "link", "set", hostInterface, "up"]);
  await mustRun([...within, "address", "add", `${nodeAddress}/30`, "dev", "eth0"]);
  await mustRun([...within, "link", "set", "eth0", "up"]);
  // Nothing leaves the machine, and what asks a cloud's metadata service hears at once that there is none.
  await mustRun([...within, "route", "add", "unreachable", "default"]);
  await mustRun([...within, "route", "add", PUBLIC_RANGE, "via", hostAddress]);
  await mustRun(["ip", "address", "add", `${layout.publicAddress}/32`, "dev", hostInterface]);
  for (const range of [layout.podRange, layout.serviceRange]) {
    await mustRun(["ip", "route", "replace", range, "via", nodeAddress]);
  }
}

/** Takes away a cable that no cluster holds any more; one that a cluster holds goes with it. */
export async function removeCable({ hostInterface }: Layout): Promise<void> {
  await run(["ip", "link", "delete", hostInterface]);
}

function copySysctls(folder: string): [string, string][] {
  mkdirSync(folder, { recursive: true });
  return MACHINE_WIDE.filter((name) => existsSync(join("/proc/sys", name))).map((name) => {
    const copy = join(folder, name.replaceAll("/", "."));
    writeFileSync(copy, readFileSync(join("/proc/sys", name)));
    return [copy, join("/proc/sys", name)];
  });
}
