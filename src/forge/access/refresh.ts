/**
 * Keeps what is known of one forge from growing old, without anybody waiting for it: all repositories, everybody's roles
 * in each, everybody's keys, the oldest first.
 *
 * Run by `open-access.ts`, for each forge. Of several processes with one store only one does it, by a lease. It asks only
 * as fast as `policy/access-pace.ts` and the client's own rationing let it.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { keep } from "../../base/keep.ts";
import type { Log } from "../../base/log.ts";
import { backgroundWaitMs, listingIntervalMs } from "../../policy/access-pace.ts";
import type { KnowledgeStore } from "../../wire/knowledge.ts";
import type { AskedForge, Asking, Fact } from "./asking.ts";
import { accountsWithRole, type Known, refOf } from "./known.ts";
import type { Saving } from "./saving.ts";

export interface RefreshOptions {
  readonly forge: AskedForge;
  readonly known: Known;
  readonly asking: Asking;
  readonly saving: Saving;
  readonly store: KnowledgeStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Who holds the lease: a name that no other process has. */
  readonly holder: string;
}

/** For how long the others wait when the process that refreshes is gone. A guess. */
const LEASE_MS = 60_000;
const LEASE_RENEW_MS = 20_000;

/** What is younger is not asked for again. A guess: logins and live sessions ask for what they need. */
const REST_MS = 600_000;

/** State and name of accounts change rarely, and their keys go with them. A guess. */
const ACCOUNT_REST_MS = 86_400_000;

/**
 * Requests at once, and from one such batch to the next. Four a second at most are 240 of the 900 points a minute that
 * GitHub allows: rest "Rate limits", secondary.
 */
const BATCH_COUNT = 4;
const BATCH_MS = 1_000;

/** An order of what is oldest is kept for this long; what was refreshed meanwhile is skipped. */
const ROTATION_MS = 60_000;

/** With nothing due. */
const IDLE_MS = 5_000;

interface Aged {
  readonly fact: Fact;
  readonly verifiedAt: number;
}

/** Refreshes until `signal` aborts. */
export async function keepRefreshed(options: RefreshOptions, signal: AbortSignal): Promise<void> {
  const refresh = new Refresh(options);
  const { clock, log, forge } = options;
  const onFailure = (error: unknown): void => {
    if (error instanceof Fault) log.warn("access.refresh-waits", { forge: forge.settings.name, code: error.code });
    else log.error("access.refresh-failed", error, { forge: forge.settings.name });
  };
  await keep((stop) => refresh.step(stop), { clock, onFailure }, signal);
  await refresh.release();
}

class Refresh {
  readonly #options: RefreshOptions;
  readonly #leaseName: string;
  #rotation: Aged[] = [];
  #rotationAt = -Infinity;
  #rotationAccountCount = 0;
  #leaseHeldAt = -Infinity;
  #listedAt = -Infinity;

  constructor(options: RefreshOptions) {
    this.#options = options;
    this.#leaseName = `forge-refresh:${options.forge.settings.name}`;
  }

