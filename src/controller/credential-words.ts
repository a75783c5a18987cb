/**
 * The words between git's credential helper inside an environment and us: a line that says what is asked, and then what
 * git says to a helper (git-credential(1), "INPUT/OUTPUT FORMAT"). Pure.
 *
 * @module
 */
import type { GitCredential } from "../forge/forge-client.ts";

/** What git needs a credential for, as asked: hostile. */
export interface CredentialQuestion {
  readonly protocol: string;
  readonly host: string;
  readonly path: string;
  /** The account that it has to be of. */
  readonly username?: string;
}

/** First line of a call; `git-credential.sh` of the sandbox and `git-credential` of the toolbox write it. */
const CALL = "git-credential";

/** Reads a call; `undefined` when it is none, or leaves out what it is about. */
export function readCredentialQuestion(text: string): CredentialQuestion | undefined {
  const [call, ...lines] = text.split("\n");
  if (call !== CALL || text.includes("\0")) return undefined;
  const said = new Map<string, string>();
  const end = lines.indexOf("");
  for (const line of end < 0 ? lines : lines.slice(0, end)) {
    const at = line.indexOf("=");
    if (at < 1) return undefined;
    said.set(line.slice(0, at), line.slice(at + 1));
  }
  const [protocol, host, path, username] = ["protocol", "host", "path", "username"].map((name) => said.get(name));
  if (protocol === undefined || host === undefined || path === undefined) return undefined;
  return { protocol, host, path, ...(username === undefined ? {} : { username }) };
}

/** Writes the answer. `password_expiry_utc` is in seconds, and keeps other helpers from giving it out for longer. */
export function makeCredentialAnswer({ username, password, expiresAt }: GitCredential): string {
  if (/[\n\0]/.test(username + password)) throw new Error("Cannot hand out a credential: it has a line break");
  const expiry = expiresAt === undefined ? "" : `password_expiry_utc=${Math.floor(expiresAt / 1_000)}\n`;
  return `username=${username}\npassword=${password}\n${expiry}`;
}
