/**
 * Reads a kubeconfig file: what kubectl is given with `--kubeconfig`, cut down to what a service can use.
 *
 * Whoever opens a cluster of the settings calls it. What asks a person for something, or sends credentials elsewhere, is
 * refused with a sentence, never passed over.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";

import { checkShape, type Path, writeComplaints } from "../../../base/complaint.ts";
import { Fault } from "../../../base/fault.ts";
import { meantBy } from "../../../base/nearest.ts";
import { readYamlDocuments, YamlError, type YamlDocument } from "../../../base/yaml.ts";
import type { ClusterAccess } from "../../../wire/cluster-settings.ts";
import type { ResolvedAccess } from "./access.ts";
import { inClusterAccess } from "./in-cluster.ts";
import { Cluster, complain, type Reading, serverOf, User, userOf } from "./kubeconfig-parts.ts";

export interface KubeconfigOptions {
  /** Absolute, or relative to where the service was started. */
  readonly path: string;
  /** @default the file's `current-context` */
  readonly context?: string;
  /** Environment of credential plugins; those of the file come on top. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

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
export interface Surroundings {
  /** What paths are relative to: the folder of the settings file. */
  readonly folder: string;
  /** Variables of the process: where a pod's API server is, and for credential plugins. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Finds out how a cluster of the settings is reached.
 *
 * @throws {Fault} `settings.invalid` with every complaint
 */
export async function resolveAccess(access: ClusterAccess, { folder, env }: Surroundings): Promise<ResolvedAccess> {
  if (access.type === "in-cluster") {
    return inClusterAccess({ host: env["KUBERNETES_SERVICE_HOST"], port: env["KUBERNETES_SERVICE_PORT"] });
  }
  const context = access.context === undefined ? {} : { context: access.context };
  return readKubeconfig({ path: resolve(folder, access.path), env, ...context });
}

/**
 * Reads how the cluster of a context is reached.
 *
 * @throws {Fault} `settings.invalid` with every complaint, each with the file's path and line
 */
export async function readKubeconfig(options: KubeconfigOptions): Promise<ResolvedAccess> {
  const text = await readText(options.path);
  try {
    const [document] = readYamlDocuments(text, options.path);
    return accessOf(document ?? { value: null, lineOf: () => 1 }, options);
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

function accessOf(document: YamlDocument, options: KubeconfigOptions): ResolvedAccess {
  const reading: Reading = { path: options.path, document, complaints: [] };
  const file = shaped(reading, { schema: Kubeconfig, value: document.value ?? {}, at: [] });
  const found = file === undefined ? undefined : find(file, options.context, reading);
  const server = found?.cluster && serverOf(found.cluster.value, found.cluster.at, reading);
  const user = found?.user && userOf(found.user.value, found.user.at, reading);
  if (reading.complaints.length > 0 || server === undefined || user === undefined) {
    throw invalid(writeComplaints(options.path, reading.complaints), options.path);
  }
  const { info, ...reached } = server;
  const { plugin, wantsInfo, ...proof } = user;
  if (plugin === undefined) return { ...reached, ...proof, source: options.path };
  const env = Object.fromEntries([...setOf(options.env), ...Object.entries(plugin.env)]);
  const about = wantsInfo ? { cluster: info } : {};
  return { ...reached, ...proof, source: options.path, plugin: { ...plugin, env, ...about } };
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

function setOf(env: KubeconfigOptions["env"]): [string, string][] {
  return Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
}