  /** @returns how long to wait until the next step */
  async step(signal: AbortSignal): Promise<number> {
    const { clock, forge } = this.#options;
    if (!(await this.#holdsLease())) return LEASE_RENEW_MS;
    const waitMs = backgroundWaitMs(forge.client.budget, clock.now());
    if (waitMs > 0) return Math.min(waitMs, LEASE_RENEW_MS);
    if (this.#isListingDue()) {
      const begunAt = clock.elapsed();
      await this.#ask({ type: "repositories", forge: forge.settings.name });
      this.#listedAt = begunAt;
      return 0;
    }
    const batch = this.#next();
    if (batch.length === 0) return IDLE_MS;
    const results = await Promise.allSettled(batch.map((fact) => this.#ask(fact)));
    await this.#options.saving.settled();
    if (signal.aborted) return 0;
    const failed = results.filter((result) => result.status === "rejected");
    // One thing that cannot be asked must not hold up the others; it is the oldest again in the next rotation.
    const grave = failed.find(({ reason }) => isOfAll(reason));
    if (grave !== undefined) throw grave.reason;
    if (failed.length === batch.length) throw failed[0]?.reason;
    return BATCH_MS;
  }

  async release(): Promise<void> {
    const { store, holder, log } = this.#options;
    if (this.#leaseHeldAt === -Infinity) return;
    await store.holdLease(this.#leaseName, holder, 0).catch((error: unknown) => {
      log.warn("access.lease-unreleased", { why: String(error) });
    });
  }

  async #holdsLease(): Promise<boolean> {
    const { store, clock, holder } = this.#options;
    const now = clock.elapsed();
    if (now - this.#leaseHeldAt < LEASE_RENEW_MS) return true;
    const isHeld = await store.holdLease(this.#leaseName, holder, LEASE_MS);
    this.#leaseHeldAt = isHeld ? now : -Infinity;
    return isHeld;
  }

  #isListingDue(): boolean {
    const { known, forge, clock } = this.#options;
    return clock.elapsed() - this.#listedAt >= listingIntervalMs(known.repositories.size, forge.client.budget);
  }

  async #ask(fact: Fact): Promise<void> {
    await this.#options.asking.ask(fact, { priority: "background", notBefore: 0 });
  }

  /** The oldest facts, no more than a batch. */
  #next(): Fact[] {
    const { clock, known } = this.#options;
    const now = clock.elapsed();
    const isUsedUp = this.#rotation.length === 0 && now - this.#rotationAt >= IDLE_MS;
    // Somebody new gets their keys asked for at once.
    const isOther = known.accounts.size !== this.#rotationAccountCount;
    if (isUsedUp || isOther || now - this.#rotationAt >= ROTATION_MS) this.#rotate();
    const batch: Fact[] = [];
    while (batch.length < BATCH_COUNT) {
      const aged = this.#rotation.pop();
      if (aged === undefined) break;
      if (this.#verifiedAt(aged.fact) <= aged.verifiedAt) batch.push(aged.fact);
    }
    return batch;
  }

  /** Orders what is old enough, the oldest last; where nothing was ever asked, keys before roles: they let people in. */
  #rotate(): void {
    const { clock, known, forge } = this.#options;
    const { name, minimumRole } = forge.settings;
    const before = clock.now() - REST_MS;
    const aged: Aged[] = [];
    const add = (fact: Fact, verifiedAt: number, limitAt: number): void => {
      if (verifiedAt < limitAt || verifiedAt > clock.now()) aged.push({ fact, verifiedAt });
    };
    for (const { facts } of known.repositories.all()) {
      if (facts.forge !== name || facts.state !== "connected") continue;
      add({ type: "roles", repository: refOf(facts) }, facts.rolesVerifiedAt ?? 0, before);
    }
    for (const { facts } of accountsWithRole(known, name, minimumRole)) {
      const account = refOf(facts);
      const { stateVerifiedAt, keysVerifiedAt, state } = facts;
      // Whoever was never asked about has the time 0 and is asked about when they come: only their keys are needed now.
      if (stateVerifiedAt > 0) add({ type: "account", account }, stateVerifiedAt, clock.now() - ACCOUNT_REST_MS);
      if (state !== "gone") add({ type: "keys", account }, keysVerifiedAt ?? 0, before);
    }
    this.#rotation = aged.sort((one, other) => other.verifiedAt - one.verifiedAt);
    this.#rotationAt = clock.elapsed();
    this.#rotationAccountCount = known.accounts.size;
  }

  #verifiedAt(fact: Fact): number {
    const { accounts, repositories } = this.#options.known;
    switch (fact.type) {
      case "account":
        return accounts.find(fact.account)?.facts.stateVerifiedAt ?? 0;
      case "keys":
        return accounts.find(fact.account)?.facts.keysVerifiedAt ?? 0;
      case "roles":
        return repositories.find(fact.repository)?.roles.listVerifiedAt ?? 0;
      case "role":
      case "repository":
      case "repositories":
        return 0;
    }
  }
}

/** Says whether a failure would meet every other request too. */
function isOfAll(reason: unknown): boolean {
  return !(reason instanceof Fault) || reason.code === "forge.limited" || reason.code === "shutdown.begun";
}
