/**
 * What the processes have in common: how they stop, and how they say what went wrong.
 *
 * @module
 */
import { Fault, faults } from "../base/fault.ts";

/** Resolves with the name of the first signal that asks us to stop. More of them change nothing, and do not end us midway. */
export async function untilStopped(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.on(name, () => {
        resolve(name);
      });
    }
  });
}

/** Writes a failure to standard error. @returns the exit code for it */
export function reportFault(error: unknown): number {
  if (error instanceof Fault) {
    // Whoever runs the process is the operator: they may read what the log says, and why.
    process.stderr.write(
      `slip: ${faults[error.code].blame === "caller" ? error.told : [error.message, ...causesOf(error)].join("\n  because: ")}\n`,
    );
    return faults[error.code].exit;
  }
  process.stderr.write(`slip: this is a bug of ours\n${error instanceof Error ? error.stack : String(error)}\n`);
  return 70; // EX_SOFTWARE in sysexits.h
}

function causesOf(error: Error): string[] {
  return error.cause instanceof Error ? [error.cause.message, ...causesOf(error.cause)] : [];
}

/** What git needs of our own environment to reach origins: keys of ssh, proxies. Nothing of it enters environments. */
export function gitEnvOf(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = [
    "HOME",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
  ];
  return Object.fromEntries(
    names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
}
