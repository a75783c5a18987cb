/**
 * Where a GitHub App is installed, and the tokens that it has there. Used by `app-credential.ts`.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import type { Ask } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { isSameName } from "./credential.ts";
import { Installation, InstallationToken } from "./shapes.ts";

const LIST = "/app/installations?per_page=100";

/** Whoever is installed is looked up again after so long (guess: a new one waits a minute, or comes by webhook). */
const LIST_AGE_MS = 60_000;
/** "Not installed" takes away repositories, so it rests on a list that is no older than this. */
const ABSENT_AGE_MS = 5_000;

export interface InstallationList {
  readonly installations: readonly Installation[];
  readonly askedAt: number;
  readonly source: string;
}

export interface HeldToken {
  readonly token: string;
  /** Epoch ms; an hour after it was made. */
  readonly expiresAt: number;
}

/** GitHub's tokens last for an hour; one that ends while it is used would fail a list half read. */
const RENEW_BEFORE_MS = 300_000;
/** Where no new one can be had, the old one is used up to this moment (guess at how far clocks differ). */
const SPENT_BEFORE_MS = 10_000;

export class Installations {
  readonly #http: ForgeHttp;
  readonly #clock: Clock;
  #known: InstallationList | undefined;
  #forgottenCount = 0;
  #listing: Promise<InstallationList> | undefined;
  readonly #held = new Map<number, HeldToken>();
  readonly #renewing = new Map<number, Promise<HeldToken>>();

  /** @param http asks as the App itself */
  constructor(http: ForgeHttp, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  /** The installation on an account, and the list that says so. */
  async find(owner: string, ask: Ask): Promise<InstallationList & { readonly found: Installation | undefined }> {
    for (const maxAgeMs of [LIST_AGE_MS, ABSENT_AGE_MS]) {
      const list = await this.list(maxAgeMs, ask);
      const found = list.installations.find(({ account }) => isSameName(account?.login ?? "", owner));
      if (found !== undefined || maxAgeMs === ABSENT_AGE_MS) return { ...list, found };
    }
    throw new Error("Cannot find an installation: no list was asked for");
  }

  /** Every installation, as of `maxAgeMs` ago at the earliest. */
  async list(maxAgeMs: number, ask: Ask): Promise<InstallationList> {
    if (this.#known !== undefined && this.#clock.now() - this.#known.askedAt <= maxAgeMs) return this.#known;
    this.#listing ??= this.#ask(this.#forgottenCount);
    return await shared(this.#listing, LIST, ask.signal);
  }

  /** The next question is answered by a list that is asked for anew. */
  forget(): void {
    this.#forgottenCount += 1;
    this.#known = undefined;
    this.#listing = undefined;
  }

  get forgottenCount(): number {
    return this.#forgottenCount;
  }

  /** A token that holds for a while, made if need be; several who ask at the same time wait for the same one. */
  async token(
    id: number,
    options: { readonly refused: string | undefined; readonly signal: AbortSignal },
  ): Promise<HeldToken> {
    const held = this.#held.get(id);
    const isRefused = held !== undefined && held.token === options.refused;
    const leftMs = held === undefined || isRefused ? 0 : held.expiresAt - this.#clock.now();
    if (held !== undefined && leftMs > RENEW_BEFORE_MS) return held;
    const renewing = this.#renewing.get(id) ?? this.#renew(id);
    try {
      return await shared(renewing, pathOf`/app/installations/${String(id)}/access_tokens`, options.signal);
    } catch (error) {
      if (held !== undefined && leftMs > SPENT_BEFORE_MS) return held;
      throw error;
    }
  }

  /** Makes a token that can do less than the installation. */
  async makeToken(id: number, limits: object, ask: Ask): Promise<HeldToken> {
    const path = pathOf`/app/installations/${String(id)}/access_tokens`;
    const made = await this.#http.post(path, limits, InstallationToken, ask);
    if (made.status === "ok") return { token: made.value.token, expiresAt: Date.parse(made.value.expires_at) };
    this.forget();
    throw new Fault("forge.refused", `Cannot ask POST ${path}: the App is no longer installed there`);
  }

  /** What was asked for before somebody forgot is for those who wait for it, and is not kept. */
  async #ask(forgottenCount: number): Promise<InstallationList> {
    try {
      const answer = await this.#http.list(LIST, Installation, untilDone());
      if (answer.status === "absent") {
        throw new Fault("forge.refused", `Cannot ask ${answer.source}: there is no such App`);
      }
      const list = { installations: answer.value, askedAt: answer.askedAt, source: answer.source };
      if (this.#forgottenCount === forgottenCount) this.#known = list;
      return list;
    } finally {
      if (this.#forgottenCount === forgottenCount) this.#listing = undefined;
    }
  }

  async #renew(id: number): Promise<HeldToken> {
    const renewing = this.makeToken(id, {}, untilDone());
    this.#renewing.set(id, renewing);
    try {
      const made = await renewing;
      this.#held.set(id, made);
      return made;
    } finally {
      this.#renewing.delete(id);
    }
  }
}

/** For what several wait for: no one of them may end it, and the time of a request does. */
function untilDone(): Ask {
  return { priority: "login", signal: new AbortController().signal };
}

async function shared<Value>(promise: Promise<Value>, path: string, signal: AbortSignal): Promise<Value> {
  try {
    return await unlessAborted(promise, signal);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("forge.unreached", `Cannot wait for ${path}: the asker stopped waiting`, { cause: error });
  }
}
