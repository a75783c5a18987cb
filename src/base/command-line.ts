/**
 * Command lines described as data: what a command takes, how it is called, and the reading of its words. The tables are
 * in `cli/commands.ts` (`slip`) and `gateway/lobby/commands.ts` (`ssh slip@host`).
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Fault } from "./fault.ts";

export interface OptionSpec {
  readonly type: "boolean" | "string";
  readonly summary: string;
  /** What stands for the value in help. */
  readonly value?: string;
}

/** What a command takes. */
export interface CommandShape {
  /** As it is typed, all words of it. */
  readonly name: string;
  /** Names of its arguments; those in brackets may be left out. */
  readonly args: readonly string[];
  readonly summary: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
}

/** What a command was called with. */
export interface Invocation {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

export const JSON_OPTION: OptionSpec = { type: "boolean", summary: "print JSON" };

/** Makes the fault of a command line that is off; `told` says what to type instead. */
export function wrongUsage(told: string): Fault {
  return new Fault("usage.wrong", `Cannot run the command: ${told}`, { told });
}

/** Words an option as it is typed. */
export function optionUsage(name: string, { value }: OptionSpec): string {
  return value === undefined ? `--${name}` : `--${name} <${value}>`;
}

/** Words how a command is called. */
export function usageOf(shape: CommandShape): string {
  const args = shape.args.map((arg) => (arg.startsWith("[") ? arg : `<${arg}>`));
  const options = Object.entries(shape.options).map(([name, option]) => `[${optionUsage(name, option)}]`);
  return [shape.name, ...args, ...options].join(" ");
}

/** Reads the words behind a command's name. @throws {Fault} `usage.wrong` with how it is called */
export function readWords(shape: CommandShape, words: readonly string[]): Invocation {
  const options = Object.fromEntries(Object.entries(shape.options).map(([name, { type }]) => [name, { type }]));
  const parsed = parse(words, options, shape);
  const required = shape.args.filter((arg) => !arg.startsWith("[")).length;
  const count = parsed.positionals.length;
  if (count < required || count > shape.args.length) throw wrongUsage(`usage: ${usageOf(shape)}`);
  return { args: parsed.positionals, options: { ...parsed.values } };
}

function parse(words: readonly string[], options: Record<string, { type: "boolean" | "string" }>, shape: CommandShape) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    const what = error instanceof Error ? (error.message.split(".")[0] ?? "") : "";
    throw wrongUsage(`${what}; usage: ${usageOf(shape)}`);
  }
}
