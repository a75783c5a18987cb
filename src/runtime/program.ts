/**
 * Starts programs of this machine that end by themselves, and collects what they say.
 *
 * Arguments are a list, never a line for a shell, and the environment is always this clean one: what the service was
 * started with is nobody else's business.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";

import { Fault } from "../base/fault.ts";

/** Variables of every program we start on the machine's side. */
export const MACHINE_ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
};

export interface ProgramOptions {
  readonly input?: string;
  /** More than this of its output is thrown away. @default 1 MiB */
  readonly maxBytes?: number;
  readonly cwd?: string;
}

export interface ProgramEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end; killed when `signal` aborts.
 *
 * @returns exit code 128 when a signal ended it, 127 when it cannot be started
 */
export async function runProgram(
  argv: readonly string[],
  options: ProgramOptions = {},
  signal?: AbortSignal,
): Promise<ProgramEnd> {
  const { input = "", maxBytes = 1024 * 1024, cwd = "/" } = options;
  const child = spawn(argv[0] ?? "", argv.slice(1), { cwd, env: MACHINE_ENV, stdio: ["pipe", "pipe", "pipe"], signal });
  child.stdin.on("error", () => {}); // EPIPE: it ended without reading; its exit code says more
  child.stdin.end(input);
  const stdout = collect(child.stdout, maxBytes);
  const stderr = collect(child.stderr, maxBytes);
  return new Promise((resolve, reject) => {
    child.on("error", (error) => {
      if (signal?.aborted === true) reject(error);
      else resolve({ exitCode: 127, stdout: "", stderr: error.message });
    });
    // No error comes of an abort when the program has just ended by itself.
    child.on("close", (code) => {
      if (signal?.aborted === true) reject(asError(signal.reason));
      else resolve({ exitCode: code ?? 128, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** What an operation that was given up rejects with. */
export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("Cannot go on: it was given up", { cause: reason });
}

/** Runs a program that has to succeed. */
export async function mustRun(
  argv: readonly string[],
  options: ProgramOptions = {},
  signal?: AbortSignal,
): Promise<string> {
  const { exitCode, stdout, stderr } = await runProgram(argv, options, signal);
  if (exitCode === 0) return stdout;
  throw new Fault(
    "runtime.failed",
    `Cannot run ${argv.slice(0, 3).join(" ")}: exit code ${exitCode}, ${stderr.trim()}`,
  );
}

/** Keeps the first `maxBytes` of a stream and reads the rest to its end; call the result for the text so far. */
export function collect(stream: Readable, maxBytes: number): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    if (size < maxBytes) chunks.push(chunk.subarray(0, maxBytes - size));
    size += chunk.length;
  });
  return () => Buffer.concat(chunks).toString("utf8");
}
