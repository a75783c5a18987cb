/**
 * Splits the command line that a client sends as one string into words, as a shell would where it matters: blanks,
 * quotes and backslashes. Nothing is expanded.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";

const COMMAND_MAX = 4_096;

/** Splits a command line. @throws {Fault} `usage.wrong` when a quote is not closed */
export function splitWords(line: string): string[] {
  if (line.length > COMMAND_MAX) throw wrong(`it is longer than ${COMMAND_MAX} characters`);
  const words: string[] = [];
  // A word is a run of: plain characters, an escaped one, 'single' or "double" quoted parts.
  const part = /\s+|\\([\s\S])|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|([^\s\\'"]+)|([\s\S])/g;
  let word: string | undefined;
  for (const [all, escaped, single, double, plain, stray] of line.matchAll(part)) {
    if (stray !== undefined) throw wrong(`the ${stray} is not closed`);
    const text = escaped ?? single ?? double?.replace(/\\([\s\S])/g, "$1") ?? plain;
    if (text !== undefined) word = (word ?? "") + text;
    else if (/^\s/.test(all) && word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function wrong(what: string): Fault {
  return new Fault("usage.wrong", `Cannot read the command: ${what}`, { told: `the command cannot be read: ${what}` });
}
