/**
 * The machine's own OpenSSH client, run against the service as a person would: nothing of ours stands in between.
 *
 * Called by `tour.ts`.
 *
 * @module
 */
import { spawn, type ChildProcess } from "node:child_process";

export interface ClientOptions {
  /** Where to connect to. */
  readonly host: string;
  readonly port: number;
  readonly login: string;
  readonly identityFile: string;
  readonly knownHostsFile: string;
}

export interface ClientResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long one step of the tour may take, in milliseconds; the start-up commands of the sample take none. */
const STEP_MS = 60_000;

function optionsOf(options: ClientOptions): string[] {
  const { identityFile, knownHostsFile } = options;
  // No configuration of the person's own, so that the tour shows the same everywhere; the host key is checked for real.
  const set = ["IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "BatchMode=yes", "UpdateHostKeys=no"];
  return [
    "-F",
    "none",
    "-i",
    identityFile,
    ...set.flatMap((value) => ["-o", value]),
    "-o",
    `UserKnownHostsFile=${knownHostsFile}`,
  ];
}

/** Runs a command in the environment, as `ssh host command` does. */
export async function runSsh(options: ClientOptions, command: string): Promise<ClientResult> {
  return run("ssh", [...optionsOf(options), "-p", `${options.port}`, `${options.login}@${options.host}`, command], "");
}

/** Runs `sftp` with a batch of commands on its standard input. */
export async function runSftp(options: ClientOptions, batch: string): Promise<ClientResult> {
  return run(
    "sftp",
    [...optionsOf(options), "-P", `${options.port}`, "-b", "-", `${options.login}@${options.host}`],
    batch,
  );
}

/** Opens `ssh -N -L`; ends with the returned function. */
export function openForward(options: ClientOptions, localPort: number, remotePort: number): () => void {
  const forward = `127.0.0.1:${localPort}:localhost:${remotePort}`;
  const args = [...optionsOf(options), "-N", "-o", "ExitOnForwardFailure=yes", "-L", forward, "-p", `${options.port}`];
  const child = spawn("ssh", [...args, `${options.login}@${options.host}`], { stdio: "ignore" });
  child.on("error", () => {}); // whoever uses the forward finds it closed
  return () => {
    child.kill();
  };
}

async function run(program: string, args: readonly string[], input: string): Promise<ClientResult> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: STEP_MS });
  child.stdin.on("error", () => {}); // it may end before it has read everything
  child.stdin.end(input);
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
  return { exitCode, stdout, stderr };
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = "";
  for await (const chunk of stream) all += String(chunk);
  return all;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
}
