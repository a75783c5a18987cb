/**
 * Accounts of Gitea and Forgejo by their number. Paths name accounts by their login, so a number is looked up first.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { Clock } from "../../base/clock.ts";
import type { AccountName, Answer, Ask } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { keysOf } from "./meaning.ts";
import { readPages } from "./pages.ts";
import { Account, Found, PublicKey } from "./shapes.ts";

/** A token whose account is no site administrator is not asked about again for so long. Guess. */
const ORDINARY_FOR_MS = 600_000;

/** Finds who has this number now; `undefined`: nobody whom the token is shown. */
export async function findAccount(http: ForgeHttp, id: string, ask: Ask): Promise<Answer<Account | undefined>> {
  const path = `/users/search?uid=${numberOf(id)}&limit=1`;
  const answer = await http.get(path, Found, ask);
  const { askedAt, source } = answer;
  if (answer.status === "absent") throw new Fault("forge.unreached", `Cannot ask ${source}: it is absent`);
  const [found] = answer.value.data;
  if (found !== undefined && String(found.id) !== id) {
    throw new Fault("forge.unreached", `Cannot use the answer to ${source}: it is about the number ${found.id}`);
  }
  return { value: found, askedAt, source };
}

/**
 * Lists the keys of an account. Their list is asked for by login and, to most tokens, does not say whose it is: so the
 * number has to have the login before and after.
 */
export async function listKeysOf(
  { http, suspensions }: { readonly http: ForgeHttp; readonly suspensions: Suspensions },
  { id }: AccountName,
  ask: Ask,
): Promise<Answer<readonly string[] | undefined>> {
  const before = await findAccount(http, id, ask);
  // The keys of somebody who may not log in go on being listed, and keys are asked for more often than states.
  const isOut = before.value === undefined || (await suspensions.has(before.value, ask));
  if (before.value === undefined || isOut) return { ...before, value: undefined };
  const { login } = before.value;
  const keys = await readPages(http, { path: pathOf`/users/${login}/keys`, item: PublicKey }, ask);
  const { source } = keys;
  const isTold =
    keys.status === "ok" && keys.value.length > 0 && keys.value.every((key) => String(key.user?.id) === id);
  if (!isTold && (await findAccount(http, id, ask)).value?.login !== login) {
    throw new Fault("forge.unreached", `Cannot ask ${source}: the name changed hands while it was asked for`);
  }
  if (keys.status === "absent") throw new Fault("forge.unreached", `Cannot ask ${source}: it is absent`);
  return { value: keysOf(keys.value), askedAt: before.askedAt, source };
}

/** Knows who may not log in. */
export class Suspensions {
  readonly #http: ForgeHttp;
  readonly #clock: Clock;
  #isOrdinaryUntilMs = 0;

  constructor(http: ForgeHttp, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  /**
   * Says whether an account may not log in, as far as the token is told: site administrators alone are. To all others
   * `active` is false of everybody (services/convert/user.go), so then it is asked who asks.
   */
  async has({ active, prohibit_login }: Account, ask: Ask): Promise<boolean> {
    if (prohibit_login === true) return true;
    if (active !== false || this.#clock.elapsed() < this.#isOrdinaryUntilMs) return false;
    const self = await this.#http.get("/user", Account, ask);
    if (self.status === "ok" && self.value.is_admin === true) return true;
    this.#isOrdinaryUntilMs = this.#clock.elapsed() + ORDINARY_FOR_MS;
    return false;
  }
}

/** Ids are put into addresses: what is no number would ask for something else. */
export function numberOf(id: string): string {
  if (!/^[1-9]\d{0,18}$/.test(id)) throw new Error(`Cannot ask Gitea for "${id}": it is not a number`);
  return id;
}
