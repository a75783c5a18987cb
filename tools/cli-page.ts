/**
 * Words `docs/cli.md` from the tables of commands: those of `slip` and those of the lobby.
 *
 * @module
 */
import { usageOf, type CommandSpec } from "../src/cli/commands.ts";
import { lobbyUsageOf, type LobbyCommand } from "../src/gateway/lobby/commands.ts";

const HEAD = `# Commands

Written by \`tools/make-docs.ts\` from \`src/cli/commands.ts\` and \`src/gateway/lobby/commands.ts\`: change it there.
Standard output is the product, standard error everything else; exit codes are in [faults.md](faults.md).

`;

type Options = Readonly<Record<string, { readonly value?: string; readonly summary: string }>>;

function section(usage: string, summary: string, options: Options): string {
  const rows = Object.entries(options).map(
    ([key, option]) => `- \`--${key}${option.value === undefined ? "" : ` <${option.value}>`}\`: ${option.summary}\n`,
  );
  return `### \`${usage}\`\n\n${summary}\n${rows.length === 0 ? "" : `\n${rows.join("")}`}`;
}

/** Words the page. */
export function cliPage(commands: readonly CommandSpec[], lobby: readonly LobbyCommand[]): string {
  const own = commands.map((spec) => {
    const examples = spec.examples.map((example) => `$ ${example}\n`).join("");
    return `${section(usageOf(spec), spec.summary, spec.options)}\n\`\`\`console\n${examples}\`\`\`\n`;
  });
  const lobbied = lobby.map((command) =>
    section(`ssh slip@host ${lobbyUsageOf(command)}`, command.summary, command.options),
  );
  return `${HEAD}## slip\n\n${own.join("\n")}\n## The lobby\n\n${lobbied.join("\n")}`;
}
