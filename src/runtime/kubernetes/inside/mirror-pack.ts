/**
 * Reads from a bare mirror on this machine what a checkout elsewhere lacks.
 *
 * Called by `checkout.ts`. Arguments are a list, never a line for a shell, and git runs in the clean environment that all
 * programs of ours have.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

import { Fault } from "../../../base/fault.ts";
import { collect, MACHINE_ENV, mustRun } from "../../program.ts";
import type { MirrorRefs } from "../../repository-files.ts";
import type { Exec } from "../api/cluster-api.ts";
import { pour } from "./feed.ts";

/** So many of what is there already are told to git; more do not make the pack smaller (guess). */
const HAVE_MAX = 2_000;

/** Commands for `git update-ref --stdin`, and what has to be packed for them. */
export interface Missing {
  readonly commands: string;
  readonly wants: readonly string[];
  readonly haves: readonly string[];
}

/**
 * Compares what a checkout has of the forge with what the mirror has. Pure.
 *
 * @param had full name of a reference below `refs/remotes/origin/` or `refs/tags/` → object
 */
export function findMissing(had: ReadonlyMap<string, string>, { heads, tags }: MirrorRefs): Missing {
  const wanted = new Map([
    ...[...heads].map(([name, object]): [string, string] => [`refs/remotes/origin/${name}`, object]),
    ...[...tags].map(([name, object]): [string, string] => [`refs/tags/${name}`, object]),
  ]);
  const isOurs = (name: string) => name.startsWith("refs/remotes/origin/") && name !== "refs/remotes/origin/HEAD";
  const gone = [...had.keys()].filter((name) => isOurs(name) && !wanted.has(name));
  const changed = [...wanted].filter(([name, object]) => had.get(name) !== object);
  const objects = new Set(had.values());
  // Two transactions: a branch "a" has to be gone before there can be one "a/b".
  const inOne = (lines: readonly string[]) => (lines.length === 0 ? "" : ["start", ...lines, "commit", ""].join("\n"));
  return {
    commands:
      inOne(gone.map((name) => `delete ${name}`)) + inOne(changed.map(([name, object]) => `update ${name} ${object}`)),
    wants: [...new Set(changed.map(([, object]) => object))].filter((object) => !objects.has(object)),
    haves: [...objects],
  };
}

/** Those of the objects that the mirror has: it may have dropped what nobody refers to any more. */
export async function onlyKnown(
  mirrorPath: string,
  objects: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const words = ["git", "--git-dir", mirrorPath, "cat-file", "--batch-check=%(objectname)", "--buffer"];
  const input = objects.slice(0, HAVE_MAX).join("\n");
  const said = await mustRun(words, { input: `${input}\n`, maxBytes: 1_024 * 1_024 }, signal);
  return said.split("\n").filter((line) => /^[0-9a-f]{40,64}$/.test(line));
}

/**
 * Packs `wants` without what `haves` brings along and pours it into the program, as fast as that takes it.
 *
 * @throws {Fault} `runtime.failed` when git cannot; {Fault} `cluster.*` when the connection broke
 */
export async function pourPack(
  { mirrorPath, wants, haves }: { mirrorPath: string; wants: readonly string[]; haves: readonly string[] },
  program: Exec,
  signal: AbortSignal,
): Promise<void> {
  const words = ["--git-dir", mirrorPath, "pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "-q"];
  const child = spawn("git", words, { cwd: "/", env: MACHINE_ENV, stdio: ["pipe", "pipe", "pipe"], signal });
  const said = collect(child.stderr, 16 * 1_024);
  const closed: Promise<unknown[]> = once(child, "close");
  closed.catch(() => {}); // looked at below
  child.stdin.on("error", () => {}); // it ended without reading; its exit code says more
  child.stdin.end([...wants, "--not", ...haves, ""].join("\n"));
  try {
    await pour(child.stdout, program);
    await closed;
    if (child.exitCode === 0) return;
    const how = child.exitCode ?? child.signalCode ?? "nothing";
    throw new Fault("runtime.failed", `Cannot pack what a checkout lacks: git ended with ${how}, ${said()}`);
  } finally {
    child.kill();
  }
}
