/**
 * Where everything of one environment lies: on this machine, and as it is seen inside.
 *
 * Only names are made here; who creates which of them stands at each field.
 *
 * @module
 */
import { join } from "node:path";

/** What we add to an environment, read-only: scripts, keys, tools, the mirror its checkout borrows from. */
export const INSIDE = "/opt/slipway";

/** Folder inside that holds the checkout as `/workspace/<repository>`. */
export const WORKSPACE = "/workspace";

/** Paths on this machine of what belongs to one environment. */
export interface Place {
  readonly id: string;
  readonly folder: string;
  /** Written first and removed last: while it exists, something of the environment may. */
  readonly specFile: string;
  /** Which process holds the namespaces, and how far its start came. */
  readonly stateFile: string;
  /** What the environment changed of `/usr`, `/etc`, `/opt`; its own `/etc` files are put here. */
  readonly upper: string;
  /** Scratch space of overlayfs. */
  readonly work: string;
  /** Becomes `/`, read-only: empty folders to mount on. Nobody inside can put a link in the way of the next mount. */
  readonly root: string;
  /** Becomes `/tmp`, emptied at each start. */
  readonly tmp: string;
  /** Becomes `/var/tmp`. */
  readonly varTmp: string;
  /** Becomes `/home/<user>`. */
  readonly home: string;
  /** Becomes `/workspace`. Exists exactly when the checkout is complete. */
  readonly workspace: string;
  /** The same while it is being filled. */
  readonly workspacePart: string;
  /** What is being removed. */
  readonly trash: string;
  /** Becomes `INSIDE`. */
  readonly inside: string;
  /** Lines for `mount -a`, rewritten at each launch. */
  readonly mountTable: string;
  /** An empty folder to hide others behind. */
  readonly empty: string;
  readonly log: string;
}

/** Makes the paths of environment `id` below a state folder. */
export function makePlace(stateDir: string, id: string): Place {
  if (!/^[a-z0-9]{4,32}$/.test(id)) throw new Error(`Cannot place environment "${id}": its id is no lower-case word`);
  const folder = join(environmentsFolder(stateDir), id);
  return {
    id,
    folder,
    specFile: join(folder, "spec.json"),
    stateFile: join(folder, "state.json"),
    upper: join(folder, "upper"),
    work: join(folder, "work"),
    root: join(folder, "root"),
    tmp: join(folder, "tmp"),
    varTmp: join(folder, "var-tmp"),
    home: join(folder, "home"),
    workspace: join(folder, "workspace"),
    workspacePart: join(folder, "workspace.part"),
    trash: join(folder, "trash"),
    inside: join(folder, "inside"),
    mountTable: join(folder, "fstab"),
    empty: join(folder, "empty"),
    log: join(folder, "log"),
  };
}

/** Says which folder holds a folder for each environment. */
export function environmentsFolder(stateDir: string): string {
  return join(stateDir, "environments");
}
