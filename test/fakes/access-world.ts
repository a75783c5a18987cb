/**
 * Access to a forge in memory, for tests: a hand-moved clock, a world, and a store that outlives what is opened on it.
 *
 * @module
 */
import type { Access, Subject } from "../../src/forge/access/access.ts";
import { openAccess } from "../../src/forge/access/open-access.ts";
import type { ForgeSettings } from "../../src/wire/forge-settings.ts";
import { FakeForgeClient, makeForgeSettings, makeKey } from "./fake-forge-client.ts";
import { HandClock } from "./hand-clock.ts";
import { MemoryKnowledge } from "./memory-knowledge.ts";
import { recordingLog } from "./recording-log.ts";

/** Long after 1970, as real times are. */
export const START_AT = 1_800_000_000_000;

export const never = new AbortController().signal;

export class AccessWorld {
  readonly clock = new HandClock(START_AT);
  readonly client = new FakeForgeClient(this.clock);
  readonly knowledge = new MemoryKnowledge(this.clock);
  readonly logged = recordingLog();
  readonly settings: ForgeSettings;
  #opened: Access[] = [];

  constructor(settings: Partial<ForgeSettings> = {}) {
    this.settings = makeForgeSettings(settings);
  }

  /** Opens access as a process does. */
  async open(holder = "one"): Promise<Access> {
    const { settings, client, clock, knowledge, logged } = this;
    const forges = [{ settings, client }];
    const random = (): number => 0.5;
    const access = await openAccess({ forges, store: knowledge.open(), clock, log: logged.log, holder, random });
    this.#opened.push(access);
    return access;
  }

  /** Opens access and lets it learn the world by itself. */
  async openKnowing(): Promise<Access> {
    const access = await this.open();
    await this.clock.advance(20_000);
    return access;
  }

  /** Moves time until a promise settles, which it does by itself or within a minute. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    const settled = new Set<string>();
    const settle = (): unknown => settled.add("yes");
    promise.then(settle, settle);
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
      await this.clock.advance(0);
      if (settled.size > 0) break;
      await this.clock.advance(50);
    }
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = Promise.all(this.#opened.map((access) => access.close()));
    await this.until(closing);
  }
}

/** Somebody with a key by its number, and where they want to go. */
export function subjectOf(accountId: string, keyNumber?: number, repositoryId?: string): Subject {
  return {
    account: { forge: "hub", id: accountId },
    ...(keyNumber === undefined ? {} : { key: makeKey(keyNumber) }),
    ...(repositoryId === undefined ? {} : { repository: { forge: "hub", id: repositoryId } }),
  };
}
