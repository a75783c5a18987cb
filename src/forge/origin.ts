/**
 * What the address of a repository means: how git is to be called with it, and what of it others may see.
 *
 * @module
 */
import { resolve } from "node:path";
import { Fault } from "../base/fault.ts";

export interface Origin {
  /** The address without user name and password: fit for arguments, logs and people. */
  readonly url: string;
  /** Settings that carry the credentials, for the environment of git alone. */
  readonly config: Readonly<Record<string, string>>;
  /** Arguments of `git fetch` before the address. */
  readonly fetchArguments: readonly string[];
}

/**
 * Reads the address of a repository: a path, `file:`, `https:`, `ssh:`, or `user@host:path` as scp has it.
 *
 * @param folder what a path is relative to
 * @throws {Fault} `settings.invalid` for any other; the message does not repeat the address, which may hold a password
 */
export function readOrigin(address: string, folder: string): Origin {
  if (/^[A-Za-z][\w+.-]*:\/\//.test(address)) return readUrl(address);
  // `ext::` and its like have git run a program (gitremote-helpers(7)); a leading "-" is an option.
  if (address === "" || address.startsWith("-") || address.includes("::")) throw unusable();
  // A colon before any slash is a host, as git itself reads it (git-fetch(1), GIT URLS).
  if (!/^[^/]+:/.test(address)) return localOrigin(resolve(folder, address));
  if (!/^(?:[\w.-]+@)?[A-Za-z0-9][\w.-]*:[^\s-]\S*$/.test(address)) throw unusable();
  return { url: address, config: {}, fetchArguments: [] };
}

function readUrl(address: string): Origin {
  const url = URL.parse(address);
  switch (url?.protocol) {
    case "file:":
      return localOrigin(decodeURIComponent(url.pathname));
    case "https:":
      return httpsOrigin(url);
    case "ssh:":
      // A password is of no use to ssh in batch mode; the user name belongs to the address.
      url.password = "";
      return { url: url.href, config: {}, fetchArguments: [] };
    default:
      throw unusable();
  }
}

function unusable(): Fault {
  const text =
    "Cannot use the address of a repository: it is no path and not of the kind https:, ssh:, file: or user@host:path";
  return new Fault("settings.invalid", text, { told: text });
}

function localOrigin(path: string): Origin {
  return {
    url: path,
    config: {},
    // Git refuses a repository that belongs to somebody else, since its configuration could name programs. Reading one
    // runs none: the hook of upload-pack is taken from protected configuration only (git-config(1), uploadpack.packObjectsHook).
    fetchArguments: ["--upload-pack=git -c safe.directory='*' upload-pack"],
  };
}

function httpsOrigin(url: URL): Origin {
  const { username, password } = url;
  url.username = "";
  url.password = "";
  const plain: Origin = { url: url.href, config: {}, fetchArguments: [] };
  if (username === "" && password === "") return plain;
  const credential = { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  return withCredential(plain, credential);
}

/** Adds user name and password to an address by https; for this address alone: a redirection elsewhere does not get them. */
export function withCredential(origin: Origin, { username, password }: { username: string; password: string }): Origin {
  const basic = Buffer.from(`${username}:${password}`).toString("base64");
  return { ...origin, config: { [`http.${origin.url}.extraHeader`]: `Authorization: Basic ${basic}` } };
}
