/**
 * The results as Markdown.
 *
 * @module
 */
import type { Outcome } from "./row.ts";

const HEAD = ["what", "sshd", "Slipway", "ratio", "reach", "met", "note"];

/** Writes the table. */
export function writeTable(outcomes: readonly Outcome[]): string {
  const lines = [HEAD, HEAD.map(() => "---"), ...outcomes.map(cellsOf)];
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function cellsOf(outcome: Outcome): string[] {
  const { what, baseline = "", ours = "", ratio = "", reach = "", isMet, note = "" } = outcome;
  const met = isMet === undefined ? "" : isMet ? "yes" : "**no**";
  return [what, baseline, ours, ratio, reach, met, note].map((cell) =>
    cell.replaceAll("|", "\\|").replaceAll("\n", " "),
  );
}

/** Writes the whole file of results. */
export function writeResults(machine: readonly string[], table: string): string {
  return `# Results of \`npm run bench\`

Slipway beside a plain OpenSSH \`sshd\` on the same machine in the same run, in turns. Both are reached over the loopback by
Debian's \`ssh\`; every figure holds client, server and what runs behind it on the same processors. Written by
\`npm run bench -- --write\`.

${machine.map((line) => `- ${line}\n`).join("")}
${table}`;
}
