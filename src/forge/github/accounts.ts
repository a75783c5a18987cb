/**
 * Accounts and their keys. Used by `github.ts` and by `roles.ts`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Fault } from "../../base/fault.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeAccount } from "../../wire/forge.ts";
import type { AccountName, Answer, Ask } from "../forge-client.ts";
import { pathOf } from "../http/path.ts";
import { type Credential, isSameName } from "./credential.ts";
import { Account, Key } from "./shapes.ts";

export class Accounts {
  readonly #credential: Credential;
  readonly #emailDomain: string;
  /**
   * By number: the name and keys that were seen together with proof that the name is the account's. While both are the
   * same there is nothing to prove again.
   */
  readonly #proven = new Map<string, string>();
  /** An Enterprise Server goes on listing the keys and the role of somebody who is suspended: each look is at the account too. */
  readonly #showsSuspended: boolean;

  constructor(settings: ForgeSettings, credential: Credential) {
    this.#credential = credential;
    this.#showsSuspended = new URL(settings.apiUrl).pathname.startsWith("/api/v3");
    this.#emailDomain = `users.noreply.${new URL(settings.url).hostname}`;
  }

  async read(accountId: string, ask: Ask): Promise<Answer<ForgeAccount | undefined>> {
    const way = await this.#credential.wayToAccount(accountId, ask);
    const answer = await this.#credential.http.get(pathOf`/user/${accountId}`, Account, way);
    const { askedAt, source } = answer;
    if (answer.status === "absent") return { value: undefined, askedAt, source };
    const { id, login, name, email, suspended_at: suspendedAt } = answer.value;
    const account = {
      id: String(id),
      login,
      fullName: oneLine(name) ?? login,
      // Where people show no address, GitHub itself makes this one for their commits.
      email: oneLine(email) ?? `${id}+${login}@${this.#emailDomain}`,
      isSuspended: suspendedAt !== undefined && suspendedAt !== null,
    };
    return { value: account, askedAt, source };
  }

  /**
   * Keys are asked for by name only, and a name that was given up may be taken by anybody a second later. So after keys
   * were read that are new, the account is asked for its name; the keys are its own when the name still is. What stays
   * is a name that is given up, taken, and got back within that moment.
   */
  async listKeys(account: AccountName, ask: Ask): Promise<Answer<readonly string[] | undefined>> {
    return await this.#listKeys(account, ask, true);
  }

  async #listKeys(
    account: AccountName,
    ask: Ask,
    mayBeRenamed: boolean,
  ): Promise<Answer<readonly string[] | undefined>> {
    const keys = await this.#readKeys(account, ask);
    const mark = keys.value === undefined ? undefined : markOf(account.login, keys.value);
    if (mark !== undefined && !this.#showsSuspended && this.#proven.get(account.id) === mark) return keys;
    const now = await this.read(account.id, ask);
    const { askedAt } = keys;
    const source = `${keys.source}, ${now.source}`;
    if (now.value === undefined || now.value.isSuspended) return { value: undefined, askedAt, source };
    if (!isSameName(now.value.login, account.login)) {
      if (!mayBeRenamed) throw new Fault("forge.unreached", `Cannot ask ${keys.source}: its account changes its name`);
      const renamed = await this.#listKeys({ id: account.id, login: now.value.login }, ask, false);
      return { value: renamed.value, askedAt, source: `${source}, ${renamed.source}` };
    }
    if (mark === undefined)
      throw new Fault("forge.unreached", `Cannot ask ${keys.source}: it is absent, its account is not`);
    this.#proven.set(account.id, mark);
    return { value: keys.value, askedAt, source };
  }

  async #readKeys({ id, login }: AccountName, ask: Ask): Promise<Answer<readonly string[] | undefined>> {
    const way = await this.#credential.wayToAccount(id, ask);
    const answer = await this.#credential.http.list(pathOf`/users/${login}/keys?per_page=100`, Key, way);
    const { askedAt, source } = answer;
    return { value: answer.status === "ok" ? answer.value.map(({ key }) => key) : undefined, askedAt, source };
  }
}

function markOf(login: string, keys: readonly string[]): string {
  return createHash("sha256")
    .update([login.toLowerCase(), ...keys].join("\n"))
    .digest("base64");
}

/** `undefined` when nothing is said. */
function oneLine(text: string | null | undefined): string | undefined {
  const line = text?.replace(/\p{C}+/gu, " ").trim();
  return line === "" ? undefined : line;
}
