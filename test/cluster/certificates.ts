/**
 * Certificates and kubeconfig files of a test cluster, made with openssl: one authority for everything.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../harness/program.ts";
import type { Layout } from "./layout.ts";

/** Whom a certificate names. The API server takes the organization for a group and the name for the user. */
interface Subject {
  readonly file: string;
  readonly name: string;
  readonly organization?: string;
  /** subjectAltName: makes it a server's, else it is a client's. */
  readonly alternatives?: readonly string[];
}

const P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const DAYS = ["-days", "3650"];

/** Makes every key, certificate and kubeconfig file. */
export async function makeCertificates(layout: Layout): Promise<void> {
  const at = (file: string): string => join(layout.certificates, file);
  await mustRun(["openssl", "req", "-x509", ...P256, ...DAYS, ...pairOf(at("ca")), "-subj", "/CN=slipway-test"]);
  await mustRun(["openssl", "genpkey", "-algorithm", "EC", ...P256.slice(2, 4), "-out", at("accounts.key")]);
  await mustRun(["openssl", "pkey", "-in", at("accounts.key"), "-pubout", "-out", at("accounts.pub")]);
  await Promise.all(subjectsOf(layout).map((subject) => sign(subject, at)));
  for (const user of ["kubelet", "controller-manager", "scheduler", "proxy", "add-ons"]) {
    writeFileSync(join(layout.config, `${user}.kubeconfig`), kubeconfigText(layout, user), { mode: 0o600 });
  }
  writeFileSync(layout.kubeconfig, kubeconfigText(layout, "admin"), { mode: 0o600 });
}

function subjectsOf({ nodeName, nodeAddress, apiServiceAddress }: Layout): Subject[] {
  const services = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];
  const names = [...services, "kubernetes.default.svc.cluster.local", "localhost"];
  const addresses = [nodeAddress, apiServiceAddress, "127.0.0.1"];
  const server = [...names.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)];
  const kubelet = [`DNS:${nodeName}`, `IP:${nodeAddress}`];
  return [
    { file: "apiserver", name: "kube-apiserver", alternatives: server },
    { file: "kubelet-server", name: `system:node:${nodeName}`, organization: "system:nodes", alternatives: kubelet },
    { file: "apiserver-client", name: "kube-apiserver", organization: "system:masters" },
    { file: "kubelet", name: `system:node:${nodeName}`, organization: "system:nodes" },
    { file: "controller-manager", name: "system:kube-controller-manager" },
    { file: "scheduler", name: "system:kube-scheduler" },
    { file: "proxy", name: "system:kube-proxy" },
    { file: "add-ons", name: "slipway-test:add-ons", organization: "system:masters" },
    { file: "admin", name: "admin", organization: "system:masters" },
  ];
}

async function sign(subject: Subject, at: (file: string) => string): Promise<void> {
  const { file, name, organization, alternatives } = subject;
  const usage = alternatives === undefined ? "clientAuth" : "serverAuth";
  await mustRun([
    ...["openssl", "req", "-x509", "-CA", at("ca.crt"), "-CAkey", at("ca.key"), ...P256, ...DAYS],
    ...[...pairOf(at(file)), "-subj", `${organization === undefined ? "" : `/O=${organization}`}/CN=${name}`],
    ...["-addext", "basicConstraints=critical,CA:FALSE", "-addext", `extendedKeyUsage=${usage}`],
    ...(alternatives === undefined ? [] : ["-addext", `subjectAltName=${alternatives.join(",")}`]),
  ]);
}

function pairOf(path: string): string[] {
  return ["-keyout", `${path}.key`, "-out", `${path}.crt`];
}

/** JSON is YAML. With the certificates inside, so that the file can be handed on by itself. */
function kubeconfigText({ name, server, certificates }: Layout, user: string): string {
  const data = (file: string): string => readFileSync(join(certificates, file)).toString("base64");
  const credentials = {
    "client-certificate-data": data(`${user}.crt`),
    "client-key-data": data(`${user}.key`),
  };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": data("ca.crt") } }],
    users: [{ name: user, user: credentials }],
    contexts: [{ name, context: { cluster: name, user } }],
    "current-context": name,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
