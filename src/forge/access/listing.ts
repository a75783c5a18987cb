/**
 * Everybody who may use a repository, verified now: for files of keys that a stock OpenSSH server reads, and for people.
 *
 * Called through `open-access.ts`. A list that cannot be verified is no list: it rejects rather than leave somebody out or
 * in. A repository that is archived or gone has nobody, which is an answer.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import { ageOf, isAtLeast } from "../../policy/access.ts";
import type { AccountFacts, ForgeRef, ForgeRole } from "../../wire/forge.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import { type Asking, type Fact, nameOfFact } from "./asking.ts";
import { type Known, membersOf, refOf } from "./known.ts";

export interface ListingOptions {
  readonly known: Known;
  readonly asking: Asking;
  readonly clock: Clock;
}

export interface Allowed {
  readonly verifiedAt: number;
  readonly isStale: boolean;
  readonly accounts: readonly (AccountFacts & { readonly role: ForgeRole })[];
}

/** For the list of collaborators, and again for everybody's keys. */
const WAIT_MS = 2_000;

const KEYS_AT_ONCE = 8;

/**
 * Lists everybody with a sufficient role, each with the keys that are theirs alone and verified.
 *
 * @throws {Fault} `forge.unreached` when there is no list, or not everybody's keys, within the grace time; what was learned
 * meanwhile is known at the next call. `grant.absent` when there is no such repository
 */
export async function listAllowed(
  repository: ForgeRef,
  options: ListingOptions,
  signal: AbortSignal,
): Promise<Allowed> {
  const { known, asking, clock } = options;
  const settings = asking.forge(repository.forge)?.settings;
  const wanted = known.repositories.find(repository);
  if (settings === undefined || wanted === undefined) {
    throw new Fault(
      "grant.absent",
      `Cannot list who may use ${repository.forge}.${repository.id}: it is not connected`,
    );
  }
  const isDue = (verifiedAt: number | undefined): boolean => !isFresh(verifiedAt, settings, clock.now());
  const due: Fact[] = [];
  if (isDue(wanted.facts.stateVerifiedAt)) due.push({ type: "repository", repository });
  if (isDue(wanted.roles.listVerifiedAt)) due.push({ type: "roles", repository });
  await askAll(due, options, signal);
  const { owner, name, state, stateVerifiedAt } = wanted.facts;
  const listedAt = wanted.roles.listVerifiedAt;
  if (state !== "connected") return { verifiedAt: stateVerifiedAt, isStale: isDue(stateVerifiedAt), accounts: [] };
  const verifiedAt = Math.min(stateVerifiedAt, listedAt ?? 0);
  if (!isUsable(listedAt, settings, clock.now()) || !isUsable(stateVerifiedAt, settings, clock.now())) {
    const message = `Cannot list who may use ${owner}/${name}: ${settings.name} did not say, needs an answer within the grace time`;
    throw new Fault("forge.unreached", message, {
      told: `${settings.name} could not be asked who may use ${owner}/${name}`,
    });
  }
  const members = [...membersOf(known, wanted)].filter(({ role }) => isAtLeast(role, settings.minimumRole));
  const old = members.filter(({ account }) => isDue(account.facts.keysVerifiedAt));
  await askAll(
    old.map(({ account }) => ({ type: "keys", account: refOf(account.facts) })),
    options,
    signal,
  );
  const active = members.filter(({ account }) => account.facts.state === "active");
  const unsaid = active.filter(({ account }) => !isUsable(account.facts.keysVerifiedAt, settings, clock.now()));
  if (unsaid.length > 0) {
    const told = `${settings.name} has not said which keys ${unsaid.length} of ${active.length} people of ${owner}/${name} have`;
    throw new Fault("forge.unreached", `Cannot list who may use ${owner}/${name}: ${told}`, { told });
  }
  const accounts = active
    .map(({ account: { facts }, role }) => ({ ...facts, keys: keysOf(facts, options), role }))
    .sort((one, other) => (one.login < other.login ? -1 : 1));
  const isStale = isDue(verifiedAt) || accounts.some(({ keysVerifiedAt }) => isDue(keysVerifiedAt));
  return { verifiedAt, isStale, accounts };
}

/** None that another account has too. */
function keysOf(facts: AccountFacts, { known }: ListingOptions): readonly string[] {
  return facts.keys.filter((key) => !known.accounts.isShared(key));
}

function isFresh(verifiedAt: number | undefined, { pollMs }: ForgeSettings, now: number): boolean {
  return verifiedAt !== undefined && verifiedAt <= now && now - verifiedAt <= pollMs;
}

function isUsable(verifiedAt: number | undefined, settings: ForgeSettings, now: number): boolean {
  return isFresh(verifiedAt, settings, now) || ageOf(verifiedAt, now) <= settings.graceMs;
}

/** Asks a few at once, for 2 s; what is not answered by then is as it was. */
async function askAll(facts: readonly Fact[], { asking, clock }: ListingOptions, signal: AbortSignal): Promise<void> {
  const left = new Map(facts.map((fact) => [nameOfFact(fact), fact]));
  const late = Promise.withResolvers<undefined>();
  let isLate = false;
  const cancel = clock.after(WAIT_MS, () => {
    isLate = true;
    late.resolve(undefined);
  });
  const worker = async (): Promise<void> => {
    for (const [name, fact] of left) {
      if (isLate || signal.aborted) return;
      left.delete(name);
      await asking.ask(fact, { priority: "live", notBefore: clock.now() }).catch(() => undefined);
    }
  };
  try {
    const workers = Promise.all(Array.from({ length: KEYS_AT_ONCE }, worker));
    await unlessAborted(Promise.race([workers, late.promise]), signal);
  } finally {
    cancel();
  }
}
