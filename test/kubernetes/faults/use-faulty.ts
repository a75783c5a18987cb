/**
 * A service whose environments are on the cluster of the tests, and hands to break that cluster with, for the tests of one
 * file.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, onTestFailed } from "vitest";
import type { Client } from "../../harness/client.ts";
import { type Ended, mustRun } from "../../harness/program.ts";
import type { TestService } from "../../harness/service.ts";
import { until } from "../../harness/wait.ts";
import { type ClusterServiceOptions, openClusterService } from "../open-cluster-service.ts";
import { kubeconfigPath } from "../use-cluster.ts";

/** Longest wait for what a cluster on a busy machine does. */
export const SLOW_MS = 90_000;

/** Opening a service, and the end of its namespaces. */
export const HOOK_MS = 240_000;

/** Runs kubectl. @returns standard output */
export type Kubectl = (...words: readonly string[]) => Promise<string>;

export interface Faulty {
  readonly service: TestService;
  /** All namespaces of the service begin with it. */
  readonly prefix: string;
  readonly kubectl: Kubectl;
  /** Makes objects, or makes them what is said. */
  readonly apply: (...objects: readonly object[]) => Promise<void>;
  /** Names of the namespaces of its environments. */
  readonly namespaces: () => Promise<string[]>;
  /** The namespace of the environment of this login, which is there. */
  readonly namespaceOf: (login: string) => Promise<string>;
}

/** Hands for a service whose namespaces begin with `prefix`. */
export function makeFaulty(service: TestService, prefix: string, kubeconfig = kubeconfigPath()): Faulty {
  const kubectl: Kubectl = (...words) => runKubectl(kubeconfig, words);
  const list = async (selector: readonly string[]): Promise<string[]> => {
    const said = await kubectl("get", "namespaces", "-o", "name", ...selector);
    const names = said.split("\n").map((line) => line.replace(/^namespace\//, ""));
    return names.filter((name) => name.startsWith(prefix));
  };
  return {
    service,
    prefix,
    kubectl,
    apply: async (...items) => {
      const input = JSON.stringify({ apiVersion: "v1", kind: "List", items });
      await mustRun(["kubectl", `--kubeconfig=${kubeconfig}`, "apply", "-f-"], { input, timeoutMs: SLOW_MS });
    },
    namespaces: () => list([]),
    namespaceOf: async (login) => {
      const lines = await kubectl(
        "get",
        "namespaces",
        "-o",
        'jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations.slipway\\.dev/login}{"\\n"}{end}',
      );
      const found = lines.split("\n").find((line) => line.startsWith(prefix) && line.endsWith(` ${login}`));
      if (found === undefined) throw new Error(`Cannot find the namespace of ${login} among ${lines}`);
      return found.split(" ")[0] ?? "";
    },
  };
}

function runKubectl(kubeconfig: string, words: readonly string[]): Promise<string> {
  return mustRun(["kubectl", `--kubeconfig=${kubeconfig}`, ...words], { timeoutMs: SLOW_MS });
}

export function makePrefix(): string {
  return `f${randomBytes(3).toString("hex")}-`;
}

/** Has a service for every test of this file. @returns a function to get it, in tests alone */
export function useFaulty(options: ClusterServiceOptions = {}): () => Faulty {
  let opening: Promise<Faulty> | undefined;
  let opened: Faulty | undefined;
  const need = (): Faulty => {
    if (opened === undefined) throw new Error("Cannot use the service: it is not there yet");
    return opened;
  };
  beforeAll(async () => {
    opening = openFaulty(options);
    opened = await opening;
  }, HOOK_MS);
  beforeEach(() => {
    tellLog(need().service);
  });
  afterAll(async () => {
    // Also of one that came too late for the tests.
    await (await opening?.catch(() => undefined))?.service[Symbol.asyncDispose]();
  }, HOOK_MS);
  return need;
}

/** Opens a service. Faults are what operators are told of: errors in its log are part of these tests. */
export async function openFaulty(options: ClusterServiceOptions = {}): Promise<Faulty> {
  const prefix = makePrefix();
  const cluster = { namespacePrefix: prefix, ...options.cluster };
  const service = await openClusterService({ mayLogErrors: true, ...options, cluster });
  return makeFaulty(service, prefix, options.kubeconfig);
}

/** Shows what a service logged when the test fails. */
export function tellLog(service: TestService): void {
  const before = service.log().length;
  onTestFailed(() => {
    const lines = service.log().slice(before).trim().split("\n");
    process.stderr.write(`the service logged:\n${lines.slice(-40).join("\n")}\n`);
  });
}

/** Runs a command of the lobby that may wait for what a cluster does. */
export function lobby(client: Client, ...words: readonly string[]): Promise<Ended> {
  return client.ssh(["slip@slipway", ...words], { timeoutMs: SLOW_MS });
}

/** Waits until the service has no namespace any more. */
export async function untilNoneLeft({ namespaces }: Pick<Faulty, "namespaces">): Promise<void> {
  await until("the end of its namespaces", async () => (await namespaces()).length === 0, SLOW_MS);
}
