/**
 * Keeps the authorized_keys files of a stock OpenSSH server as they have to be: written again as soon as anything changes
 * that they rest on, and looked at once a poll when nothing is heard.
 *
 * Started by `service.ts`. Who gets in is `allowed-keys.ts`; here is when it is written. When nobody can say who may come
 * in, nobody may.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { untilFirst } from "../../base/until-first.ts";
import type { AuthorizedKeysAnswer } from "../../wire/control.ts";
import { listKeysFiles, writeKeysFile } from "./write-keys-file.ts";

export interface KeepAuthorizedKeysOptions {
  readonly folder: string;
  /** Unix users, each with a file of that name. */
  readonly users: readonly string[];
  /** Who is to be let in now. A `Fault` means that this cannot be said, even by the last good answer. */
  readonly list: (user: string, signal: AbortSignal) => Promise<AuthorizedKeysAnswer>;
  /** Calls back after any change that `list` may rest on. @returns a function that stops it */
  readonly onChanged: (listener: () => void) => () => void;
  /** The longest between two looks. */
  readonly pollMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes come in crowds; this long they are gathered (guess). */
const GATHER_MS = 100;

/** Keeps the files until it is disposed of. They stay as they are then; keys of forges in them end by themselves. */
export function keepAuthorizedKeys(options: KeepAuthorizedKeysOptions): AsyncDisposable {
  const stop = new AbortController();
  const keeper = new Keeper(options);
  const unsubscribe = options.onChanged(() => {
    keeper.changed();
  });
  const kept = keeper.keep(stop.signal).catch((error: unknown) => {
    options.log.error("authorized-keys.failed", error);
  });
  return {
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      stop.abort();
      await kept;
    },
  };
}

/** What was written last for a user. */
interface Written {
  /** Without the times at which keys end. */
  readonly lines: readonly string[];
  /** Epoch ms at which it is written again although nothing changed, for those times. */
  readonly renewAt: number;
}

class Keeper {
  readonly #options: KeepAuthorizedKeysOptions;
  readonly #written = new Map<string, Written>();
  #change = Promise.withResolvers<undefined>();

  constructor(options: KeepAuthorizedKeysOptions) {
    this.#options = options;
  }

  changed(): void {
    this.#change.resolve(undefined);
  }

  async keep(signal: AbortSignal): Promise<void> {
    const { clock, pollMs } = this.#options;
    const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await this.#emptyOthers();
    while (!signal.aborted) {
      this.#change = Promise.withResolvers<undefined>();
      const changed = this.#change.promise;
      await Promise.all(this.#options.users.map((user) => this.#look(user, signal)));
      const poll = (race: AbortSignal): Promise<void> => clock.sleep(pollMs, race);
      await untilFirst({ stopped: () => stopped, changed: () => changed, poll });
      await untilFirst({ stopped: () => stopped, gathered: (race) => clock.sleep(GATHER_MS, race) });
    }
  }

  /** Empties what was written for users who are no longer in the settings. */
  async #emptyOthers(): Promise<void> {
    const { folder, users } = this.#options;
    for (const user of await listKeysFiles(folder)) {
      if (!users.includes(user)) await this.#write(user, []);
    }
  }

  async #look(user: string, signal: AbortSignal): Promise<void> {
    const { clock, log, list } = this.#options;
    let answer: Pick<AuthorizedKeysAnswer, "lines" | "fileLines" | "expiresAt">;
    try {
      answer = await list(user, signal);
    } catch (error) {
      if (signal.aborted) return;
      // Not what was right before: who cannot be asked about may have been taken out since.
      if (error instanceof Fault) log.warn("authorized-keys.unknown", { user, code: error.code, why: error.message });
      else log.error("authorized-keys.failed", error, { user });
      answer = { lines: [], fileLines: [] };
    }
    const { lines, fileLines, expiresAt } = answer;
    const written = this.#written.get(user);
    const isSame = written?.lines.join("\n") === lines.join("\n");
    if (isSame && clock.now() < written.renewAt) return;
    if (!(await this.#write(user, fileLines))) return;
    const renewAt = expiresAt === undefined ? Infinity : (clock.now() + Date.parse(expiresAt)) / 2;
    this.#written.set(user, { lines, renewAt });
    if (!isSame) log.info("authorized-keys.written", { user, keyCount: lines.length });
  }

  async #write(user: string, lines: readonly string[]): Promise<boolean> {
    const { folder, log } = this.#options;
    try {
      await writeKeysFile(folder, user, lines);
      return true;
    } catch (error) {
      this.#written.delete(user);
      log.error("authorized-keys.not-written", error, { user });
      return false;
    }
  }
}
