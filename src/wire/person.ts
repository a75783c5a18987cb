/**
 * Who is served, and what they were granted: the shapes that settings, forge, gateway and controller share.
 *
 * @module
 */

/** Somebody with keys. */
export interface Person {
  /** `[a-z0-9][a-z0-9._-]*`, at most 64 characters: safe in paths, logs and logins. */
  readonly name: string;
  /** For git; one line. */
  readonly fullName: string;
  readonly email: string;
  /** Whether they may look after the sessions and environments of others. Opens no repository by itself. */
  readonly admin: boolean;
}

/** Everybody's or everything's right where it says `*`. */
export interface Grant {
  /** Names of people. */
  readonly people: "*" | readonly string[];
  /** Names of repositories. */
  readonly repositories: "*" | readonly string[];
}
