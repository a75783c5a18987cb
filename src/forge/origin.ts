/**
 * What the address of a repository means: how git is to be called with it, and what of it others may see.
 *
 * @module
 */
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
 * Reads the address of a repository: an absolute path, `file:`, `https:`, `ssh:`, or `user@host:path` as scp has it.
 *
 * @throws {Fault} `settings.invalid` for any other; the message does not repeat the address, which may hold a password
 */
export function readOrigin(address: string): Origin {
  if (address.startsWith("/")) return localOrigin(address);
  const scp = /^(?:[\w.-]+@)?[A-Za-z0-9][\w.-]*:(?!\/\/)[^\s-]\S*$/;
  if (scp.test(address) && !address.includes("::")) return { url: address, config: {}, fetchArguments: [] };
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
      throw new Fault(
        "settings.invalid",
        "Cannot use the address of a repository: it is neither an absolute path nor file:, https:, ssh: or user@host:path",
      );
  }
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
  if (username === "" && password === "") return { url: url.href, config: {}, fetchArguments: [] };
  const basic = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
  // For this address alone: a redirection elsewhere does not get it.
  return {
    url: url.href,
    config: { [`http.${url.href}.extraHeader`]: `Authorization: Basic ${basic}` },
    fetchArguments: [],
  };
}
