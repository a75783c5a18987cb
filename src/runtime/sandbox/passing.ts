/**
 * Runs one command inside an environment: in its namespaces when it runs, in passing ones over the same files when not.
 *
 * Nothing of a person's repository ever runs outside: not even `git status`, which may start whatever `.git/config` says.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";

import type { EnvironmentSpec } from "../runtime.ts";
import { joinFiles, makeGroups, removeGroups } from "./control-groups.ts";
import type { Host } from "./host.ts";
import { launch, scriptPath, takeSocket } from "./launch.ts";
import { INSIDE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { prepareMounts } from "./prepare.ts";
import { dropWords, enterWords } from "./privileges.ts";
import { sendSignal } from "./processes.ts";
import { asError, collect, MACHINE_ENV } from "../program.ts";
import type { ProgramEnd } from "../program.ts";
import { writePrivate } from "./skeleton.ts";
import { removeState } from "./stored.ts";

export interface Passing {
  readonly place: Place;
  readonly spec: EnvironmentSpec;
  /** Text of a shell file (`command-file.ts`). */
  readonly commandText: string;
  /** Where its output goes: a descriptor, or kept up to so many bytes of each stream. */
  readonly output: number | { readonly maxBytes: number };
  /** Whether it may start programs of a person, which then need the limits of the environment. */
  readonly limited: boolean;
  /** What has to be there before the command starts; the namespaces are made meanwhile. @default nothing */
  readonly prepared?: Promise<void>;
}

/** Runs it in the namespaces that process `holder` keeps. */
export async function runInRunning(
  host: Host,
  passing: Passing,
  holder: number,
  signal: AbortSignal,
): Promise<ProgramEnd> {
  const { place, spec } = passing;
  return withCommandFile(host, passing, async (file) => {
    signal.throwIfAborted();
    const { identity } = host.machine;
    const inside = [
      ...enterWords(identity, holder),
      ...dropWords(identity, spec.uid),
      "setsid",
      "sh",
      `${INSIDE}/runner.sh`,
      file,
    ];
    const words = [scriptPath("enter.sh"), "keep", ...joinFiles(host.groups, place.id), "--", ...inside];
    const { output } = passing;
    const stdout = typeof output === "number" ? output : "pipe";
    const child = spawn("/bin/bash", words, {
      cwd: "/",
      env: MACHINE_ENV,
      detached: true,
      stdio: ["ignore", stdout, stdout, "pipe"],
    });
    const control = takeSocket(child);
    control.on("end", () => control.destroy()).resume();
    return untilEnd(child, { output, stop: () => control.destroy() }, signal);
  });
}

/** Runs it in namespaces made for it alone, without a network, over `workspace` as `/workspace`. */
export async function runInPassing(
  host: Host,
  passing: Passing,
  workspace: string,
  signal: AbortSignal,
): Promise<ProgramEnd> {
  const { place, spec } = passing;
  return withCommandFile(host, passing, async (file) => {
    prepareMounts(host, place, spec, { user: "slipway", workspace, limited: passing.limited });
    if (passing.limited) makeGroups(host.groups, place.id, spec.limits);
    try {
      const launched = await launch(
        {
          place,
          identity: host.machine.identity,
          hostname: spec.hostname,
          groups: passing.limited ? joinFiles(host.groups, place.id) : [],
          batchFile: "",
          bootId: host.bootId,
          makeNetwork: async () => passing.prepared,
          command: [...dropWords(host.machine.identity, spec.uid), "sh", `${INSIDE}/runner.sh`, file],
          output: typeof passing.output === "number" ? passing.output : "pipe",
        },
        signal,
      );
      const stop = () => void sendSignal(launched.holder.pid, "SIGKILL");
      const end = await untilEnd(launched.child, { output: passing.output, stop }, signal);
      return { ...end, stderr: `${launched.unread()}${end.stderr}` };
    } finally {
      removeState(place);
      await removeGroups(host.groups, place.id, host.clock);
    }
  });
}

/** Waits for the end of a command, and of what it says unless that goes to a file. */
async function untilEnd(
  child: ChildProcess,
  { output, stop }: { output: Passing["output"]; stop: () => void },
  signal: AbortSignal,
): Promise<ProgramEnd> {
  const pipes = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const [stdout, stderr] = pipes.map((stream) => collect(stream, typeof output === "number" ? 0 : output.maxBytes));
  const aborted = new Promise<never>((_, reject) => {
    const giveUp = () => {
      stop();
      for (const pipe of pipes) pipe.destroy(); // something in the background may hold the other end for ever
      reject(asError(signal.reason));
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    child.once("exit", () => signal.removeEventListener("abort", giveUp));
  });
  aborted.catch(() => {}); // seen by the race, or of no interest any more
  const ended = new Promise<number>((resolve) => {
    child.once(typeof output === "number" ? "exit" : "close", (code: number | null) => resolve(code ?? 128));
    child.once("error", () => resolve(127));
  });
  const exitCode = await Promise.race([ended, aborted]);
  return { exitCode, stdout: stdout?.() ?? "", stderr: stderr?.() ?? "" };
}

/** Writes the command's file for as long as it runs; it may hold secrets. */
async function withCommandFile<Result>(
  { machine }: Host,
  { place, spec, commandText }: Passing,
  use: (file: string) => Promise<Result>,
): Promise<Result> {
  const name = join("commands", randomBytes(8).toString("hex"));
  const path = join(place.inside, name);
  writePrivate(path, commandText, { uid: spec.uid, machine });
  try {
    return await use(join(INSIDE, name));
  } finally {
    rmSync(path, { force: true });
  }
}
