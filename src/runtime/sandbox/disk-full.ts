/**
 * Tells a full disk from every other reason why an environment could not be made or entered: it is the one that anybody on
 * the machine can do something about.
 *
 * @module
 */
import { statfs } from "node:fs/promises";

import { Fault } from "../../base/fault.ts";
import { isCode } from "./stored.ts";

/**
 * Does something that writes below a folder.
 *
 * @throws {Fault} `machine.full` when it failed for want of room, else what it throws
 */
export async function unlessFull<Result>(folder: string, act: () => Promise<Result>): Promise<Result> {
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
  const { bavail, files, ffree } = await statfs(folder);
  return bavail === 0 || (files > 0 && ffree === 0);
}
