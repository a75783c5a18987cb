/**
 * The programs of a test cluster: what each is started with, and the files it reads. Pure but for `writeConfig`.
 *
 * Written for the versions of Debian 12: etcd 3.4, containerd 1.6, Kubernetes 1.20. Tests restart parts and wait for them,
 * so leader elections, back-offs and disk flushes that only cost time are off.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Layout } from "./layout.ts";

export const COMPONENTS = [
  "etcd",
  "apiserver",
  "containerd",
  "controller-manager",
  "scheduler",
  "kubelet",
  "proxy",
  "add-ons",
] as const;

/** A program of the cluster. `add-ons` is ours: what a one-node cluster of these lacks. */
export type Component = (typeof COMPONENTS)[number];

/** Where containerd listens, for the cluster's own processes. On the host, `/run` is the layout's `run`. */
const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";

/** Image of the container that holds a pod's namespaces. */
export const PAUSE_IMAGE = "slipway.test/pause:1";

const ADD_ONS = fileURLToPath(new URL("add-ons/main.ts", import.meta.url));

/** The words that start a component. `binaries` is the folder of Kubernetes' programs. */
export function wordsOf(component: Component, layout: Layout, binaries: string): string[] {
  const own = (file: string): string => join(layout.config, file);
  const program = join(binaries, `kube-${component}`);
  switch (component) {
    case "etcd":
      return etcdWords();
    case "apiserver":
      return [program, ...apiserverWords(layout)];
    case "containerd":
      return ["containerd", "--config", own("containerd.toml")];
    case "controller-manager":
      return [program, ...controllerManagerWords(layout)];
    case "scheduler":
      return [program, `--kubeconfig=${own("scheduler.kubeconfig")}`, "--leader-elect=false"];
    case "kubelet":
      return [join(binaries, "kubelet"), ...kubeletWords(layout)];
    case "proxy":
      return [program, ...proxyWords(layout)];
    case "add-ons":
      return [process.execPath, ADD_ONS, layout.name, String(layout.number), dirname(layout.folder)];
  }
}

/** Writes the files that components read. */
export function writeConfig(layout: Layout): void {
  mkdirSync(join(layout.config, "cni"), { recursive: true });
  const write = (file: string, text: string): void => writeFileSync(join(layout.config, file), text);
  const json = (file: string, value: unknown): void => write(file, `${JSON.stringify(value, undefined, 2)}\n`);
  write("containerd.toml", containerdText(layout));
  json("cni/10-pods.conflist", networkOf(layout));
  json("kubelet.json", kubeletConfig(layout));
}

function etcdWords(): string[] {
  // Nobody else is in this network. --unsafe-no-fsync: tests survive no power cut.
  const listen = "http://127.0.0.1:2379";
  return [
    ...["etcd", "--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn", "--logger=zap"],
    ...[`--listen-client-urls=${listen}`, `--advertise-client-urls=${listen}`],
    ...["--listen-peer-urls=http://127.0.0.1:2380", "--auto-compaction-retention=1h"],
  ];
}

function apiserverWords(layout: Layout): string[] {
  const at = (file: string): string => join(layout.certificates, file);
  return [
    "--etcd-servers=http://127.0.0.1:2379",
    "--bind-address=0.0.0.0",
    `--advertise-address=${layout.nodeAddress}`,
    `--service-cluster-ip-range=${layout.serviceRange}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    `--client-ca-file=${at("ca.crt")}`,
    `--tls-cert-file=${at("apiserver.crt")}`,
    `--tls-private-key-file=${at("apiserver.key")}`,
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${at("accounts.pub")}`,
    `--service-account-signing-key-file=${at("accounts.key")}`,
    `--kubelet-certificate-authority=${at("ca.crt")}`,
    `--kubelet-client-certificate=${at("apiserver-client.crt")}`,
    `--kubelet-client-key=${at("apiserver-client.key")}`,
    "--kubelet-preferred-address-types=InternalIP",
  ];
}

function controllerManagerWords(layout: Layout): string[] {
  const at = (file: string): string => join(layout.certificates, file);
  return [
    `--kubeconfig=${join(layout.config, "controller-manager.kubeconfig")}`,
    `--root-ca-file=${at("ca.crt")}`,
    `--service-account-private-key-file=${at("accounts.key")}`,
    "--use-service-account-credentials=true",
    "--leader-elect=false",
    "--kube-api-qps=200",
    "--kube-api-burst=400",
    // A node that is away is noticed sooner than after 40 s, and its volumes and pods are waited for less.
    "--node-monitor-period=2s",
    "--node-monitor-grace-period=16s",
  ];
}

function kubeletWords(layout: Layout): string[] {
  return [
    `--config=${join(layout.config, "kubelet.json")}`,
    `--kubeconfig=${join(layout.config, "kubelet.kubeconfig")}`,
    `--hostname-override=${layout.nodeName}`,
    `--node-ip=${layout.nodeAddress}`,
    "--container-runtime=remote",
    `--container-runtime-endpoint=unix://${CONTAINERD_SOCKET}`,
    "--root-dir=/var/lib/kubelet",
    "--volume-plugin-dir=/var/lib/kubelet/volume-plugins",
  ];
}

function proxyWords(layout: Layout): string[] {
  return [
    `--kubeconfig=${join(layout.config, "proxy.kubeconfig")}`,
    `--hostname-override=${layout.nodeName}`,
    "--proxy-mode=iptables",
    `--cluster-cidr=${layout.podRange}`,
    "--conntrack-max-per-core=0", // the table is the machine's, not the namespace's
    "--iptables-min-sync-period=100ms",
  ];
}

function kubeletConfig(layout: Layout): unknown {
  const at = (file: string): string => join(layout.certificates, file);
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: at("ca.crt") } },
    authorization: { mode: "Webhook" },
    tlsCertFile: at("kubelet-server.crt"),
    tlsPrivateKeyFile: at("kubelet-server.key"),
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${layout.controlGroup}`,
    failSwapOn: false,
    clusterDomain: "cluster.local",
    clusterDNS: [layout.dnsAddress],
    resolvConf: "/dev/null", // the host's would lead out of the cluster
    maxPods: 250,
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
    eventRecordQPS: 0,
    nodeStatusUpdateFrequency: "4s",
    evictionHard: { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    imageGCHighThresholdPercent: 100,
  };
}

/**
 * Pods on cables of their own, so that everything between them is routed and can be filtered; on a bridge it would
 * pass by the rules of `add-ons/`, and answers of Services by their translation.
 */
function networkOf(layout: Layout): unknown {
  const addresses = { type: "host-local", ranges: [[{ subnet: layout.podRange }]], routes: [{ dst: "0.0.0.0/0" }] };
  return {
    cniVersion: "0.3.1",
    name: "pods",
    plugins: [
      { type: "ptp", ipMasq: false, ipam: addresses },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function containerdText({ config }: Layout): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE a pod's score can only be raised, and runc fails where it may not lower it.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${join(config, "cni")}"
`;
}
