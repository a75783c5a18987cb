/**
 * `slip install kubernetes`: prints what runs Slipway inside of a cluster, applies it, or writes it as a Helm chart.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Invocation, wrongUsage } from "../base/command-line.ts";
import { writeYaml } from "../base/write-yaml.ts";
import { neededPermissions } from "../policy/kubernetes/needed-permissions.ts";
import type { ClusterApi } from "../runtime/kubernetes/api/cluster-api.ts";
import type { KubernetesObject } from "../wire/kubernetes.ts";
import { openCluster } from "./open-cluster.ts";
import { type ChartFiles, chartFiles } from "./install/chart.ts";
import { type InstallSettings, readInstallSettings } from "./install/install-settings.ts";
import {
  CREDENTIALS_SECRET,
  type InstallFacts,
  installKinds,
  installObjects,
  VARIABLES_SECRET,
} from "./install/objects.ts";
import type { Print } from "./key-commands.ts";

export interface InstallSurroundings {
  /** Variables of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly print: Print;
  /** For what is no product: standard error. */
  readonly note: Print;
}

const SERVICE_TYPES = ["LoadBalancer", "NodePort", "ClusterIP"];

/** What a gateway with some hundred sessions uses; measured by `bench/`. No limit of processors: it would slow everybody. */
const RESOURCES = { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } };

const STATE_SIZE = "10Gi";

/** As long as a person waits for one object to be taken (guess). */
const APPLY_MS_MAX = 60_000;

/**
 * Installs, or says what would be.
 *
 * @throws {Fault} `settings.invalid` with everything in the settings that cannot be so in a pod; `cluster.*` when the cluster
 *   does not take an object
 */
export async function installKubernetes(call: Invocation, around: InstallSurroundings): Promise<void> {
  const settings = readInstallSettings(textOf(call, "settings"));
  const facts = factsOf(call, settings);
  const notes = notesFor(facts, settings);
  const folder = textOf(call, "chart");
  if (folder !== undefined) {
    if (call.options["apply"] === true)
      throw wrongUsage("--chart writes files and --apply changes a cluster; take one of them");
    writeChart(folder, chartFiles({ ...facts, version: ownVersion(), notes }));
    around.print(`${folder} is a Helm chart: "helm install slipway ${folder}"`);
    return;
  }
  const objects = installObjects(facts);
  if (call.options["apply"] === true) await apply(objects, call, around);
  else around.print(writeYaml(objects).trimEnd());
  for (const line of notes) around.note(line);
}

function factsOf(call: Invocation, { text, webhooksPort }: InstallSettings): InstallFacts {
  const namespace = textOf(call, "namespace") ?? "slipway";
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace) || namespace.startsWith("kube-")) {
    throw wrongUsage(`--namespace needs the name of a namespace, is ${JSON.stringify(namespace)}`);
  }
  const serviceType = textOf(call, "service") ?? "LoadBalancer";
  if (!SERVICE_TYPES.includes(serviceType)) {
    throw wrongUsage(`--service needs ${SERVICE_TYPES.join(", ")}, is ${JSON.stringify(serviceType)}`);
  }
  return {
    namespace,
    image: textOf(call, "image") ?? `slipway/gateway:${ownVersion()}`,
    serviceType,
    settings: text,
    settingsHash: createHash("sha256").update(text).digest("hex"),
    resources: RESOURCES,
    stateSize: STATE_SIZE,
    permissions: neededPermissions(),
    ...(webhooksPort === undefined ? {} : { webhooksPort }),
  };
}

function notesFor({ namespace }: InstallFacts, { files, variables }: InstallSettings): string[] {
  const create = (name: string, values: string[]): string =>
    `  kubectl --namespace ${namespace} create secret generic ${name} ${values.join(" ")}`;
  return [
    ...(files.length === 0
      ? []
      : [
          "The settings name files, which have to be in a secret:",
          create(
            CREDENTIALS_SECRET,
            files.map((name) => `--from-file=${name}`),
          ),
        ]),
    ...(variables.length === 0
      ? []
      : [
          "The settings name variables, which have to be in a secret:",
          create(
            VARIABLES_SECRET,
            variables.map((name) => `--from-literal=${name}=…`),
          ),
        ]),
    "Where people log in:",
    `  kubectl --namespace ${namespace} get service slipway`,
  ];
}

async function apply(
  objects: readonly KubernetesObject[],
  call: Invocation,
  around: InstallSurroundings,
): Promise<void> {
  const { env, print } = around;
  const path = textOf(call, "kubeconfig") ?? env["KUBECONFIG"] ?? join(env["HOME"] ?? "/", ".kube", "config");
  await using api = await openCluster(
    { name: "install", access: { type: "kubeconfig", path }, requestRate: { perSecond: 20, burst: 50 } },
    { folder: ".", env },
  );
  for (const object of objects) {
    await applyOne(api, object);
    print(`applied\t${object.kind}\t${object.metadata.name}`);
  }
}

async function applyOne(api: Pick<ClusterApi, "apply">, object: KubernetesObject): Promise<void> {
  const kind = installKinds.find((known) => known.apiVersion === object.apiVersion && known.kind === object.kind);
  if (kind === undefined) throw new Error(`Cannot apply a ${object.kind}: installKinds has none`);
  await api.apply(kind, object, AbortSignal.timeout(APPLY_MS_MAX));
}

/** Writes the files, over those of a chart that is there already. @throws {Fault} `usage.wrong` when the folder has others */
function writeChart(folder: string, files: ChartFiles): void {
  const isOurs = existsSync(join(folder, "Chart.yaml"));
  if (!isOurs && existsSync(folder) && readdirSync(folder).length > 0) {
    throw wrongUsage(`${folder} has other files than those of a chart; --chart needs a folder of its own`);
  }
  // Templates of another version would be installed beside ours.
  rmSync(join(folder, "templates"), { recursive: true, force: true });
  for (const [path, text] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const isManifest = typeof manifest === "object" && manifest !== null && "version" in manifest;
  if (!isManifest || typeof manifest.version !== "string")
    throw new Error("Cannot read package.json: it has no version");
  return manifest.version;
}

function textOf({ options }: Invocation, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}
