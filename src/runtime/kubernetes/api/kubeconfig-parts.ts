/**
 * The parts of a kubeconfig file, each with what we cannot use of it: a cluster becomes how a server is reached, a user who
 * we are there. `kubeconfig.ts` finds them.
 *
 * @module
 */
import { isAbsolute, dirname, resolve } from "node:path";
import { z } from "zod";

import type { Complaint, Path } from "../../../base/complaint.ts";
import type { YamlDocument } from "../../../base/yaml.ts";
import type { CredentialPlugin, Material, ResolvedAccess } from "./access.ts";

const Text = z.string().min(1, "needs a string with something in it");
const optional = Text.nullish().transform((text) => text ?? undefined);

export const Cluster = z.object({
  server: Text,
  "certificate-authority": optional,
  "certificate-authority-data": optional,
  "insecure-skip-tls-verify": z.boolean().nullish(),
  "tls-server-name": optional,
  "proxy-url": optional,
  extensions: z.array(z.object({ name: z.string(), extension: z.unknown() })).nullish(),
});

const Plugin = z.object({
  apiVersion: Text,
  command: Text,
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: Text, value: z.string() })).nullish(),
  installHint: optional,
  interactiveMode: z.string().nullish(),
  provideClusterInfo: z.boolean().nullish(),
});

export const User = z.object({
  "client-certificate": optional,
  "client-certificate-data": optional,
  "client-key": optional,
  "client-key-data": optional,
  token: optional,
  tokenFile: optional,
  username: optional,
  password: optional,
  exec: Plugin.nullish().transform((plugin) => plugin ?? undefined),
  "auth-provider": z.unknown().optional(),
  as: z.unknown().optional(),
  "as-uid": z.unknown().optional(),
  "as-groups": z.unknown().optional(),
  "as-user-extra": z.unknown().optional(),
});

export type Cluster = z.infer<typeof Cluster>;
export type User = z.infer<typeof User>;

/** Gathers complaints; those of a missing part stop what needs the part, and nothing else. */
export interface Reading {
  readonly path: string;
  readonly document: YamlDocument;
  readonly complaints: Complaint[];
}

export function complain({ complaints, document }: Reading, at: Path, message: string): void {
  complaints.push({ line: document.lineOf(at), path: at, message });
}

/** Of the server; `info` is what a plugin may be told of it. */
type Reached = Pick<ResolvedAccess, "server" | "serverName" | "isInsecure" | "authority"> & { readonly info: unknown };

export function serverOf(cluster: Cluster, at: Path, reading: Reading): Reached {
  const server = cluster.server.replace(/\/+$/, "");
  if (!URL.canParse(server) || new URL(server).protocol !== "https:") {
    complain(reading, [...at, "server"], `needs an address that begins with "https://"`);
  }
  if (cluster["proxy-url"] !== undefined) {
    complain(reading, [...at, "proxy-url"], "proxies are not supported; needs a server that is reached straight");
  }
  const isInsecure = cluster["insecure-skip-tls-verify"] === true;
  const authority = materialOf(cluster, { key: "certificate-authority", at }, reading);
  if (isInsecure && authority !== undefined) {
    complain(reading, [...at, "insecure-skip-tls-verify"], "contradicts the certificate-authority beside it");
  }
  const serverName = cluster["tls-server-name"];
  const extension = cluster.extensions?.find(({ name }) => name === "client.authentication.k8s.io/exec")?.extension;
  const data = cluster["certificate-authority-data"];
  const info = {
    server,
    ...(serverName !== undefined && { "tls-server-name": serverName }),
    ...(isInsecure && { "insecure-skip-tls-verify": true }),
    ...(data !== undefined && { "certificate-authority-data": data }),
    ...(extension !== undefined && { config: extension }),
  };
  return {
    server,
    isInsecure,
    info,
    ...(authority !== undefined && { authority }),
    ...(serverName !== undefined && { serverName }),
  };
}

