/**
 * Reads a file or a folder of a checkout as root without being led out of it by a person who changes the tree meanwhile.
 *
 * Each step opens one name in a folder already open, through `/proc/self/fd` and without following links: what openat2(2)
 * does with RESOLVE_IN_ROOT. Links are followed by hand, and only to places within.
 *
 * @module
 */
import { constants } from "node:fs";
import { open, readdir, readlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

import { Fault } from "../../base/fault.ts";
import { isCode } from "./stored.ts";

/** A definition is a few kilobytes; guess. */
const LONGEST_BYTES = 1024 * 1024;

/** As the kernel's own limit: path_resolution(7). */
const MOST_LINKS = 40;

/**
 * Reads the text of `path` in `folder`; `undefined` when there is no such file within.
 *
 * @throws {Fault} `environment.failed` when it is no plain file of at most 1 MiB
 */
export async function readSourceFile(folder: string, path: string): Promise<string | undefined> {
  return within(folder, path, (file) => readPlain(file, path));
}

/** Lists the names in the folder `path` of `folder`, in any order; none when there is no such folder within. */
export async function listSourceFolder(folder: string, path: string): Promise<readonly string[]> {
  return (await within(folder, path, readNames)) ?? [];
}

/** Opens `path` and has it read; `undefined` when it is not there. */
async function within<T>(folder: string, path: string, read: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  const opened: FileHandle[] = [];
  try {
    const file = await openWithin(folder, path.split("/"), opened);
    return file === undefined ? undefined : await read(file);
  } finally {
    for (const handle of opened) await handle.close();
  }
}

/** Walks the names; `opened` gets every handle, for the caller to close. */
async function openWithin(folder: string, names: string[], opened: FileHandle[]): Promise<FileHandle | undefined> {
  const keep = (handle: FileHandle) => {
    opened.push(handle);
    return handle;
  };
  const top = await openTop(folder);
  if (top === undefined) return undefined;
  opened.push(top);
  const path = [top];
  const todo = [...names];
  for (let links = 0; ;) {
    const name = todo.shift();
    const here = path.at(-1) ?? top;
    if (name === undefined) return here;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (path.length === 1) return undefined;
      path.pop();
      continue;
    }
    const step = await openStep(here, name);
    if (step === undefined) return undefined;
    if (typeof step !== "string") path.push(keep(step));
    else if (++links > MOST_LINKS || step.startsWith("/")) return undefined;
    else todo.unshift(...step.split("/"));
  }
}

/** The folder itself lies in one that the person owns, so it too may have become something else. */
async function openTop(folder: string): Promise<FileHandle | undefined> {
  try {
    return await open(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].some((code) => isCode(error, code))) return undefined;
    throw error;
  }
}

/** Opens one name, or says where the link of that name leads. */
async function openStep(folder: FileHandle, name: string): Promise<FileHandle | string | undefined> {
  const path = `/proc/self/fd/${folder.fd}/${name}`;
  try {
    // O_NONBLOCK: a pipe put there would hold us for ever.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "ENXIO"].some((code) => isCode(error, code))) return undefined;
    if (!isCode(error, "ELOOP")) throw error;
  }
  return readlink(path).catch(() => undefined);
}

async function readNames(folder: FileHandle): Promise<string[]> {
  if (!(await folder.stat()).isDirectory()) return [];
  return readdir(`/proc/self/fd/${folder.fd}`);
}

async function readPlain(file: FileHandle, path: string): Promise<string> {
  const stat = await file.stat();
  if (!stat.isFile() || stat.size > LONGEST_BYTES) {
    const told = `${path} is no plain file of at most 1 MiB`;
    throw new Fault("environment.failed", `Cannot read ${path}: ${told}`, { told });
  }
  const buffer = Buffer.alloc(LONGEST_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0); // it may have grown since
  return buffer.toString("utf8", 0, bytesRead);
}
