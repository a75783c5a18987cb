/**
 * How people write addresses in settings, as schemas: where to listen, and ranges of addresses.
 *
 * @module
 */
import { isIP, isIPv6 } from "node:net";
import { z } from "zod";
import { needs } from "../base/complaint.ts";

/** Where to listen. */
export interface ListenAddress {
  /** IP address without brackets, or a host name. */
  readonly host: string;
  /** 0 is any free port. */
  readonly port: number;
}

/** A range of addresses, as `net.BlockList.addSubnet` takes it. */
export interface AddressRange {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: "ipv4" | "ipv6";
}

const LISTEN = 'host:port, as in "127.0.0.1:2222", or "[::]:2222" for every address';
const RANGE = 'a range of addresses, as in "10.0.0.0/8" or "fd00::/8"';

/** Takes `host:port`, an IPv6 address in brackets. */
export const listenAddress = z.string({ error: (issue) => needs(LISTEN, issue.input) }).transform((text, context) => {
  const [, bracketed, plain, digits = ""] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text.trim()) ?? [];
  const host = bracketed ?? plain ?? "";
  const port = Number(digits);
  const isHost = bracketed === undefined ? isHostOrIPv4(host) : isIPv6(host);
  if (isHost && port <= 65_535) return { host, port };
  context.addIssue({ code: "custom", message: `needs ${LISTEN}, is ${shown(text)}`, input: text });
  return z.NEVER;
});

/** Takes an address with the length of its network; a bare address is that address alone. */
export const addressRange = z.string({ error: (issue) => needs(RANGE, issue.input) }).transform((text, context) => {
  const [, address = "", digits] = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text.trim()) ?? [];
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const prefixLength = digits === undefined ? bits : Number(digits);
  if (version !== 0 && !address.includes("%") && prefixLength <= bits) {
    return { address, prefixLength, family: version === 6 ? "ipv6" : "ipv4" } as const;
  }
  context.addIssue({ code: "custom", message: `needs ${RANGE}, is ${shown(text)}`, input: text });
  return z.NEVER;
});

function isHostOrIPv4(host: string): boolean {
  if (/^[0-9.]+$/.test(host)) return isIP(host) === 4;
  return host.length <= 253 && host.split(".").every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
