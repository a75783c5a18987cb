/**
 * Words `docs/cli.md` from the tables of commands: those of `slip` and those of the lobby.
 *
 * @module
 */
import { optionUsage, usageOf, type CommandShape } from "../src/base/command-line.ts";
import type { CommandSpec } from "../src/cli/commands.ts";

const HEAD = `# Commands

Written by \`tools/make-docs.ts\` from \`src/cli/commands.ts\` and \`src/gateway/lobby/commands.ts\`: change it there.
Standard output is the product, standard error everything else; exit codes are in [faults.md](faults.md).

`;

function section(prefix: string, shape: CommandShape): string {
  const rows = Object.entries(shape.options).map(
    ([name, option]) => `- \`${optionUsage(name, option)}\`: ${option.summary}\n`,
  );
  return `### \`${prefix}${usageOf(shape)}\`\n\n${shape.summary}\n${rows.length === 0 ? "" : `\n${rows.join("")}`}`;
}

/** Words the page. */
export function cliPage(commands: readonly CommandSpec[], lobby: readonly CommandShape[]): string {
  const own = commands.map((spec) => {
    const examples = spec.examples.map((example) => `$ ${example}\n`).join("");
    return `${section("", spec)}\n\`\`\`console\n${examples}\`\`\`\n`;
  });
  const lobbied = lobby.map((shape) => section("ssh slip@host ", shape));
  return `${HEAD}## slip\n\n${own.join("\n")}\n## The lobby\n\n${lobbied.join("\n")}`;
}
