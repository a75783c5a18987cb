/**
 * Tells a full disk from every other reason why an environment could not be made or entered: it is the one that anybody on
 * the machine can do something about.
 *
 * @module
 */
import { statfs } from "node:fs/promises";

import { Fault } from "../../base/fault.ts";
import type { Runtime } from "../runtime.ts";
import { isCode } from "./stored.ts";

/** With less than this a disk is full (guess): what failed has removed some of what it wrote, git its index first of all. */
const FULL_BYTES = 2 ** 20;

/** Makes a runtime that throws `machine.full` when what writes below `folder` failed for want of room. */
export function tellFullDisk(runtime: Runtime, folder: string): Runtime {
  return {
    ...runtime,
    create: (...given) => unlessFull(folder, () => runtime.create(...given)),
    start: (...given) => unlessFull(folder, () => runtime.start(...given)),
    run: (...given) => unlessFull(folder, () => runtime.run(...given)),
    connect: (...given) => unlessFull(folder, () => runtime.connect(...given)),
  };
}

async function unlessFull<Result>(folder: string, act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (!(await isForWantOfRoom(error, folder))) throw error;
    throw new Fault("machine.full", `Cannot write below ${folder}: the disk is full`, {
      told: "the disk of this machine is full",
      cause: error,
    });
  }
}

async function isForWantOfRoom(error: unknown, folder: string): Promise<boolean> {
  if (isCode(error, "ENOSPC") || isCode(error, "EDQUOT")) return true;
  // Programs say it in words of their own, and often not at all.
  if (!(error instanceof Fault && error.code === "runtime.failed")) return false;
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return bavail * bsize < FULL_BYTES || (files > 0 && ffree === 0);
}
