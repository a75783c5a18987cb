/**
 * `slip check`: whether a service could run on a settings file, and with `--online` whether the forges and clusters in it
 * accept our credentials and let them do what they have to.
 *
 * @module
 */
import { dirname } from "node:path";
import { makeClock } from "../base/clock.ts";
import type { Invocation } from "../base/command-line.ts";
import { Fault } from "../base/fault.ts";
import { makeLog } from "../base/log.ts";
import type { Finding } from "../forge/forge-client.ts";
import { makeForgeClient } from "../forge/make-client.ts";
import { neededPermissions } from "../policy/kubernetes/needed-permissions.ts";
import type { ForgeSecrets, ForgeSettings } from "../wire/forge-settings.ts";
import type { AnswerCache } from "../wire/knowledge.ts";
import type { Settings } from "../wire/settings.ts";
import { checkClusters, type ClusterCheck } from "./check-clusters.ts";
import type { Print } from "./key-commands.ts";
import { openCluster } from "./open-cluster.ts";
import { readSecrets } from "./secrets.ts";
import { readSettings } from "./settings-file.ts";

export interface CheckSurroundings {
  /** Variables of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly print: Print;
}

interface ForgeFinding extends Finding {
  readonly forge: string;
}

/** As long as a person waits for one forge (guess). */
const INSPECT_MS_MAX = 30_000;

/**
 * Checks and prints what was found.
 *
 * @throws {Fault} `settings.invalid` with every complaint; `check.failed` when a credential lacks something
 */
export async function checkSettingsFile(
  file: string,
  call: Invocation,
  { env, print }: CheckSurroundings,
): Promise<void> {
  const { settings, path } = await readSettings(file);
  const folder = dirname(path);
  const isOnline = call.options["online"] === true;
  const forges = isOnline ? await inspectForges(settings, folder, env) : [];
  const clusters = isOnline ? await inspectClusters(settings, folder, env) : [];
  const ofClusters = clusters.flatMap(({ cluster, findings }) => findings.map((finding) => ({ cluster, ...finding })));
  const findings = [...forges, ...ofClusters];
  const missing = findings.filter(({ isGood }) => !isGood).length;
  if (call.options["json"] === true) {
    const missingRoles = clusters.flatMap(({ cluster, missingRole }) =>
      missingRole === undefined ? [] : [{ cluster, yaml: missingRole }],
    );
    print(JSON.stringify({ path, ...countsOf(settings), findings, missingRoles }, undefined, 2));
  } else {
    for (const finding of findings) print(rowOf(finding));
    for (const { missingRole } of clusters) if (missingRole !== undefined) print(`\n${missingRole.trimEnd()}`);
    if (missing === 0) print(`${path} is sound: ${inWords(countsOf(settings))}`);
  }
  if (missing === 0) return;
  throw new Fault("check.failed", `Cannot serve all of ${path}: ${missing} of ${findings.length} findings are missing`);
}

type Counts = Readonly<Record<"people" | "repositories" | "forges" | "clusters" | "pools", number>>;

function countsOf({ people, repositories, forges, clusters, pools }: Settings): Counts {
  return {
    people: people.length,
    repositories: repositories.length,
    forges: forges.length,
    clusters: clusters.length,
    pools: pools.length,
  };
}

function inWords({ people, repositories, ...others }: Counts): string {
  const more = Object.entries(others).flatMap(([name, count]) => {
    return count === 0 ? [] : [`${count} ${count === 1 ? name.slice(0, -1) : name}`];
  });
  return [`${people} people`, `${repositories} repositories`, ...more].join(", ");
}

function rowOf(finding: Finding & ({ readonly forge: string } | { readonly cluster: string })): string {
  const name = "forge" in finding ? finding.forge : finding.cluster;
  return [name, finding.isGood ? "ok" : "missing", finding.text].join("\t");
}

async function inspectClusters(
  { clusters }: Settings,
  folder: string,
  env: CheckSurroundings["env"],
): Promise<ClusterCheck[]> {
  const needed = neededPermissions();
  return checkClusters(clusters, { open: (cluster) => openCluster(cluster, { folder, env }), needed });
}

async function inspectForges(
  settings: Settings,
  folder: string,
  env: CheckSurroundings["env"],
): Promise<ForgeFinding[]> {
  const secrets = readSecrets(settings, { folder, env });
  const warnings = secrets.warnings.map((text) => ({ forge: "secrets", isGood: true, text }));
  const found = await Promise.all(
    settings.forges.map(async (forge) => {
      const own = secrets.forges.get(forge.name);
      if (own === undefined) throw new Error(`Cannot find the secrets of ${forge.name}: they were read`);
      return (await inspect(forge, own)).map((finding) => ({ forge: forge.name, ...finding }));
    }),
  );
  return [...warnings, ...found.flat()];
}

async function inspect(settings: ForgeSettings, secrets: ForgeSecrets): Promise<readonly Finding[]> {
  try {
    const log = makeLog("silent");
    const client = makeForgeClient({ settings, secrets, clock: makeClock(), log, cache: NO_CACHE });
    return await client.inspect(AbortSignal.timeout(INSPECT_MS_MAX));
  } catch (error) {
    if (error instanceof Fault) return [{ isGood: false, text: error.message }];
    if (error instanceof Error && error.name === "TimeoutError") {
      return [{ isGood: false, text: `${settings.apiUrl} did not answer within ${INSPECT_MS_MAX / 1_000} s` }];
    }
    throw error;
  }
}

/** What is checked is what the forge says now. */
const NO_CACHE: AnswerCache = { read: async () => undefined, write: async () => {} };
