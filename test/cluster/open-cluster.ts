/**
 * A real one-node Kubernetes for tests and for trying things by hand, made of Debian packages alone, in namespaces of its
 * own: `openCluster` brings it up or finds the one that runs.
 *
 * Its API server is reachable from the host, as are the addresses of its pods and services. It has a DNS, a default
 * storage class and network policies that hold (`add-ons/`). Each of its parts can be killed and started again.
 *
 * @module
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { prepare } from "../../tools/prepare.ts";
import { mustRun } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { Api, type Thing } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import { COMPONENTS, wordsOf, writeConfig, type Component } from "./components.ts";
import { groupsLeft, makeGroups, removeGroups } from "./control-groups.ts";
import { cacheFolder, ensureKubernetes } from "./kubernetes-programs.ts";
import type { Layout } from "./layout.ts";
import { claimNumber, connectHost, holdNamespaces, inside, removeCable } from "./namespaces.ts";
import { makeOwnImages } from "./own-images.ts";
import { endProcess, goOn, isAlive, launch, untilChild, type Process } from "./processes.ts";
import { readState, writeState, type State } from "./state.ts";

export interface ClusterOptions {
  /** Of `a-z`, `0-9` and `-`. The one that runs under this name is used as it is. */
  readonly name: string;
  /** Folder of all clusters. @default /tmp/slipway-cluster */
  readonly clusters?: string;
  /** Whether it goes on after its scope. @default false */
  readonly keep?: boolean;
  /** Called with a line about each step that takes long. */
  readonly onStep?: (text: string) => void;
}

/** What any cluster can do, also one that is not ours. */
export interface Cluster {
  /** File with the rights of `cluster-admin`. */
  readonly kubeconfig: string;
  /** Runs kubectl and returns what it printed. @throws {Error} when it fails */
  kubectl(...args: readonly string[]): Promise<string>;
  /** The same with text for its standard input. */
  kubectlWith(input: string, ...args: readonly string[]): Promise<string>;
  /** Puts the images of an archive on its nodes. Absent of a cluster that takes its images from elsewhere. */
  importImage?(archive: string): Promise<void>;
}

/** A cluster of our own that runs. Its scope takes it down, unless it was asked to stay. */
export interface TestCluster extends Cluster, AsyncDisposable {
  readonly layout: Layout;
  readonly api: Api;
  importImage(archive: string): Promise<void>;
  /** Ends a component at once, or with another signal (SIGSTOP and SIGCONT do not end it), and waits for its end. */
  kill(component: Component, signal?: NodeJS.Signals): Promise<void>;
  /** Starts a component that does not run. */
  start(component: Component): Promise<void>;
  isRunning(component: Component): boolean;
  /** The component's process, as the host numbers it. */
  pidOf(component: Component): number | undefined;
  /** Waits until the API answers, and the node and the DNS are ready. */
  untilReady(): Promise<void>;
  /** Runs a program in the cluster's namespaces, as on its node. */
  onNode(...words: readonly string[]): Promise<string>;
  /** Ends everything of it and removes its folder. */
  down(): Promise<void>;
}

/** A cold machine with other work: certificates, images and 8 programs take 15 s on two processors. */
const READY_MS = 180_000;

