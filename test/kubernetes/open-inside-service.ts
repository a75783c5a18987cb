/**
 * A whole Slipway inside of the cluster of the tests, as `slip install kubernetes` puts it there: in the image of the gateway,
 * under the role that is printed, reached from outside by stock clients.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeYaml } from "../../src/base/write-yaml.ts";
import type { TestCluster } from "../cluster/open-cluster.ts";
import { type Client, makeClient } from "../harness/client.ts";
import { mustRun } from "../harness/program.ts";
import { makeRepository, type RepositoryOptions } from "../harness/repositories.ts";
import { serveRepositories } from "./serve-repositories.ts";

const SLIP = join(import.meta.dirname, "../../src/cmd/slip.ts");
const READY_S = 120;
const SSH_PORT = 22;

export interface InsideOptions {
  /** @default hello */
  readonly repositories?: Readonly<Record<string, RepositoryOptions>>;
  /** More of the cluster's settings, as in the file. */
  readonly cluster?: Readonly<Record<string, unknown>>;
  /** More of the settings file: whole sections, as they stand there. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** @default debug */
  readonly logLevel?: "debug" | "info";
}

export interface InsideService extends AsyncDisposable {
  /** Where Slipway itself is. */
  readonly namespace: string;
  /** Namespaces of environments are called this and an id. */
  readonly namespacePrefix: string;
  /** An administrator. */
  readonly ada: Client;
  /** Everything logged so far: one JSON object a line. */
  log(): Promise<string>;
  /** Events in the log, with their facts. */
  events(name: string): Promise<Readonly<Record<string, unknown>>[]>;
  /** Runs `slip` beside the service. @returns standard output */
  slip(...words: readonly string[]): Promise<string>;
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
}

type Kubectl = (...words: readonly string[]) => Promise<string>;

/** Installs one and waits until it takes logins. Its scope takes it away, and what it made. */
export async function openInsideService(cluster: TestCluster, options: InsideOptions = {}): Promise<InsideService> {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "slipway-inside-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const tag = randomBytes(3).toString("hex");
  const [namespace, namespacePrefix] = [`slipway-${tag}`, `i${tag}-`];
  const kubectl: Kubectl = (...words) => cluster.kubectl("-n", namespace, ...words);
  const bare = join(folder, "repositories");
  const repositories = options.repositories ?? { hello: { branches: ["feature/greeting"] } };
  mkdirSync(bare);
  for (const [name, one] of Object.entries(repositories)) await makeRepository(join(bare, `${name}.git`), one);
  const served = parts.use(await serveRepositories(bare, cluster.layout.hostAddress));
  parts.defer(() => removeAll(cluster, namespace, namespacePrefix));
  const settings = settingsOf(namespacePrefix, { ...options, repositories }, served.url);
  writeFileSync(join(folder, "slipway.yaml"), writeYaml([settings]));
  const objects = await printObjects(join(folder, "slipway.yaml"), namespace);
  const knownHosts = join(folder, "known_hosts");
  const makeAda = (address: string): Promise<Client> =>
    makeClient({
      name: "ada",
      folder: join(folder, "ada"),
      address,
      port: SSH_PORT,
      knownHosts,
      keyTypes: ["ed25519"],
    });
  await cluster.kubectlWith(objects, "apply", "-f", "-");
  const address = (await kubectl("get", "service", "slipway", "-o", "jsonpath={.spec.clusterIP}")).trim();
  const ada = await makeAda(address);
  await giveSecrets(kubectl, {
    files: { "ada.pub": `${ada.identityFile}.pub`, "ca.crt": served.authority },
    variables: { GIT_SSL_CAINFO: "/etc/slipway/ca.crt", SLIPWAY_LOG: options.logLevel ?? "debug" },
  });
  const inPod: Kubectl = (...words) => kubectl("exec", "deployment/slipway", "--", ...words);
  const keys = JSON.parse(await inPod("slip", "hostkey", "list", "--json")) as { line: string }[];
  writeFileSync(knownHosts, keys.map(({ line }) => `${address} ${line}\n`).join(""));
  const log = (): Promise<string> => kubectl("logs", "deployment/slipway", "--tail=-1");
  const scrape = 'fetch("http://127.0.0.1:9222/metrics").then(async (page) => console.log(await page.text()))';
  const owned = parts.move();
  return {
    ...{ namespace, namespacePrefix, ada, log },
    events: async (name) => readEvents(await log()).filter(({ event }) => event === name),
    slip: (...words) => inPod("slip", ...words),
    metrics: () => inPod("node", "-e", scrape),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function settingsOf(namespacePrefix: string, options: InsideOptions, url: string): unknown {
  const names = Object.keys(options.repositories ?? {});
  return {
    version: 1,
    listen: { ssh: ["0.0.0.0:2222"], http: "0.0.0.0:9222" },
    people: { ada: { admin: true, keysFile: "ada.pub" } },
    repositories: Object.fromEntries(names.map((name) => [name, { url: `${url}${name}.git` }])),
    grants: [{ people: ["ada"], repositories: "*" }],
    clusters: {
      here: {
        inCluster: true,
        namespacePrefix,
        images: { toolbox: "slipway/toolbox:test", base: "slipway/sample:test", pullPolicy: "Never" },
        workspace: { size: "1GiB" },
        requestRate: { perSecond: 100, burst: 200 },
        ...options.cluster,
      },
    },
    ...options.settings,
  };
}

function printObjects(settings: string, namespace: string): Promise<string> {
  const options = ["--settings", settings, "--namespace", namespace, "--image", "slipway/gateway:test"];
  // ClusterIP: no load balancer is there to wait for.
  return mustRun([process.execPath, SLIP, "install", "kubernetes", ...options, "--service", "ClusterIP"]);
}

/** As docs/kubernetes.md has it: what the pod was started without it sees after the next start alone. */
async function giveSecrets(
  kubectl: Kubectl,
  { files, variables }: { files: Record<string, string>; variables: Record<string, string> },
): Promise<void> {
  const create = (name: string, words: string[]): Promise<string> =>
    kubectl("create", "secret", "generic", name, ...words);
  const fromFiles = Object.entries(files).map(([name, path]) => `--from-file=${name}=${path}`);
  const fromWords = Object.entries(variables).map(([name, value]) => `--from-literal=${name}=${value}`);
  await create("slipway-credentials", fromFiles);
  await create("slipway-variables", fromWords);
  await kubectl("rollout", "restart", "deployment", "slipway");
  await kubectl("rollout", "status", "deployment", "slipway", `--timeout=${READY_S}s`);
}

async function removeAll(cluster: TestCluster, namespace: string, prefix: string): Promise<void> {
  // Ours first, so that nothing is made again; live sessions are not waited for.
  const first = ["delete", "pods", "--all", "--ignore-not-found", "--force", "--grace-period=0"];
  await cluster.kubectl("-n", namespace, "delete", "deployment", "slipway", "--ignore-not-found");
  await cluster.kubectl("-n", namespace, ...first);
  const all = (await cluster.kubectl("get", "namespaces", "-o", "name")).split("\n");
  const own = all.filter((name) => name === `namespace/${namespace}` || name.startsWith(`namespace/${prefix}`));
  if (own.length > 0) await cluster.kubectl("delete", "--wait=false", ...own);
  await cluster.kubectl("delete", "clusterrole,clusterrolebinding", `slipway:${namespace}`, "--ignore-not-found");
}

function readEvents(log: string): Readonly<Record<string, unknown>>[] {
  return log.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Record<string, unknown>] : []));
}
