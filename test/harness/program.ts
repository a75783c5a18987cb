/**
 * Runs real programs for tests and benchmarks, and keeps what they said.
 *
 * A program that takes too long is killed and told about with its output, so that nothing hangs without a word.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export interface RunOptions {
  /** Standard input; nothing, and its end at once, without it. */
  readonly input?: string | Buffer;
  /** Over `plainEnv`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** @default 25_000 for `run`, none for `start` */
  readonly timeoutMs?: number;
}

/** How a program ended and what it said. */
export interface Ended {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Standard output as it came. */
  readonly bytes: Buffer;
  readonly stdout: string;
  readonly stderr: string;
  /** From its start to its end. */
  readonly ms: number;
}

/** A program under way. */
export interface Running {
  readonly pid: number;
  readonly stdin: Writable;
  /** Everything it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Waits until standard output matches. Rejects when the program ends or time is up first. */
  untilOutput(pattern: RegExp, waitMs?: number): Promise<RegExpExecArray>;
  /** The same of standard error. */
  untilError(pattern: RegExp, waitMs?: number): Promise<RegExpExecArray>;
  kill(signal?: NodeJS.Signals): void;
  /** Rejects only when the program could not be started or took too long. */
  readonly ended: Promise<Ended>;
}

const TIMEOUT_MS = 25_000;

/** What programs of tests see of the surroundings: nothing of a person's own agents, keys and settings. */
export function plainEnv(home: string): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: home,
    LANG: "C.UTF-8",
    TERM: "xterm-256color",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
  };
}

/** Runs a program to its end. */
export async function run(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const running = start(words, { timeoutMs: TIMEOUT_MS, ...options });
  running.stdin.end(options.input);
  return running.ended;
}

/** Runs a program that has to succeed, and returns its standard output. @throws {Error} with what it said */
export async function mustRun(words: readonly string[], options: RunOptions = {}): Promise<string> {
  const ended = await run(words, options);
  if (ended.exitCode === 0) return ended.stdout;
  throw new Error(`Cannot go on: ${describe(words)} ended with ${ended.exitCode ?? ended.signal}: ${tailOf(ended)}`);
}

/** Starts a program whose standard input stays open. */
export function start(words: readonly string[], options: Omit<RunOptions, "input"> = {}): Running {
  const [program = "", ...args] = words;
  const begunAt = performance.now();
  const child = spawn(program, args, {
    env: { ...plainEnv("/nonexistent"), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: "pipe",
  });
  child.stdin.on("error", () => {}); // it may end before it has read everything
  const { promise: ended, resolve, reject } = Promise.withResolvers<Ended>();
  ended.catch(() => {}); // seen by whoever waits for it
  const stdout = listen(child.stdout, ended);
  const stderr = listen(child.stderr, ended);
  const giveUp = (): void => {
    const said = tailOf({ stdout: stdout.text(), stderr: stderr.text() });
    reject(new Error(`Cannot wait longer than ${options.timeoutMs} ms for ${describe(words)}: ${said}`));
    child.kill("SIGKILL");
  };
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(giveUp, options.timeoutMs);
  child.once("error", (cause) => {
    clearTimeout(timer);
    reject(new Error(`Cannot start ${program}: ${cause.message}`, { cause }));
  });
  child.once("close", (exitCode, signal) => {
    clearTimeout(timer);
    const bytes = stdout.bytes();
    const ms = performance.now() - begunAt;
    resolve({ exitCode, signal, bytes, stdout: bytes.toString("utf8"), stderr: stderr.text(), ms });
  });
  return {
    pid: child.pid ?? -1,
    stdin: child.stdin,
    stdout: () => stdout.text(),
    stderr: () => stderr.text(),
    untilOutput: (pattern, waitMs = TIMEOUT_MS) => stdout.until(pattern, waitMs),
    untilError: (pattern, waitMs = TIMEOUT_MS) => stderr.until(pattern, waitMs),
    kill: (signal = "SIGTERM") => void child.kill(signal),
    ended,
  };
}

interface Listening {
  bytes(): Buffer;
  text(): string;
  until(pattern: RegExp, waitMs: number): Promise<RegExpExecArray>;
}

function listen(stream: Readable, ended: Promise<unknown>): Listening {
  const chunks: Buffer[] = [];
  const looks = new Set<() => void>();
  const bytes = (): Buffer => Buffer.concat(chunks);
  const text = (): string => bytes().toString("utf8");
  stream.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    for (const look of looks) look();
  });
  const until = async (pattern: RegExp, waitMs: number): Promise<RegExpExecArray> => {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = (): void => {
      const found = pattern.exec(text());
      if (found !== null) resolve(found);
    };
    const fail = (why: string): void => {
      look();
      reject(new Error(`Cannot find ${pattern} ${why}, there is only ${JSON.stringify(text().slice(-2_000))}`));
    };
    const timer = setTimeout(() => fail(`within ${waitMs} ms`), waitMs);
    const over = (): void => fail("before the program ended");
    ended.then(over, over);
    looks.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      looks.delete(look);
    }
  };
  return { bytes, text, until };
}

function describe(words: readonly string[]): string {
  return words.map((word) => (word.length > 200 ? `${word.slice(0, 200)}…` : word)).join(" ");
}

function tailOf({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string {
  return JSON.stringify({ stdout: stdout.slice(-1_000), stderr: stderr.slice(-3_000) });
}
