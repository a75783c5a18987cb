/**
 * Who is served, and what they were granted: the shapes that settings, forge, gateway and controller share.
 *
 * @module
 */
import type { ForgeRef } from "./forge.ts";

/** Somebody with keys. */
export interface Person {
  /** Never another's: the name in the settings, or the number of an account, as in `github.583231`. Owns environments. */
  readonly id: string;
  /** `[A-Za-z0-9][A-Za-z0-9._-]*`, at most 64 characters: safe in paths and logs. The settings', or the forge's login. */
  readonly name: string;
  /** For git; one line. */
  readonly fullName: string;
  readonly email: string;
  /** Whether they may look after the sessions and environments of others. Opens no repository by itself. */
  readonly admin: boolean;
  /** Their account at a forge, which says what they may use of it. */
  readonly account?: ForgeRef;
}

/** Somebody and the key that they proved. */
export interface Who {
  /** Id of the person. */
  readonly person: string;
  /** Public key in wire form, base64. */
  readonly key: string;
}

/** Everybody's or everything's right where it says `*`: of the people and repositories in the settings. */
export interface Grant {
  /** Names of people. */
  readonly people: "*" | readonly string[];
  /** Names of repositories. */
  readonly repositories: "*" | readonly string[];
}
