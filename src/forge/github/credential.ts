/**
 * By which right GitHub is asked: a token, or an App that organisations installed. What differs between the two is here;
 * what is asked is the same.
 *
 * @module
 */
import type { ForgeRepository } from "../../wire/forge.ts";
import type { Ask, Finding, GitCredential } from "../forge-client.ts";
import type { ForgeHttp, HttpAnswer } from "../http/forge-http.ts";
import type { HttpAsk } from "../http/sender.ts";
import type { Repository } from "./shapes.ts";

/** How to ask about what belongs to one account. `absent`: we are shown nothing that belongs to it. */
export type Way =
  | { readonly status: "ok"; readonly ask: HttpAsk }
  | { readonly status: "absent"; readonly askedAt: number; readonly source: string };

export interface Credential {
  readonly http: ForgeHttp;
  /** For repositories of an organisation or user. @throws {Fault} `forge.refused` when it shuts us out for a while */
  wayTo(owner: string, ask: Ask): Promise<Way>;
  /** For accounts and their keys, which everybody may ask for. */
  wayToAccount(accountId: string, ask: Ask): Promise<HttpAsk>;
  /** Every repository of an account that we are shown; `absent`: there is no such account, or it shows us nothing. */
  listOf(owner: string, ask: Ask): Promise<HttpAnswer<readonly Repository[]>>;
  gitCredential(owner: string, signal: AbortSignal): Promise<GitCredential>;
  pushCredential(repository: ForgeRepository, signal: AbortSignal): Promise<GitCredential | undefined>;
  /** What it may do, whatever it is for. */
  inspect(signal: AbortSignal): Promise<readonly Finding[]>;
  /** Forgets where it is installed: a webhook said that this changed. */
  forget(): void;
  /** How often that was forgotten, also because an installation turned out to be gone. */
  readonly forgottenCount: number;
}

/** Names of accounts and repositories are the same in whatever case. */
export function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
