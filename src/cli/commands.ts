/**
 * The commands of `slip` as data: names, arguments, options and summaries, from which parsing, help and `docs/cli.md`
 * come. What a command does is handed in by `cmd/`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Fault } from "../base/fault.ts";
import { meantBy } from "../base/nearest.ts";

interface Option {
  readonly type: "boolean" | "string";
  readonly summary: string;
  /** What stands for the value in help. */
  readonly value?: string;
}

export interface CommandSpec {
  /** One or two words. */
  readonly name: string;
  /** Names of arguments; those in brackets may be left out. */
  readonly args: readonly string[];
  readonly summary: string;
  readonly options: Readonly<Record<string, Option>>;
  readonly examples: readonly string[];
}

const SETTINGS: Option = {
  type: "string",
  value: "file",
  summary: "the settings file; slipway.yaml in this folder unless said",
};
const JSON_OPTION: Option = { type: "boolean", summary: "print JSON" };

export const commandSpecs = [
  {
    name: "serve",
    args: [],
    summary: "run the service until it is told to stop (SIGTERM or SIGINT); SIGHUP reads the key files again",
    options: {
      settings: SETTINGS,
      "drain-ms": {
        type: "string",
        value: "ms",
        summary: "how long live sessions may go on after the signal; 10000 unless said",
      },
    },
    examples: ["slip serve", "slip serve --settings /etc/slipway/slipway.yaml --drain-ms 60000"],
  },
  {
    name: "check",
    args: [],
    summary: "check the settings file whole and print every complaint",
    options: { settings: SETTINGS },
    examples: ["slip check --settings slipway.yaml"],
  },
  {
    name: "hostkey list",
    args: [],
    summary: "list the host keys: which prove who we are, which are only announced",
    options: { json: JSON_OPTION },
    examples: ["slip hostkey list"],
  },
  {
    name: "hostkey rotate",
    args: [],
    summary: "take the next step of a rotation: announce a new key, or, on the second call, switch to it",
    options: {
      type: { type: "string", value: "ed25519|rsa", summary: "which key; ed25519 unless said" },
      json: JSON_OPTION,
    },
    examples: ["slip hostkey rotate"],
  },
  {
    name: "audit verify",
    args: [],
    summary: "check that no record of the audit log was changed, removed or inserted",
    options: {
      head: {
        type: "string",
        value: "hash",
        summary: "the log must still contain the record with this hash at its end or before",
      },
      json: JSON_OPTION,
    },
    examples: ["slip audit verify", "slip audit verify --head 3f1c…"],
  },
  { name: "help", args: ["[command]"], summary: "print help", options: {}, examples: ["slip help serve"] },
] as const satisfies readonly CommandSpec[];

export type CommandName = (typeof commandSpecs)[number]["name"];

/** What a command is called with. */
export interface Invocation {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

const all: readonly CommandSpec[] = commandSpecs;

function wrong(told: string): Fault {
  return new Fault("usage.wrong", `Cannot run slip: ${told}`, { told });
}

/** Reads the words behind `slip`. @throws {Fault} `usage.wrong` with the nearest command or the usage */
export function readInvocation(words: readonly string[]): { name: CommandName } & Invocation {
  const asked = words.length === 0 || words[0] === "--help" || words[0] === "-h" ? ["help"] : words;
  const spec = commandSpecs.find(({ name }) => startsWith(asked, name.split(" ")));
  if (spec === undefined) {
    const near = meantBy(
      asked.slice(0, 2).join(" "),
      commandSpecs.map(({ name }) => name),
    );
    throw wrong(
      `there is no command ${JSON.stringify(asked[0])}${near === undefined ? "" : `; did you mean "${near}"?`}`,
    );
  }
  const rest = asked.slice(spec.name.split(" ").length);
  if (rest.includes("--help") || rest.includes("-h")) return { name: "help", args: spec.name.split(" "), options: {} };
  return { name: spec.name, ...parse(spec, rest) };
}

function startsWith(words: readonly string[], start: readonly string[]): boolean {
  return start.every((word, at) => words[at] === word);
}

function parse(spec: CommandSpec, words: readonly string[]): Invocation {
  const options = Object.fromEntries(Object.entries(spec.options).map(([key, { type }]) => [key, { type }]));
  try {
    const parsed = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
    if (spec.name !== "help" && parsed.positionals.length > spec.args.length) throw wrong(`usage: ${usageOf(spec)}`);
    return { args: parsed.positionals, options: { ...parsed.values } };
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw wrong(`${error instanceof Error ? error.message.split(".")[0] : ""}; usage: ${usageOf(spec)}`);
  }
}

/** Words how a command is called. */
export function usageOf(spec: CommandSpec): string {
  const options = Object.entries(spec.options).map(([key, { value }]) =>
    value === undefined ? `[--${key}]` : `[--${key} <${value}>]`,
  );
  return ["slip", spec.name, ...spec.args.map((arg) => (arg.startsWith("[") ? arg : `<${arg}>`)), ...options].join(" ");
}

/** Writes the help of one command, or of all. @throws {Fault} `usage.wrong` when there is no such command */
export function helpText(words: readonly string[]): string {
  if (words.length === 0) {
    const width = Math.max(...all.map(({ name }) => name.length));
    const rows = all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
    return [
      "slip <command>: infrastructure for iteration over SSH",
      "",
      ...rows,
      "",
      'Help for one: "slip help <command>".',
    ].join("\n");
  }
  const spec = all.find(({ name }) => name === words.join(" "));
  if (spec === undefined) throw wrong(`there is no command ${JSON.stringify(words.join(" "))}`);
  const options = Object.entries(spec.options).map(
    ([key, { value, summary }]) => `  --${key}${value === undefined ? "" : ` <${value}>`}  ${summary}`,
  );
  return [
    usageOf(spec),
    "",
    `  ${spec.summary}`,
    "",
    ...options,
    "",
    ...spec.examples.map((example) => `  $ ${example}`),
  ].join("\n");
}
