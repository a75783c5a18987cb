/**
 * The results as Markdown.
 *
 * @module
 */
import type { Outcome } from "./row.ts";

/** Writes a table. @param baseline head of the column of what is compared with */
export function writeTable(outcomes: readonly Outcome[], baseline = "sshd"): string {
  const head = ["what", baseline, "Slipway", "ratio", "reach", "met", "note"];
  const lines = [head, head.map(() => "---"), ...outcomes.map(cellsOf)];
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function cellsOf(outcome: Outcome): string[] {
  const { what, baseline = "", ours = "", ratio = "", reach = "", isMet, note = "" } = outcome;
  const met = isMet === undefined ? "" : isMet ? "yes" : "**no**";
  return [what, baseline, ours, ratio, reach, met, note].map((cell) =>
    cell.replaceAll("|", "\\|").replaceAll("\n", " "),
  );
}

/** What was measured: `machine` and `cluster` say on what, one line each. */
export interface Results {
  readonly machine: readonly string[];
  /** Beside OpenSSH. */
  readonly outcomes: readonly Outcome[];
  readonly cluster: readonly string[];
  /** Beside kubectl. */
  readonly clusterOutcomes: readonly Outcome[];
}

/** Writes both tables, each below what it was measured on. */
export function writeTables({ machine, outcomes, cluster, clusterOutcomes }: Results): string {
  const beside = outcomes.length === 0 ? "" : `\n${writeTable(outcomes)}`;
  if (clusterOutcomes.length === 0) return `${writeLines(machine)}${beside}`;
  return `${writeLines(machine)}${beside}
## On a cluster

The same service with environments on Kubernetes, beside \`kubectl\` or the raw exec stream through the API server, as the
line says, in the same run. Client, gateway, API server, etcd, kubelet, containerd and what runs in the pods share the
processors above.

${writeLines(cluster)}
${writeTable(clusterOutcomes, "baseline")}`;
}

function writeLines(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}\n`).join("");
}

/** Writes the whole file of results. */
export function writeResults(results: Results): string {
  return `# Results of \`npm run bench\`

Slipway beside a plain OpenSSH \`sshd\` on the same machine in the same run, in turns. Both are reached over the loopback by
Debian's \`ssh\`; every figure holds client, server and what runs behind it on the same processors. Written by
\`npm run bench -- --write\`.

${writeTables(results)}`;
}
