/**
 * What is on disk about a test cluster that runs, so that any process can find it, fault it and end it.
 *
 * @module
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Component } from "./components.ts";
import { folderOf, makeLayout, type Layout } from "./layout.ts";
import type { Process } from "./processes.ts";

/** A component as it was last started. */
export interface Started {
  readonly process: Process;
  /** What it was started with, from inside the namespaces. */
  readonly words: readonly string[];
  readonly log: string;
}

export interface State {
  readonly name: string;
  readonly number: number;
  /** First process of the cluster's own namespaces; absent until they are made. */
  readonly holder?: Process;
  /** Folders of the control groups that its own processes enter. */
  readonly groups: readonly string[];
  /** Folder of Kubernetes' programs. */
  readonly binaries: string;
  readonly components: Readonly<Partial<Record<Component, Started>>>;
}

/** Reads what is known of the cluster of this name; `undefined` when there is none. */
export function readState(name: string, clusters?: string): { layout: Layout; state: State } | undefined {
  const file = join(folderOf(name, clusters), "cluster.json");
  if (!existsSync(file)) return undefined;
  const state = JSON.parse(readFileSync(file, "utf8")) as State; // written below, by the same version
  return { layout: makeLayout(name, state.number, clusters), state };
}

/** Replaces what is known, whole. */
export function writeState({ stateFile }: Layout, state: State): void {
  const fresh = `${stateFile}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(fresh, stateFile);
}
