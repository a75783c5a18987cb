/**
 * A Kubernetes to try things with: `npm run cluster up|down|status [name]`.
 *
 * Uses the cluster of KUBECONFIG, or kind or k3d where they and Docker are there, or makes one of Debian packages
 * (`test/cluster/`). What it prints on standard output is for a shell to read: `eval "$(npm run --silent cluster up)"`.
 *
 * @module
 */
import { parseArgs } from "node:util";

import { endAnyCluster, openAnyCluster } from "../test/cluster/any-cluster.ts";
import { COMPONENTS } from "../test/cluster/components.ts";
import { ensureImages } from "../test/cluster/ensure-images.ts";
import { findCluster } from "../test/cluster/open-cluster.ts";

const USAGE = `usage: npm run cluster up|down|status [name]
  up      starts the cluster, or finds the one that runs, and prints how to use it
  down    takes it away with all that is in it
  status  says what runs
A name is of a-z, 0-9 and "-"; without one it is "dev".
`;

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function up(name: string): Promise<number> {
  const beganAt = performance.now();
  const took = (): string => `${((performance.now() - beganAt) / 1000).toFixed(1)} s`;
  const cluster = await openAnyCluster({ name, env: process.env, onStep: tell });
  tell(`cluster ${name}: ready after ${took()}`);
  process.stdout.write(`export KUBECONFIG=${cluster.kubeconfig}\n`);
  if (cluster.importImage === undefined) return 0;
  try {
    const images = await ensureImages(cluster);
    tell(`cluster ${name}: has ${Object.values(images).join(", ")} after ${took()}`);
    return 0;
  } catch (error) {
    tell(String(error));
    return 1;
  }
}

async function down(name: string): Promise<number> {
  await endAnyCluster(name, process.env);
  tell(`cluster ${name}: gone`);
  return 0;
}

function status(name: string): number {
  const cluster = findCluster(name);
  if (cluster === undefined) {
    tell(`cluster ${name}: there is none of our own`);
    return 1;
  }
  const { layout, kubeconfig } = cluster;
  const lines = COMPONENTS.map((component) => {
    const pid = cluster.pidOf(component);
    return `${component.padEnd(20)}${pid === undefined ? "does not run" : `process ${pid}`}`;
  });
  process.stdout.write(`${[`${layout.server}, in ${layout.folder}`, ...lines].join("\n")}\n`);
  process.stdout.write(`export KUBECONFIG=${kubeconfig}\n`);
  return lines.some((line) => line.endsWith("does not run")) ? 1 : 0;
}

async function main(): Promise<number> {
  const [verb = "", name = "dev"] = parseArgs({ allowPositionals: true }).positionals;
  switch (verb) {
    case "up":
      return up(name);
    case "down":
      return down(name);
    case "status":
      return status(name);
    default:
      tell(USAGE);
      return 2;
  }
}

if (import.meta.main) process.exitCode = await main();
