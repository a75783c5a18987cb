/**
 * A program on a terminal, as somebody sits before it: what it writes is read, keys are typed, the window is resized.
 *
 * @module
 */
import { join } from "node:path";
import type { Client } from "./client.ts";
import type { Running } from "./program.ts";

export interface Terminal extends Omit<Running, "stdin"> {
  type(text: string): void;
  resize(rows: number, columns: number): void;
}

/** Runs `ssh` on a terminal of 24 rows and 80 columns. */
export function sshOnTerminal(client: Client, args: readonly string[]): Terminal {
  const program = join(import.meta.dirname, "terminal.py");
  const running = client.start(["/usr/bin/python3", program, "ssh", "-F", client.configFile, ...args]);
  const tell = (order: Readonly<Record<string, unknown>>): void =>
    void running.stdin.write(`${JSON.stringify(order)}\n`);
  return {
    ...running,
    type: (text) => tell({ send: text }),
    resize: (rows, columns) => tell({ rows, columns }),
  };
}
