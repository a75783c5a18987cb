/**
 * The DNS of a test cluster: `dnsmasq` in a pod, reading the names of Services from a file that is written here.
 *
 * A name of a Service is its address, or with no address of its own (headless) those of its pods that are ready, which
 * then also have names by their host names. Nothing else has a name: no SRV records, and nothing outside the cluster.
 *
 * @module
 */
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Api, Thing } from "../api.ts";
import type { Layout } from "../layout.ts";
import { DNS_IMAGE } from "../own-images.ts";
import { insist, latest } from "./latest.ts";

export interface Service extends Thing {
  readonly spec: { readonly clusterIP?: string; readonly type?: string };
}

export interface Endpoints extends Thing {
  readonly subsets?: readonly {
    readonly addresses?: readonly { readonly ip: string; readonly hostname?: string }[];
  }[];
}

/** Runs the DNS and keeps its names current. */
export async function keepNames(api: Api, layout: Layout, signal: AbortSignal): Promise<void> {
  let services: readonly Service[] | undefined;
  let endpoints: readonly Endpoints[] | undefined;
  let written = "";
  const change = latest(async () => {
    if (services === undefined || endpoints === undefined) return;
    const text = hostsText(services, endpoints);
    if (text === written) return;
    const file = join(layout.hosts, "names");
    writeFileSync(join(layout.folder, "hosts.fresh"), text);
    renameSync(join(layout.folder, "hosts.fresh"), file);
    rereadNames();
    written = text;
    return Promise.resolve();
  });
  const seen = (take: () => void): void => {
    take();
    change(undefined);
  };
  await insist(async () => deploy(api, layout), signal);
  await Promise.all([
    api.keepList<Service>("/api/v1/services", (items) => seen(() => (services = items)), signal),
    api.keepList<Endpoints>("/api/v1/endpoints", (items) => seen(() => (endpoints = items)), signal),
  ]);
}

/** Words the names in the form of hosts(5). */
export function hostsText(services: readonly Service[], endpoints: readonly Endpoints[]): string {
  const byName = new Map(endpoints.map((item) => [nameOf(item), item]));
  const lines = services.flatMap((service) => {
    const name = nameOf(service);
    const { clusterIP } = service.spec;
    if (clusterIP !== undefined && clusterIP !== "" && clusterIP !== "None") return [`${clusterIP} ${name}`];
    const addresses = byName.get(name)?.subsets?.flatMap((subset) => subset.addresses ?? []) ?? [];
    return addresses.flatMap(({ ip, hostname }) => [
      `${ip} ${name}`,
      ...(hostname === undefined ? [] : [`${ip} ${hostname}.${name}`]),
    ]);
  });
  return lines.map((line) => `${line}\n`).join("");
}

function nameOf({ metadata }: Thing): string {
  return `${metadata.name}.${metadata.namespace ?? ""}.svc.cluster.local`;
}

/** dnsmasq forgets what a file no longer says only when it is told to: dnsmasq(8), SIGHUP. */
function rereadNames(): void {
  for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (words[0] === "/usr/sbin/dnsmasq") process.kill(Number(pid), "SIGHUP");
    } catch {
      // it ended meanwhile
    }
  }
}

async function deploy(api: Api, layout: Layout): Promise<void> {
  const labels = { "k8s-app": "kube-dns" };
  const meta = (name: string): unknown => ({ name, namespace: "kube-system", labels });
  await api.apply("/apis/apps/v1/namespaces/kube-system/deployments/dns", {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta("dns"),
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec(layout) } },
  });
  await api.apply("/api/v1/namespaces/kube-system/services/kube-dns", {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta("kube-dns"),
    spec: {
      clusterIP: layout.dnsAddress,
      selector: labels,
      ports: ["UDP", "TCP"].map((protocol) => ({ name: `dns-${protocol.toLowerCase()}`, port: 53, protocol })),
    },
  });
}

function podSpec(layout: Layout): unknown {
  return {
    priorityClassName: "system-cluster-critical",
    tolerations: [{ operator: "Exists" }],
    automountServiceAccountToken: false,
    dnsPolicy: "Default",
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: "dnsmasq",
        image: DNS_IMAGE,
        imagePullPolicy: "Never",
        args: [
          ...["--keep-in-foreground", "--user=root", "--group=root", "--pid-file", "--log-facility=-"],
          ...["--no-resolv", "--no-hosts", "--addn-hosts=/hosts", "--bogus-priv", "--local=/#/"],
        ],
        volumeMounts: [{ name: "hosts", mountPath: "/hosts", readOnly: true }],
      },
    ],
    volumes: [{ name: "hosts", hostPath: { path: layout.hosts, type: "Directory" } }],
  };
}
