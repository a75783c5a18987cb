/**
 * Puts the parts of `access/` together: what is known, who asks, who decides, who watches.
 *
 * Called by `src/cmd` once, with the clients of all forges and the store. What the store knows serves at once.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { fingerprintOf } from "../../base/fingerprint.ts";
import type { Log } from "../../base/log.ts";
import { STATE_POLLS } from "../../policy/access.ts";
import type { RepositoryFacts } from "../../wire/forge.ts";
import type { KnowledgeStore } from "../../wire/knowledge.ts";
import type { Access, ForgeHealth } from "./access.ts";
import { type AskedForge, Asking } from "./asking.ts";
import { Changes } from "./changes.ts";
import { Deciding } from "./deciding.ts";
import { Discovering } from "./discovering.ts";
import { Doubts } from "./doubts.ts";
import { Hints } from "./hints.ts";
import { type Change, Known, refOf } from "./known.ts";
import { listAllowed } from "./listing.ts";
import { keepRefreshed } from "./refresh.ts";
import { Saving } from "./saving.ts";
import { Watches } from "./watches.ts";

export interface AccessOptions {
  readonly forges: readonly AskedForge[];
  readonly store: KnowledgeStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Who refreshes in the background, among processes with one store: a name that no other process has. */
  readonly holder: string;
  /** From 0 to below 1. @default Math.random */
  readonly random?: () => number;
}

/** Where nothing changed, the store is behind memory by at most this share of the grace time. A guess. */
const RENEW_RATIO = 1 / 8;

/**
 * Takes over what the store knows, and begins to refresh it.
 *
 * @throws {Fault} as the store does when it cannot be read
 */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { forges, store, clock, log, random = Math.random } = options;
  const known = new Known(clock);
  const settings = new Map(forges.map(({ settings: forge }) => [forge.name, forge]));
  const renewMs = (forge: string): number => {
    const { pollMs = 0, graceMs = 0 } = settings.get(forge) ?? {};
    return Math.max(pollMs, graceMs * RENEW_RATIO);
  };
  const saving = new Saving({ store, known, log, renewMs });
  const asking = new Asking({ forges, known, saving, clock });
  const doubts = new Doubts(Math.max(0, ...forges.map((forge) => forge.settings.pollMs)) * STATE_POLLS);
  const deciding = new Deciding({ known, doubts, asking, clock });
  const watches = new Watches({ known, doubts, asking, deciding, clock, log, random });
  const discovering = new Discovering({ known, doubts, asking, clock });
  const hints = new Hints({ known, doubts, asking, deciding, watches, store, clock, log });
  const isConnected = (forge: string): boolean => settings.has(forge);
  const changes = new Changes({ store, known, saving, clock, log, isConnected, onHint: (hint) => hints.hear(hint) });
  const stop = new AbortController();
  const stopSettling = known.onChange((change) => settleShared(change, { asking, log }));
  await changes.load();
  const refreshing = forges.map((forge) => keepRefreshed({ ...options, forge, known, asking, saving }, stop.signal));
  return {
    ownerOf: (key) => known.accounts.ownerOf(key),
    account: (account) => known.accounts.find(account)?.facts,
    accounts: () => known.accounts.all().map(({ facts }) => facts),
    repository: (repository) => known.repositories.find(repository)?.facts,
    repositories: () => connected(known),
    named: (name, how) => known.repositories.named(name, how),
    discover: (key, repositories, signal) => discovering.discover(key, repositories, signal),
    decide: (subject, signal, waitMs) => deciding.decide(subject, signal, waitMs),
    judge: (subject) => deciding.verdict(subject).decision,
    watch: (subject, onRevoked) => watches.watch(subject, onRevoked),
    hint: (forge, given) => hints.take(forge, given),
    listAllowed: (repository, signal) => listAllowed(repository, { known, asking, clock }, signal),
    onChanged: (listener) => known.onChange(() => listener()),
    health: () =>
      forges.map((forge) => ({
        ...healthOf(forge, known, asking),
        watchedLateMs: watches.lateMs(forge.settings.name),
      })),
    close: async () => {
      stop.abort();
      stopSettling();
      hints.close();
      await Promise.all([watches.close(), changes.close(), asking.close(), ...refreshing]);
      await saving.settled();
    },
  };
}

/** Tells the operator of a key on two accounts, and asks again those that listed it longer ago. */
function settleShared(change: Change, { asking, log }: { readonly asking: Asking; readonly log: Log }): void {
  if (change.type !== "shared") return;
  const [one, other] = change.accounts;
  if (one === undefined || other === undefined) return;
  const keys = one.keys
    .filter((key) => other.keys.includes(key))
    .map((key) => fingerprintOf(Buffer.from(key, "base64")));
  log.warn("access.key-shared", { accounts: [one, other].map(({ forge, id, login }) => ({ forge, id, login })), keys });
  if ((one.keysVerifiedAt ?? 0) >= (other.keysVerifiedAt ?? 0)) return;
  const wanted = { priority: "live", notBefore: other.keysVerifiedAt ?? 0 } as const;
  asking.ask({ type: "keys", account: refOf(one) }, wanted).catch(() => undefined);
}

function* connected({ repositories }: Known): Generator<RepositoryFacts> {
  for (const { facts } of repositories.all()) if (facts.state !== "gone") yield facts;
}

function healthOf({ settings, client }: AskedForge, known: Known, asking: Asking): Omit<ForgeHealth, "watchedLateMs"> {
  const isOfForge = ({ facts }: { readonly facts: { readonly forge: string } }): boolean =>
    facts.forge === settings.name;
  return {
    forge: settings.name,
    ...asking.reachOf(settings.name),
    accountCount: known.accounts.all().filter(isOfForge).length,
    repositoryCount: [...connected(known)].filter((facts) => isOfForge({ facts })).length,
    budgetRemaining: client.budget?.remaining,
  };
}
