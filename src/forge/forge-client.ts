/**
 * What can be asked of a forge, the same for GitHub, GitLab and Gitea; each has a folder here that asks it in its own
 * way. Asked by `access/`, which alone decides what an answer means for who gets in.
 *
 * Every method either resolves with a whole and definite answer or rejects: lists are paged to their end, an error is
 * never an empty list, and what the forge cannot say is never taken for a no.
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Collaborator, ForgeAccount, ForgeRepository, ForgeRole, ForgeType } from "../wire/forge.ts";

/**
 * What a request is for. Where requests are rationed, a login goes before the watch over live sessions, and that before
 * the refreshing of what nobody waits for.
 */
export type Priority = "login" | "live" | "background";

export interface Ask {
  readonly priority: Priority;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/** A definite answer. */
export interface Answer<Value> {
  readonly value: Value;
  /** Epoch ms at which the first request of it was sent. */
  readonly askedAt: number;
  /** Method and path of the request, without credentials, for people. */
  readonly source: string;
}

/** An account as far as a question about it needs. */
export interface AccountName {
  readonly id: string;
  /** As last known. A client finds out when the name belongs to another account by now. */
  readonly login: string;
}

/** For git over https. */
export interface GitCredential {
  readonly username: string;
  readonly password: string;
  /** Epoch ms; `undefined`: lasts until it is changed. */
  readonly expiresAt: number | undefined;
  /**
   * Has the forge end it before its time; absent where that cannot be asked for. Resolves also when it had ended already.
   *
   * @throws {Fault} `forge.unreached` or `forge.limited`
   */
  readonly revoke?: (signal: AbortSignal) => Promise<void>;
}

/** What `slip check --online` found of a credential. */
export interface Finding {
  readonly isGood: boolean;
  /** One sentence without full stop, with the exact name of the permission that is missing. */
  readonly text: string;
}

/** What a webhook says might have changed: only ever a reason to ask, never an answer. */
export type Hint =
  /** Keys, state or name of one account. */
  | { readonly type: "account"; readonly accountId: string }
  /** Its state or anybody's role in it. */
  | { readonly type: "repository"; readonly repositoryId: string }
  /** One account's role in one repository. */
  | { readonly type: "role"; readonly accountId: string; readonly repositoryId: string }
  /** One account's role in any repository, as when somebody leaves an organisation. */
  | { readonly type: "roles-of"; readonly accountId: string }
  /** Its branches; no right has to do with those. */
  | { readonly type: "pushed"; readonly repositoryId: string }
  /** Anything: repositories were connected or taken away, a team changed. */
  | { readonly type: "everything" };

export type WebhookReading =
  | { readonly type: "hints"; readonly hints: readonly Hint[] }
  /** Its signature does not verify, or there is none. */
  | { readonly type: "unsigned" }
  /** Signed, and not of the shape that its event has. */
  | { readonly type: "malformed"; readonly why: string };

/** How many requests are left; `undefined` where the forge rations none. */
export interface Budget {
  readonly limit: number;
  readonly remaining: number;
  /** Epoch ms at which it is full again. */
  readonly resetAt: number;
}

/**
 * One forge.
 *
 * Every method that asks rejects with a `Fault`: `forge.unreached` when there is no whole answer (network, time, 5xx,
 * another shape), `forge.limited` when requests are rationed and this one has to wait longer than it may,
 * `forge.refused` when the credential is not accepted or may not ask this.
 */
export interface ForgeClient {
  readonly type: ForgeType;
  /** Every repository that the settings connect, archived ones too. */
  listRepositories(ask: Ask): Promise<Answer<readonly ForgeRepository[]>>;
  /** The repository of this number as it is now; `undefined`: the forge shows us none, or it is no longer connected. */
  readRepository(repository: ForgeRepository, ask: Ask): Promise<Answer<ForgeRepository | undefined>>;
  /** Everybody with a role, by whatever route; `undefined`: there is no such repository. */
  listCollaborators(repository: ForgeRepository, ask: Ask): Promise<Answer<readonly Collaborator[] | undefined>>;
  /** What one account may do. On a public repository somebody who is no collaborator has `none`. */
  readRole(repository: ForgeRepository, account: AccountName, ask: Ask): Promise<Answer<ForgeRole>>;
  /** `undefined`: there is no such account. */
  readAccount(accountId: string, ask: Ask): Promise<Answer<ForgeAccount | undefined>>;
  /** Lines of public keys, as the forge lists them; `undefined`: there is no such account, or it is suspended. */
  listKeys(account: AccountName, ask: Ask): Promise<Answer<readonly string[] | undefined>>;
  /** For fetching with the service's own rights. Never enters an environment. */
  fetchCredential(repository: ForgeRepository, signal: AbortSignal): Promise<GitCredential>;
  /** A token of an hour at most that can push to this repository and nothing else; `undefined` where the forge makes none. */
  pushCredential(repository: ForgeRepository, signal: AbortSignal): Promise<GitCredential | undefined>;
  /** Tries the credential: what it may do, and what it should be allowed to and is not. */
  inspect(signal: AbortSignal): Promise<readonly Finding[]>;
  /** Verifies a webhook's signature in constant time, and reads what it hints at. Unknown events hint at nothing. */
  readWebhook(headers: IncomingHttpHeaders, body: Buffer): WebhookReading;
  readonly budget: Budget | undefined;
}
