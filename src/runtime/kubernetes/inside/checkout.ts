/**
 * Makes the checkout of a branch inside from the bare mirror on this machine, over the API server: the service's
 * credentials stay outside, and the pod needs no way to the forge. What is in it then is as after a clone.
 *
 * Called by the Kubernetes runtime. What runs inside is in `checkout-text.ts`.
 *
 * @module
 */
import { Fault } from "../../../base/fault.ts";
import { findBegin, makeConfig, makePackedRefs, type MirrorRefs, readMirrorRefs } from "../../repository-files.ts";
import type { Source } from "../../runtime.ts";
import type { Exec } from "../api/cluster-api.ts";
import { type Around, makeCheckOutText, makeSwitchText } from "./checkout-text.ts";
import { type Answers, faultOfEnd } from "./conversation.ts";
import { feedBy } from "./feed.ts";
import type { StartProgram } from "./line.ts";
import { findMissing, onlyKnown, pourPack } from "./mirror-pack.ts";

export interface Checkout {
  readonly source: Source;
  /** Lines of shell to be run before and after, in the same exec; either failing fails the whole. */
  readonly around?: Around;
}

/**
 * Checks the branch out at `/workspace/<repository>` with its whole history: the remote's branches, tags and default branch
 * as in a clone, and the branch tracking its own. Does nothing where there is a checkout already; leaves nothing half made
 * visible.
 *
 * @throws {Fault} `repository.unreached` when the mirror has not the branch, `runtime.failed`, `cluster.*`
 */
export async function checkOut(exec: StartProgram, { source, around }: Checkout, signal: AbortSignal): Promise<void> {
  const refs = readMirrorRefs(source.mirrorPath, signal);
  const talk = async (program: Exec, answers: Answers) => {
    const { heads, tags, ...rest } = await refs;
    const answer = await answers.line();
    if (answer === "have") return;
    if (answer !== "need") throw await faultOfEnd(`check out ${source.repository}`, program);
    const body = makePackedRefs({ heads, tags, ...rest });
    await send(program, { source, body, wants: [...heads.values(), ...tags.values()], haves: [] }, signal);
    await untilDone(program, answers, source);
  };
  await feedBy(exec, refs.then(makeText), talk, signal);

  function makeText(known: MirrorRefs): string {
    const { heads, defaultBranch } = known;
    const begin = findBegin(source, known);
    const remoteHead = defaultBranch !== undefined && heads.has(defaultBranch) ? defaultBranch : undefined;
    const files = { config: makeConfig(source, begin), begin, defaultBranch: remoteHead };
    return makeCheckOutText(source, files, around);
  }
}

/**
 * Makes the checkout inside, in which nobody has worked yet, one of another branch, or brings it up to date. Only what is
 * missing is sent.
 *
 * @throws {Fault} as `checkOut` does
 */
export async function switchBranch(
  exec: StartProgram,
  { source, around }: Checkout,
  signal: AbortSignal,
): Promise<void> {
  const refs = readMirrorRefs(source.mirrorPath, signal);
  const talk = async (program: Exec, answers: Answers) => {
    const had = new Map<string, string>();
    for (let line = await answers.line(); line !== "refs"; line = await answers.line()) {
      const [, object, name] = /^([0-9a-f]{40,64}) (refs\/.+)$/.exec(line ?? "") ?? [];
      if (object === undefined || name === undefined) throw await faultOfEnd(`switch ${source.repository}`, program);
      had.set(name, object);
    }
    const { commands, wants, haves } = findMissing(had, await refs);
    const known = wants.length === 0 ? [] : await onlyKnown(source.mirrorPath, haves, signal);
    await send(program, { source, body: commands, wants, haves: known }, signal);
    await untilDone(program, answers, source);
  };
  const text = refs.then((known) => makeSwitchText(source, findBegin(source, known), around));
  await feedBy(exec, text, talk, signal);
}

interface Sent {
  readonly source: Source;
  readonly body: string;
  readonly wants: readonly string[];
  readonly haves: readonly string[];
}

async function send(program: Exec, { source, body, wants, haves }: Sent, signal: AbortSignal): Promise<void> {
  const bytes = Buffer.from(body);
  program.stream.write(`${bytes.length} ${wants.length === 0 ? "none" : "pack"}\n`);
  if (bytes.length > 0) program.stream.write(bytes);
  if (wants.length > 0) await pourPack({ mirrorPath: source.mirrorPath, wants, haves }, program, signal);
}

async function untilDone(program: Exec, answers: Answers, { repository }: Source): Promise<void> {
  if ((await answers.line()) === "done") return;
  const fault = await faultOfEnd(`check out ${repository} inside`, program);
  throw new Fault(fault.code, fault.message, { cause: fault, told: "the files could not be checked out" });
}