type Proof = Pick<ResolvedAccess, "certificate" | "key" | "token" | "plugin"> & { readonly wantsInfo: boolean };

const NO_PASSWORDS = "passwords are not supported; needs a token, a certificate or an exec plugin";
const NO_OTHERS = "acting as somebody else is not supported; needs a user of its own";
const REFUSED = [
  ["username", NO_PASSWORDS],
  ["password", NO_PASSWORDS],
  ["auth-provider", "auth providers are gone from Kubernetes since 1.26; needs an exec plugin"],
  ["as", NO_OTHERS],
  ["as-uid", NO_OTHERS],
  ["as-groups", NO_OTHERS],
  ["as-user-extra", NO_OTHERS],
] as const satisfies (readonly [keyof User, string])[];

export function userOf(user: User, at: Path, reading: Reading): Proof {
  for (const [key, message] of REFUSED) {
    if (user[key] !== undefined && user[key] !== null) complain(reading, [...at, key], message);
  }
  const certificate = materialOf(user, { key: "client-certificate", at }, reading);
  const key = materialOf(user, { key: "client-key", at }, reading);
  if ((certificate === undefined) !== (key === undefined)) {
    complain(
      reading,
      at,
      `has a client-${key === undefined ? "certificate without a client-key" : "key without a client-certificate"}`,
    );
  }
  // As kubectl has it, a file comes before the token beside it: it is newer.
  const token: Material | undefined =
    user.tokenFile !== undefined
      ? fileOf(user.tokenFile, reading)
      : user.token === undefined
        ? undefined
        : { text: user.token };
  const plugin = user.exec === undefined ? undefined : pluginOf(user.exec, [...at, "exec"], reading);
  if (certificate === undefined && token === undefined && user.exec === undefined && reading.complaints.length === 0) {
    complain(reading, at, "has no credentials; needs a token, a certificate or an exec plugin");
  }
  return {
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token }),
    ...(plugin !== undefined && { plugin }),
    wantsInfo: user.exec?.provideClusterInfo === true,
  };
}

function pluginOf(plugin: z.infer<typeof Plugin>, at: Path, reading: Reading): CredentialPlugin {
  const { apiVersion, command, args, env: own, installHint, interactiveMode } = plugin;
  if (!/^client\.authentication\.k8s\.io\/(v1|v1beta1)$/.test(apiVersion)) {
    const needs = "needs client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1";
    complain(reading, [...at, "apiVersion"], `${needs}, is ${JSON.stringify(apiVersion)}`);
  }
  if (interactiveMode === "Always") {
    complain(reading, [...at, "interactiveMode"], "a service has no terminal to ask at; needs Never or IfAvailable");
  }
  // As kubectl has it: only what looks like a path is one, and is where the file says.
  const isPath = command.includes("/");
  return {
    apiVersion,
    command: isPath ? resolve(dirname(resolve(reading.path)), command) : command,
    args: args ?? [],
    env: Object.fromEntries((own ?? []).map(({ name, value }) => [name, value])),
    ...(installHint !== undefined && { installHint }),
  };
}

type PairKey = "certificate-authority" | "client-certificate" | "client-key";

/** Each may stand in the file itself, in base64, which comes before a file of its own. */
function materialOf(
  from: Partial<Record<PairKey | `${PairKey}-data`, string | undefined>>,
  { key, at }: { readonly key: PairKey; readonly at: Path },
  reading: Reading,
): Material | undefined {
  const data = from[`${key}-data`];
  const path = from[key];
  if (data === undefined) return path === undefined ? undefined : fileOf(path, reading);
  const text = Buffer.from(data, "base64").toString("utf8");
  if (!text.includes("-----BEGIN ")) complain(reading, [...at, `${key}-data`], "needs PEM in base64");
  return { text };
}

function fileOf(path: string, reading: Reading): Material {
  return { path: isAbsolute(path) ? path : resolve(dirname(resolve(reading.path)), path) };
}
