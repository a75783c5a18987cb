/**
 * Keys that nobody is known to have: perhaps of somebody who became a collaborator a moment ago. The forge of the
 * repository that the login names is asked, while the client waits for its answer.
 *
 * Every stranger waits equally long, whatever the login names: how long an answer takes must not tell what exists. Who
 * offers keys beside their own, as agents do, waits for those once and not again.
 *
 * Called by `connection.ts`.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Directory } from "../forge/directory.ts";
import { readLogin, type Login } from "../policy/login.ts";

/** How long a client waits for the forge at its first unknown key (guess: two requests, one after the other, and a half). */
const WAIT_MS = 1_500;
/** Keys remembered that are offered beside somebody's own. */
const BYSTANDERS_MAX = 10_000;

/** The keys of one connection. */
export interface Offers {
  /** Says whether a key is somebody's; at once, unless it is the first that is nobody's. */
  isKnown(keyBlob: Buffer, login: string): boolean | Promise<boolean>;
  /** Says that the connection proved a key: those it offered before are of no interest. */
  identified(): void;
}

export interface Newcomers {
  /** @param signal aborts when the connection ends */
  meet(signal: AbortSignal): Offers;
}

export interface NewcomersOptions {
  readonly directory: Pick<Directory, "whose" | "canDiscover" | "discover">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes what all connections share. */
export function makeNewcomers({ directory, clock, log }: NewcomersOptions): Newcomers {
  /** In the order in which they were learned. */
  const bystanders = new Set<string>();
  const isKnown = (key: string): boolean => directory.whose(key) !== undefined;
  const look = async (key: string, text: string, signal: AbortSignal): Promise<boolean> => {
    const late = new AbortController();
    const login = loginOf(text);
    if (login !== undefined) {
      directory.discover(key, login, AbortSignal.any([signal, late.signal])).catch((error: unknown) => {
        if (!signal.aborted && !late.signal.aborted) log.warn("newcomer.not-looked-for", { err: error });
      });
    }
    await clock.sleep(WAIT_MS, signal);
    late.abort();
    return isKnown(key);
  };
  return {
    meet: (signal) => {
      const unknown: string[] = [];
      return {
        isKnown: (keyBlob, login) => {
          const key = keyBlob.toString("base64");
          if (isKnown(key)) return true;
          unknown.push(key);
          if (!directory.canDiscover || unknown.length > 1 || bystanders.has(key)) return false;
          return look(key, login, signal);
        },
        identified: () => {
          for (const key of unknown) {
            if (isKnown(key)) continue;
            const [oldest] = bystanders.size < BYSTANDERS_MAX ? [] : bystanders;
            if (oldest !== undefined) bystanders.delete(oldest);
            bystanders.add(key);
          }
        },
      };
    },
  };
}

/** What was typed, if it can mean anything: who it is decides later what they are told. */
function loginOf(text: string): Login | undefined {
  try {
    return readLogin(text);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
