/**
 * The cluster to test and to try things with: the one of `KUBECONFIG`, else one of kind or k3d where they and Docker are
 * there, else one of our own.
 *
 * @module
 */
import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { mustRun, run } from "../harness/program.ts";
import { CLUSTERS, folderOf } from "./layout.ts";
import { findCluster, openCluster, takeDown, type Cluster, type TestCluster } from "./open-cluster.ts";

/** Where a cluster comes from. */
export type Origin = "given" | "kind" | "k3d" | "own";

/** Says which it is: the first that is there. */
async function originOf(env: NodeJS.ProcessEnv): Promise<Origin> {
  if ((env["KUBECONFIG"] ?? "") !== "") return "given";
  const here = async (...words: string[]): Promise<boolean> => {
    try {
      return (await run(words)).exitCode === 0;
    } catch {
      return false; // no such program
    }
  };
  if (!(await here("docker", "info"))) return "own";
  if (await here("kind", "version")) return "kind";
  return (await here("k3d", "version")) ? "k3d" : "own";
}

export interface AnyClusterOptions {
  readonly name: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onStep: (text: string) => void;
}

/** Has a cluster run, which goes on until `endAnyCluster`. One of our own is a `TestCluster` too. */
export async function openAnyCluster({ name, env, onStep }: AnyClusterOptions): Promise<Cluster> {
  const origin = await originOf(env);
  if (origin === "own") return openCluster({ name, keep: true, onStep });
  if (origin !== "given") {
    onStep(`cluster ${name}: using ${origin}, since it and Docker are here`);
    return origin === "kind" ? openKind(name) : openK3d(name);
  }
  const file = env["KUBECONFIG"] ?? "";
  onStep(`cluster: using the one of KUBECONFIG=${file}`);
  return findOwnBy(file) ?? plainCluster(file);
}

/** Takes the cluster of this name down, unless it is somebody else's. */
export async function endAnyCluster(name: string, env: NodeJS.ProcessEnv): Promise<void> {
  await takeDown(name);
  const origin = await originOf(env);
  if (origin === "kind") await mustRun(["kind", "delete", "cluster", "--name", outsideName(name)], SLOW);
  if (origin === "k3d") await mustRun(["k3d", "cluster", "delete", outsideName(name)], SLOW);
}

/** Finds the cluster of our own, which tests may break, whose kubeconfig file this is. */
export function findOwnBy(file: string): TestCluster | undefined {
  if (!existsSync(file)) return undefined;
  const folder = dirname(realpathSync(file));
  return dirname(folder) === CLUSTERS ? findCluster(basename(folder)) : undefined;
}

const SLOW = { timeoutMs: 300_000 };

function outsideName(name: string): string {
  return `slipway-${name}`;
}

async function openKind(name: string): Promise<Cluster> {
  const outside = outsideName(name);
  const kubeconfig = fileFor(name);
  const known = await mustRun(["kind", "get", "clusters"]);
  const create = ["kind", "create", "cluster", "--name", outside, "--kubeconfig", kubeconfig, "--wait", "180s"];
  if (!known.split("\n").includes(outside)) await mustRun(create, SLOW);
  else await mustRun(["kind", "export", "kubeconfig", "--name", outside, "--kubeconfig", kubeconfig]);
  return plainCluster(kubeconfig, async (archive) => {
    await mustRun(["kind", "load", "image-archive", archive, "--name", outside], SLOW);
  });
}

async function openK3d(name: string): Promise<Cluster> {
  const outside = outsideName(name);
  const kubeconfig = fileFor(name);
  const known = await mustRun(["k3d", "cluster", "list", "--no-headers"]);
  const create = ["k3d", "cluster", "create", outside, "--wait", "--kubeconfig-update-default=false"];
  if (!known.split("\n").some((line) => line.startsWith(`${outside} `))) await mustRun(create, SLOW);
  writeFileSync(kubeconfig, await mustRun(["k3d", "kubeconfig", "get", outside]), { mode: 0o600 });
  return plainCluster(kubeconfig, async (archive) => {
    await mustRun(["k3d", "image", "import", archive, "--cluster", outside], SLOW);
  });
}

function fileFor(name: string): string {
  const folder = folderOf(name);
  mkdirSync(folder, { recursive: true });
  return join(folder, "kubeconfig");
}

function plainCluster(kubeconfig: string, importImage?: Cluster["importImage"]): Cluster {
  const kubectl = (args: readonly string[], input?: string): Promise<string> =>
    mustRun(["kubectl", `--kubeconfig=${kubeconfig}`, ...args], { ...SLOW, ...(input === undefined ? {} : { input }) });
  return {
    kubeconfig,
    ...(importImage === undefined ? {} : { importImage }),
    kubectl: async (...args) => kubectl(args),
    kubectlWith: async (input, ...args) => kubectl(args, input),
  };
}
