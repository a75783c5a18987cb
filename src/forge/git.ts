/**
 * Runs git: with nothing of the surroundings, no questions, no hooks, a time limit, and every child of it ended with it.
 *
 * Used by `mirrors.ts` alone.
 *
 * @module
 */
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from "node:child_process";
import { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";

/** Output that is kept: 64 MiB hold the names of half a million branches. */
const OUTPUT_BYTES = 64 * 1024 * 1024;
/** Of what git says on stderr, the end is kept. */
const COMPLAINT_LENGTH = 2_000;

/**
 * For every call. Settings by environment, since what stands in arguments is seen by every user of the machine. The
 * configuration of the machine and of the user is not read: it could name hooks, helpers, aliases and proxies.
 */
const CLEAN_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "/bin/false",
  // BatchMode: no question; the time limit is for a host that answers nothing.
  GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o ConnectTimeout=10",
  // Not http and git, which anyone on the way can answer, nor ext, which runs programs.
  GIT_ALLOW_PROTOCOL: "file:https:ssh",
  GIT_OPTIONAL_LOCKS: "0",
};

export interface GitOptions {
  readonly clock: Clock;
  /** After so long git is killed. */
  readonly timeoutMs: number;
  /** Settings for this call, as `git -c` would take them. */
  readonly config?: Readonly<Record<string, string>>;
  /** Environment variables of the service that git may need: `HOME` for the keys of ssh, `HTTPS_PROXY`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

export interface GitOutput {
  readonly stdout: string;
  /** The end of it. */
  readonly stderr: string;
}

/** What git exited with, when not 0; `undefined` when it was killed. The message holds the end of what it said. */
class GitFailure extends Error {
  override readonly name = "GitFailure";
  readonly exitCode: number | undefined;

  constructor(message: string, exitCode: number | undefined) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Runs git and returns what it wrote.
 *
 * @throws {GitFailure} when it exits with another code than 0, is killed, or takes too long
 */
export async function runGit(args: readonly string[], options: GitOptions, signal: AbortSignal): Promise<GitOutput> {
  signal.throwIfAborted();
  const config = { "core.hooksPath": "/dev/null", ...options.config };
  const child = startWithUs(["git", ...args], {
    ...CLEAN_ENVIRONMENT,
    ...options.env,
    ...configVariables(config),
  });
  let ending: string | undefined;
  const end = (why: string): void => {
    ending ??= why;
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  };
  const late = options.clock.after(options.timeoutMs, () => end(`it took longer than ${options.timeoutMs} ms`));
  const abort = (): void => end("it was called off");
  signal.addEventListener("abort", abort, { once: true });
  try {
    child.stdin.on("error", () => undefined); // git may end before it has read all
    child.stdin.end(options.input ?? "");
    const [stdout, stderr, code] = await Promise.all([
      readOutput(child.stdout, () => end("it wrote too much")),
      readComplaint(child.stderr),
      new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve)),
    ]);
    if (code === 0 && ending === undefined) return { stdout, stderr };
    const why = ending ?? `it exited with ${code ?? "a signal"}`;
    throw new GitFailure(`Cannot git ${args[0] ?? ""}: ${why}: ${stderr.trim()}`, code ?? undefined);
  } finally {
    late();
    signal.removeEventListener("abort", abort);
  }
}

/**
 * For a shell: runs the words behind it, and kills them with all that they started as soon as descriptor 3 ends. That is
 * when this process does, however it does: a git that outlived a service would go on fetching into what the next one
 * clears away.
 */
const WITH_US = `{ read -r _; kill -KILL 0; } <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
"$@"
code=$?
kill -KILL "$watcher"
exit "$code"`;

function startWithUs(words: readonly string[], env: Record<string, string>): ChildProcessWithoutNullStreams {
  const child = spawn("/bin/sh", ["-c", WITH_US, "sh", ...words], {
    env,
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    detached: true, // a process group of its own, so that what git started ends with it
  });
  const lifeline = child.stdio[3];
  if (!(lifeline instanceof Socket) || !hasStreams(child)) throw new Error("Cannot start git: it has no streams");
  lifeline.on("error", () => undefined).resume(); // only its end counts, which the close of the child waits for
  return child;
}

function hasStreams(child: ChildProcess): child is ChildProcessWithoutNullStreams {
  return child.stdin !== null && child.stdout !== null && child.stderr !== null;
}

/** GIT_CONFIG_COUNT and its pairs: git-config(1), "ENVIRONMENT". */
function configVariables(config: Readonly<Record<string, string>>): Record<string, string> {
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(Object.keys(config).length) };
  for (const [index, [key, value]] of Object.entries(config).entries()) {
    variables[`GIT_CONFIG_KEY_${index}`] = key;
    variables[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return variables;
}

async function readOutput(stream: AsyncIterable<unknown>, onTooMuch: () => void): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > OUTPUT_BYTES) onTooMuch();
    else chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function readComplaint(stream: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text = `${text}${String(chunk)}`.slice(-COMPLAINT_LENGTH);
  return text;
}
