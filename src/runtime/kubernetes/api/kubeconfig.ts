/**
 * Reads a kubeconfig file: what kubectl is given with `--kubeconfig`, cut down to what a service can use.
 *
 * Whoever opens a cluster of the settings calls it. What asks a person for something, or sends credentials elsewhere, is
 * refused with a sentence, never passed over.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { z } from "zod";

import { checkShape, type Complaint, type Path, writeComplaints } from "../../../base/complaint.ts";
import { Fault } from "../../../base/fault.ts";
import { meantBy } from "../../../base/nearest.ts";
import { readYamlDocuments, YamlError, type YamlDocument } from "../../../base/yaml.ts";
import type { CredentialPlugin, Material, ResolvedAccess } from "./access.ts";

export interface KubeconfigOptions {
  /** Absolute, or relative to where the service was started. */
  readonly path: string;
  /** @default the file's `current-context` */
  readonly context?: string;
  /** Environment of credential plugins; those of the file come on top. */
  readonly env: Readonly<Record<string, string>>;
}

const Text = z.string().min(1, "needs a string with something in it");
const optional = Text.nullish().transform((text) => text ?? undefined);

const Cluster = z.object({
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

const User = z.object({
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

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/; what is not here is not read. */
const Kubeconfig = z.object({
  "current-context": z.string().nullish(),
  clusters: z.array(z.object({ name: z.string(), cluster: z.unknown() })).nullish(),
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }))
    .nullish(),
  users: z.array(z.object({ name: z.string(), user: z.unknown() })).nullish(),
});

type Kubeconfig = z.infer<typeof Kubeconfig>;
type Cluster = z.infer<typeof Cluster>;
type User = z.infer<typeof User>;

/**
 * Reads how the cluster of a context is reached.
 *
 * @throws {Fault} `settings.invalid` with every complaint, each with the file's path and line
 */
export async function readKubeconfig(options: KubeconfigOptions): Promise<ResolvedAccess> {
  const text = await readText(options.path);
  try {
    const [document] = readYamlDocuments(text, options.path);
    return resolveAccess(document ?? { value: null, lineOf: () => 1 }, options);
  } catch (error) {
    if (error instanceof YamlError) throw invalid(error.message, options.path, error);
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(`Cannot read the kubeconfig file ${path}: ${why}`, path, error);
  }
}

function invalid(message: string, path: string, cause?: unknown): Fault {
  return new Fault("settings.invalid", message, { told: `the kubeconfig file ${path} cannot be used`, cause });
}

/** Gathers complaints; those of a missing part stop what needs the part, and nothing else. */
interface Reading {
  readonly path: string;
  readonly document: YamlDocument;
  readonly complaints: Complaint[];
}

function resolveAccess(document: YamlDocument, options: KubeconfigOptions): ResolvedAccess {
  const reading: Reading = { path: options.path, document, complaints: [] };
  const file = shaped(reading, { schema: Kubeconfig, value: document.value ?? {}, at: [] });
  const found = file === undefined ? undefined : find(file, options.context, reading);
  const server = found?.cluster && serverOf(found.cluster.value, found.cluster.at, reading);
  const user = found?.user && userOf(found.user.value, found.user.at, { reading, env: options.env });
  if (reading.complaints.length > 0 || server === undefined || user === undefined) {
    throw invalid(writeComplaints(options.path, reading.complaints), options.path);
  }
  const { info, ...reached } = server;
  const { plugin, wantsInfo, ...proof } = user;
  if (plugin === undefined) return { ...reached, ...proof, source: options.path };
  const withInfo = wantsInfo === true ? { ...plugin, cluster: info } : plugin;
  return { ...reached, ...proof, source: options.path, plugin: withInfo };
}

function complain({ complaints, document }: Reading, at: Path, message: string): void {
  complaints.push({ line: document.lineOf(at), path: at, message });
}

function shaped<T>(
  { complaints, document }: Reading,
  { schema, value, at }: { readonly schema: z.ZodType<T>; readonly value: unknown; readonly at: Path },
): T | undefined {
  const checked = checkShape(schema, value, (path) => document.lineOf([...at, ...path]));
  if ("data" in checked) return checked.data;
  complaints.push(...checked.complaints.map((complaint) => ({ ...complaint, path: [...at, ...complaint.path] })));
  return undefined;
}

interface Found<T> {
  readonly value: T;
  readonly at: Path;
}

function find(
  file: Kubeconfig,
  asked: string | undefined,
  reading: Reading,
): { readonly cluster?: Found<Cluster>; readonly user?: Found<User> } {
  const name = asked ?? file["current-context"] ?? "";
  if (name === "") {
    complain(reading, [], "has no current-context, needs one or the name of a context in the settings");
    return {};
  }
  const context = named(file.contexts, { list: "contexts", name, what: "context", at: [] }, reading);
  if (context === undefined) return {};
  const from: Path = ["contexts", context.index, "context"];
  const { cluster, user } = context.entry.context;
  const foundCluster = named(
    file.clusters,
    { list: "clusters", name: cluster, what: "cluster", at: [...from, "cluster"] },
    reading,
  );
  const foundUser = named(file.users, { list: "users", name: user, what: "user", at: [...from, "user"] }, reading);
  const clusterAt: Path = ["clusters", foundCluster?.index ?? 0, "cluster"];
  const userAt: Path = ["users", foundUser?.index ?? 0, "user"];
  const clusterValue =
    foundCluster && shaped(reading, { schema: Cluster, value: foundCluster.entry.cluster, at: clusterAt });
  const userValue = foundUser && shaped(reading, { schema: User, value: foundUser.entry.user ?? {}, at: userAt });
  return {
    ...(clusterValue !== undefined && { cluster: { value: clusterValue, at: clusterAt } }),
    ...(userValue !== undefined && { user: { value: userValue, at: userAt } }),
  };
}

function named<Entry extends { readonly name: string }>(
  entries: readonly Entry[] | null | undefined,
  { list, name, what, at }: { readonly list: string; readonly name: string; readonly what: string; readonly at: Path },
  reading: Reading,
): { readonly entry: Entry; readonly index: number } | undefined {
  const index = entries?.findIndex((each) => each.name === name) ?? -1;
  const entry = entries?.[index];
  if (entry !== undefined) return { entry, index };
  const names = (entries ?? []).map((each) => each.name);
  const meant = meantBy(name, names);
  const hint = meant === undefined ? `; ${list} are ${names.join(", ") || "none"}` : `; did you mean "${meant}"?`;
  complain(reading, at, `there is no ${what} ${JSON.stringify(name)}${hint}`);
  return undefined;
}

/** Of the server; `info` is what a plugin may be told of it. */
type Reached = Pick<ResolvedAccess, "server" | "serverName" | "isInsecure" | "authority"> & { readonly info: unknown };

function serverOf(cluster: Cluster, at: Path, reading: Reading): Reached {
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

type Proof = Pick<ResolvedAccess, "certificate" | "key" | "token" | "plugin"> & { readonly wantsInfo?: boolean };

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

function userOf(
  user: User,
  at: Path,
  { reading, env }: { readonly reading: Reading; readonly env: Readonly<Record<string, string>> },
): Proof {
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
  const plugin = user.exec === undefined ? undefined : pluginOf(user.exec, [...at, "exec"], { reading, env });
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

function pluginOf(
  plugin: z.infer<typeof Plugin>,
  at: Path,
  { reading, env }: { readonly reading: Reading; readonly env: Readonly<Record<string, string>> },
): CredentialPlugin {
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
    env: { ...env, ...Object.fromEntries((own ?? []).map(({ name, value }) => [name, value])) },
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
