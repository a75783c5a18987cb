/**
 * Bare copies of the repositories on this machine, kept fresh by fetching what changed.
 *
 * Called by `controller/`. The checkouts of environments borrow the objects of a mirror, so nothing is ever removed from
 * one: it does not collect garbage, and commits that a forced push left behind keep a ref of their own. A mirror can be
 * read by every uid (environments see it read-only) and is written by one process.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { unlessAborted } from "../base/unless-aborted.ts";
import type { RepositorySettings } from "../wire/settings.ts";
import { clearLeftovers, type MirrorFiles, openMirrorFiles } from "./mirror-files.ts";
import type { GitCredential } from "./forge-client.ts";
import { type Origin, readOrigin, withCredential } from "./origin.ts";

/** After a fetch that failed, the mirror answers as it is for so long, rather than let each login wait for it (guess). */
const AWAY_MS = 5_000;

export interface MirrorsOptions {
  /** The mirrors are in `mirrors/<repository>.git` below it. */
  readonly stateDir: string;
  /** Those that are always there: their addresses are checked at once. */
  readonly repositories: readonly Pick<RepositorySettings, "name" | "url">[];
  /** Finds another one by its id, as it is now. */
  readonly find?: (repository: string) => MirrorSource | undefined;
  /** What paths among the addresses are relative to: the folder of the settings file. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Environment variables of the service that git may need: `HOME` for the keys of ssh, `HTTPS_PROXY`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Where a mirror is fetched from, and by what right. */
export interface MirrorSource {
  /** Without credentials. */
  readonly url: string;
  /** For this fetch; it never enters an environment. */
  readonly credential?: (signal: AbortSignal) => Promise<GitCredential>;
}

/** How fresh a mirror is. `stale`: the origin could not be asked, and this is the last that is known. */
export interface Freshness {
  readonly stale: boolean;
  /** Epoch ms at which the origin was last asked with success; `undefined` when not since the service started. */
  readonly askedAt: number | undefined;
}

export interface Mirrors {
  /** Folder of the bare mirror; it exists once `refresh` has resolved. */
  pathOf(repository: string): string;
  /** Address of the origin without credentials. */
  originUrlOf(repository: string): string;
  /**
   * Sees to it that what is known was asked at most `maxAgeMs` before this call (0: after it), or is reported as stale.
   * Calls at the same time share a fetch; `signal` ends the waiting of this one alone.
   *
   * @throws {Fault} `repository.unreached` when there is no copy yet and the origin cannot be asked
   */
  refresh(repository: string, maxAgeMs: number, signal: AbortSignal): Promise<Freshness>;
  /** Names of the branches as last fetched, by name; empty when never fetched. */
  branches(repository: string): Promise<readonly string[]>;
  /** The branch that HEAD of the origin names; `undefined` while the repository has no branch. */
  defaultBranch(repository: string): Promise<string | undefined>;
  /** Stops fetching. What waits is rejected. */
  close(): Promise<void>;
}

/**
 * Opens the mirrors and clears away what a killed process left half made.
 *
 * @throws {Fault} `settings.invalid` for an address that we do not fetch from
 */
export async function openMirrors(options: MirrorsOptions): Promise<Mirrors> {
  const folder = join(options.stateDir, "mirrors");
  // Others may pass: what they may read is for the modes of the mirrors to say.
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await clearLeftovers(folder);
  const closing = new AbortController();
  const mirrors = new Map<string, Mirror>();
  const open = (name: string, sourceOf: () => MirrorSource): Mirror => {
    const origin = async (signal: AbortSignal): Promise<Origin> => {
      const { url, credential } = sourceOf();
      const plain = readOrigin(url, options.folder);
      return credential === undefined ? plain : withCredential(plain, await credential(signal));
    };
    const files = openMirrorFiles({ ...options, path: join(folder, `${name}.git`), origin, signal: closing.signal });
    const urlNow = (): string => readOrigin(sourceOf().url, options.folder).url;
    const mirror = makeMirror({ ...options, name, url: urlNow, files });
    mirrors.set(name, mirror);
    return mirror;
  };
  for (const { name, url } of options.repositories) {
    readOrigin(url, options.folder);
    open(name, () => ({ url }));
  }
  const sourceOf = (name: string): MirrorSource => {
    const source = options.find?.(name);
    if (source !== undefined) return source;
    throw new Fault("repository.unreached", `Cannot use the mirror of "${name}": nobody knows such a repository`);
  };
  const find = (name: string): Mirror => {
    const known = mirrors.get(name);
    if (known !== undefined) return known;
    sourceOf(name);
    return open(name, () => sourceOf(name));
  };
  return {
    pathOf: (repository) => find(repository).files.path,
    originUrlOf: (repository) => find(repository).url(),
    refresh: (repository, maxAgeMs, signal) => find(repository).refresh(maxAgeMs, signal),
    branches: async (repository) => [...(await find(repository).files.branches()).keys()],
    defaultBranch: (repository) => find(repository).files.defaultBranch(),
    close: async () => {
      closing.abort();
      await Promise.allSettled([...mirrors.values()].map((mirror) => mirror.idle()));
    },
  };
}

interface MirrorOptions extends Pick<MirrorsOptions, "clock" | "log"> {
  readonly name: string;
  /** Of the origin as it is now, without credentials. */
  readonly url: () => string;
  readonly files: MirrorFiles;
}

type Mirror = ReturnType<typeof makeMirror>;

/** A time as people know it, and on the clock that never jumps: the one is reported, with the other it is reckoned. */
interface Moment {
  readonly at: number;
  readonly elapsedMs: number;
}

function makeMirror({ name, url, files, clock, log }: MirrorOptions) {
  let asked: Moment | undefined;
  /** Of the last fetch, when that failed; by `Clock.elapsed()`. */
  let failedAtMs: number | undefined;
  /** The fetch under way, and when it began: what it learns is as old as that. */
  let running: { readonly started: Moment; readonly done: Promise<Freshness> } | undefined;

  const fetchOnce = async (started: Moment): Promise<Freshness> => {
    try {
      await files.fetch();
      asked = started;
      failedAtMs = undefined;
      log.debug("mirror.fetched", { repository: name, tookMs: clock.elapsed() - started.elapsedMs });
      return { stale: false, askedAt: asked.at };
    } catch (cause) {
      failedAtMs = clock.elapsed();
      if (!(await files.exists())) {
        throw new Fault("repository.unreached", `Cannot copy repository "${name}" from ${url()}: fetching failed`, {
          told: `repository ${name} cannot be fetched at the moment`,
          cause,
        });
      }
      log.warn("mirror.stale", { repository: name, askedAt: asked?.at, err: cause });
      return { stale: true, askedAt: asked?.at };
    }
  };

  const start = (): Promise<Freshness> => {
    const started = { at: clock.now(), elapsedMs: clock.elapsed() };
    const done = fetchOnce(started).finally(() => (running = undefined));
    running = { started, done };
    return done;
  };

  const until = async (wantedAtMs: number): Promise<Freshness> => {
    // Strictly later: a push may have come within the same millisecond.
    if (asked !== undefined && asked.elapsedMs > wantedAtMs) return { stale: false, askedAt: asked.at };
    if (failedAtMs !== undefined && clock.elapsed() - failedAtMs < AWAY_MS && (await files.exists()))
      return { stale: true, askedAt: asked?.at };
    // One that began too early is waited for, then the next is shared by all who came meanwhile.
    if (running !== undefined && running.started.elapsedMs < wantedAtMs) await running.done.catch(() => undefined);
    return running === undefined ? start() : running.done;
  };

  return {
    url,
    files,
    refresh: (maxAgeMs: number, signal: AbortSignal) => unlessAborted(until(clock.elapsed() - maxAgeMs), signal),
    idle: async () => {
      await running?.done;
    },
  };
}