/** Brings up a cluster, or finds the one of that name that runs. Needs root. */
export async function openCluster(options: ClusterOptions): Promise<TestCluster> {
  const found = findCluster(options.name, options.clusters);
  if (found !== undefined) return withScope(found, options);
  const tell = options.onStep ?? (() => {});
  if (process.getuid?.() !== 0) throw new Error("Cannot make a cluster: needs root");
  if (prepare("cluster") !== 0) throw new Error("Cannot make a cluster: packages are missing");
  const binaries = await ensureKubernetes(tell);
  const images = await makeOwnImages(cacheFolder());
  await takeDown(options.name, options.clusters); // what one that crashed has left
  const layout = await claimNumber(options.name, options.clusters);
  const cluster = new OwnCluster(layout, {
    name: options.name,
    number: layout.number,
    groups: [],
    binaries,
    components: {},
  });
  try {
    tell(`cluster ${layout.name}: starting on ${layout.server}`);
    await cluster.bringUp(images);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return withScope(cluster, options);
}

/** Finds the cluster of this name that runs. */
export function findCluster(name: string, clusters?: string): TestCluster | undefined {
  const known = readState(name, clusters);
  if (known?.state.holder === undefined || !isAlive(known.state.holder)) return undefined;
  return new OwnCluster(known.layout, known.state);
}

/** Takes down the cluster of this name, or what is left of it. */
export async function takeDown(name: string, clusters?: string): Promise<void> {
  const known = readState(name, clusters);
  if (known !== undefined) await new OwnCluster(known.layout, known.state).down();
}

function withScope(cluster: TestCluster, { keep = false }: ClusterOptions): TestCluster {
  if (keep) cluster[Symbol.asyncDispose] = async () => Promise.resolve();
  return cluster;
}

class OwnCluster implements TestCluster {
  readonly layout: Layout;
  readonly kubeconfig: string;
  #state: State;
  #api: Api | undefined;

  constructor(layout: Layout, state: State) {
    this.layout = layout;
    this.kubeconfig = layout.kubeconfig;
    this.#state = state;
  }

  get api(): Api {
    return (this.#api ??= new Api(this.kubeconfig));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  /** Makes everything. Only for a number that was claimed just now. */
  async bringUp(images: readonly string[]): Promise<void> {
    const { layout } = this;
    const { folder, certificates, config, logs, run, lib, log, volumes, hosts } = layout;
    rmSync(folder, { recursive: true, force: true });
    for (const path of [certificates, config, logs, run, lib, log, volumes, hosts])
      mkdirSync(path, { recursive: true });
    for (const below of ["containerd", "netns", "lock"]) mkdirSync(join(run, below));
    this.#note({});
    const [holder] = await Promise.all([holdNamespaces(layout), makeCertificates(layout)]);
    this.#note({ holder, groups: makeGroups(layout.controlGroup) });
    await connectHost(layout, holder);
    writeConfig(layout);
    for (const component of ["etcd", "containerd", "apiserver"] as const) await this.start(component);
    await until("containerd", async () => this.#hasContainerd(), READY_MS);
    for (const archive of images) await this.importImage(archive);
    await this.#untilApi();
    for (const component of COMPONENTS) if (!this.isRunning(component)) await this.start(component);
    await this.untilReady();
  }

  async kubectl(...args: readonly string[]): Promise<string> {
    return mustRun(["kubectl", `--kubeconfig=${this.kubeconfig}`, ...args], { timeoutMs: READY_MS });
  }

  async kubectlWith(input: string, ...args: readonly string[]): Promise<string> {
    return mustRun(["kubectl", `--kubeconfig=${this.kubeconfig}`, ...args], { timeoutMs: READY_MS, input });
  }

  async importImage(archive: string): Promise<void> {
    await mustRun([...this.#ctr(), "images", "import", archive], { timeoutMs: READY_MS });
  }

  async kill(component: Component, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const started = this.#state.components[component];
    if (started === undefined) return;
    if (signal === "SIGSTOP") process.kill(started.process.pid, signal);
    else if (signal === "SIGCONT") goOn(started.process);
    else await endProcess(started.process, signal);
  }

  async start(component: Component): Promise<void> {
    if (this.isRunning(component)) return;
    const words = wordsOf(component, this.layout, this.#state.binaries);
    const log = join(this.layout.logs, `${component}.log`);
    const outer = launch(inside(this.#holder(), this.#state.groups, words), log);
    const process = await untilChild(outer);
    this.#note({ components: { ...this.#state.components, [component]: { process, words, log } } });
  }

  isRunning(component: Component): boolean {
    const started = this.#state.components[component];
    return started !== undefined && isAlive(started.process);
  }

  pidOf(component: Component): number | undefined {
    return this.isRunning(component) ? this.#state.components[component]?.process.pid : undefined;
  }

  async untilReady(): Promise<void> {
    await this.#untilApi();
    const { nodeName } = this.layout;
    await until(`node ${nodeName}`, async () => this.#holds(`/api/v1/nodes/${nodeName}`, "Ready"), READY_MS);
    const dns = "/apis/apps/v1/namespaces/kube-system/deployments/dns";
    await until("the DNS", async () => this.#holds(dns, "Available"), READY_MS);
    await this.#answers("/api/v1/namespaces/default/serviceaccounts/default");
  }

  async onNode(...words: readonly string[]): Promise<string> {
    return mustRun(inside(this.#holder(), [], words));
  }

  async down(): Promise<void> {
    await this.stop();
    rmSync(this.layout.folder, { recursive: true, force: true });
  }

  /** Ends everything of it, and leaves its folder for whoever wants to read the logs. */
  async stop(): Promise<void> {
    const { holder } = this.#state;
    if (holder !== undefined) await endProcess(holder, "SIGKILL");
    await removeCable(this.layout);
    const { controlGroup } = this.layout;
    // The last processes leave their groups a moment after the first one's end.
    await until(`the end of ${controlGroup}`, () => {
      removeGroups(controlGroup);
      return groupsLeft(controlGroup).length === 0;
    });
  }

  #note(news: Partial<State>): void {
    this.#state = { ...this.#state, ...news };
    writeState(this.layout, this.#state);
  }

  #holder(): Process {
    const { holder } = this.#state;
    if (holder === undefined) throw new Error(`Cannot use cluster ${this.layout.name}: it has no namespaces yet`);
    return holder;
  }

  #ctr(): string[] {
    return ["ctr", "--address", join(this.layout.run, "containerd/containerd.sock"), "--namespace", "k8s.io"];
  }

  async #hasContainerd(): Promise<boolean> {
    try {
      await mustRun([...this.#ctr(), "version"]);
      return true;
    } catch {
      return false;
    }
  }

  async #untilApi(): Promise<void> {
    await until("the API server", async () => this.#answers("/readyz"), READY_MS);
  }

  async #answers(path: string): Promise<boolean> {
    try {
      await this.api.get(path);
      return true;
    } catch {
      return false;
    }
  }

  async #holds(path: string, condition: string): Promise<boolean> {
    try {
      const { status } = (await this.api.get(path)) as Conditioned;
      return status?.conditions?.some(({ type, status }) => type === condition && status === "True") ?? false;
    } catch {
      return false;
    }
  }
}

interface Conditioned extends Thing {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
