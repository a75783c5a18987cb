/**
 * What a client may open through the gateway into an environment: programs, and connections to the environment's own
 * loopback and services. Nothing else, so that the gateway is never a way into the network it stands in.
 *
 * Called for each channel open and each forwarding request of a client. Names are compared as written and never
 * resolved: what is not on the list is refused, so no other spelling of an address can get round it.
 *
 * @module
 */

/** What a client wants to open. Which fields are there follows from `type`, a channel type or global request name. */
export interface Target {
  readonly type: string;
  /** Where to connect (`direct-tcpip`) or listen (`tcpip-forward`), as the client wrote it. */
  readonly host?: string;
  readonly port?: number;
  /** Unix socket, read as UTF-8. */
  readonly path?: string;
}

export interface ForwardRules {
  /** Names of the environment's services, lower case. */
  readonly services: ReadonlySet<string>;
}

export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

const ALLOWED: Verdict = { allowed: true };
/** Bytes of `sun_path` but for its last NUL: unix(7). */
const SOCKET_PATH_MAX = 107;
/** Addresses that mean every address to OpenSSH: ssh(1), -R. */
const EVERYWHERE = new Set(["", "*", "0.0.0.0", "::"]);
/** What only the far side opens: RFC 4254 sections 6.3.2 and 7.2, OpenSSH PROTOCOL sections 2.4 and 4. */
const OPENED_TO_CLIENTS = new Set([
  "x11",
  "forwarded-tcpip",
  "forwarded-streamlocal@openssh.com",
  "auth-agent@openssh.com",
  "auth-agent-req@openssh.com",
]);

/** Says whether a client may open this. A request to cancel a forward takes nothing and need not be asked about. */
export function mayOpen(target: Target, rules: ForwardRules): Verdict {
  switch (target.type) {
    case "session":
      return ALLOWED;
    case "direct-tcpip":
      return mayConnect(target, rules);
    case "tcpip-forward":
      return mayListen(target);
    case "direct-streamlocal@openssh.com":
    case "streamlocal-forward@openssh.com":
      return mayUseSocket(target.path ?? "");
    case "tun@openssh.com":
      return refused("network tunnels (ssh -w) are not offered; forward single ports with -L, -R or -D");
    default:
      return OPENED_TO_CLIENTS.has(target.type)
        ? refused(`${printable(target.type)} is opened by the environment only, never by a client`)
        : refused(`${printable(target.type)} is not known here`);
  }
}

function mayConnect({ host = "", port = 0 }: Target, rules: ForwardRules): Verdict {
  if (port < 1 || port > 65_535) return refused(`there is no port ${port}`);
  if (isLoopback(host) || rules.services.has(host.toLowerCase())) return ALLOWED;
  const services = [...rules.services].sort().slice(0, 10);
  const reachable = ["localhost", "127.0.0.1", "::1", ...services].join(", ");
  return refused(`"${printable(host)}" is not of this environment; what can be reached: ${reachable}`);
}

function mayListen({ host = "", port = 0 }: Target): Verdict {
  if (port > 65_535) return refused(`there is no port ${port}`);
  if (isLoopback(host) || EVERYWHERE.has(host)) return ALLOWED;
  return refused(`the environment has no address "${printable(host)}" to listen on; use localhost or *`);
}

function mayUseSocket(path: string): Verdict {
  if (!path.startsWith("/")) return refused(`the socket path "${printable(path)}" is not absolute`);
  if (path.includes("\0")) return refused("the socket path has a NUL in it");
  const length = new TextEncoder().encode(path).length;
  if (length > SOCKET_PATH_MAX) return refused(`the socket path has ${length} bytes, more than ${SOCKET_PATH_MAX}`);
  return ALLOWED;
}

/**
 * Says whether a host is loopback in a spelling that every resolver reads alike. `127.1`, `0x7f.1`, `2130706433`,
 * `0177.0.0.1`, `::ffff:127.0.0.1` and `localhost.` are loopback to some and a name, or another host, to others.
 */
function isLoopback(host: string): boolean {
  if (host === "::1" || host.toLowerCase() === "localhost") return true;
  const parts = host.split(".");
  return (
    parts.length === 4 &&
    parts[0] === "127" &&
    parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

function refused(reason: string): Verdict {
  return { allowed: false, reason };
}

/** A reason goes to the client's terminal and into the log: hostile parts of it are short and without controls. */
function printable(text: string): string {
  const safe = text.replace(/[^ -~]/gu, "?");
  return safe.length > 60 ? `${safe.slice(0, 60)}...` : safe;
}
