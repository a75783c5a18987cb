/**
 * A way out for environments: a pair of virtual interfaces for each, and address translation by nftables.
 *
 * Outside is reached, this machine and other environments are not: the rules are one table of ours, replaced whole when
 * the service starts, so that rules of others are never touched.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

import type { Log } from "../../base/log.ts";
import { findNameservers } from "./etc-files.ts";
import { findProgram, readText } from "./machine.ts";
import type { Network } from "./network.ts";
import { mustRun, runProgram } from "../program.ts";

/**
 * Addresses between this machine and its environments: RFC 2544 sets them aside for benchmarks, so no network has them.
 * 100.64.0.0/10, which other software takes, is where Tailscale lives: it drops what comes from elsewhere.
 */
const POOL = { network: "198.18.0.0/15", first: (198 << 24) | (18 << 16), pairs: 2 ** 16 };

/**
 * Where clouds answer with the machine's credentials or settings at addresses that are not link-local: Alibaba Cloud,
 * Azure (WireServer) and Oracle Cloud (its older address).
 */
const METADATA = "100.100.100.200, 168.63.129.16, 192.0.0.192";

/** Interfaces of this machine that lead to environments begin with this: 15 characters are all a name can have. */
const PREFIX = "slip-";

/** Name of this machine's interface to an environment. */
export function interfaceName(id: string): string {
  return `${PREFIX}${id.slice(0, 10)}`;
}

/** The two addresses of a pair. Pure. */
export function addressesOf(index: number): { machine: string; environment: string } {
  const machine = POOL.first + 2 * index;
  return { machine: writeAddress(machine), environment: writeAddress(machine + 1) };
}

function writeAddress(value: number): string {
  return [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join(".");
}

/** Index of the pair that an address is of, `undefined` when it is of none. Pure. */
export function indexOf(address: string): number | undefined {
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  const offset = ((a << 24) | (b << 16) | (c << 8) | d) - POOL.first;
  return offset >= 0 && offset < 2 * POOL.pairs ? offset >> 1 : undefined;
}

/** Says which pair is free, looking from `start` on. Pure. */
export function pickIndex(start: number, taken: ReadonlySet<number>): number {
  for (let step = 0; step < POOL.pairs; step++) {
    const index = (start + step) % POOL.pairs;
    if (!taken.has(index)) return index;
  }
  throw new Error("Cannot give an environment an address: all are taken");
}

/**
 * Makes our table of rules, for `nft -f`. Pure.
 *
 * An environment may begin connections to anything but this machine, other environments, what clouds answer at with the
 * machine's credentials (link-local addresses and `METADATA`) and multicast. Name servers are excepted, which may be any
 * of these. Nobody on this machine may begin one to an environment: its ports are reached through the gateway alone,
 * which asks who it is.
 */
export function makeRules(nameservers: readonly string[]): string {
  const servers = nameservers.filter((address) => /^[0-9.]+$/.test(address)).join(", ");
  const names = servers === "" ? "" : `ip daddr { ${servers} } meta l4proto { tcp, udp } th dport 53 accept`;
  return `table inet slipway {}
delete table inet slipway
table inet slipway {
  chain input {
    type filter hook input priority -10; policy accept;
    iifname != "${PREFIX}*" accept
    ct state established,related accept
    ${names}
    reject
  }
  chain forward {
    type filter hook forward priority -10; policy accept;
    oifname "${PREFIX}*" ct state established,related accept
    iifname "${PREFIX}*" oifname "${PREFIX}*" reject
    oifname "${PREFIX}*" drop
    iifname != "${PREFIX}*" accept
    meta nfproto ipv6 reject
    ip saddr != ${POOL.network} reject
    ${names}
    ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, ${METADATA}, ${POOL.network} } reject
  }
  chain output {
    type filter hook output priority -10; policy accept;
    oifname != "${PREFIX}*" accept
    ct state established,related accept
    meta l4proto icmp accept
    reject
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${POOL.network} oifname != "${PREFIX}*" masquerade
  }
}
`;
}

/** Says why this machine can give no way out, or `undefined` when it can. Makes the table. */
export async function openNat(stateDir: string, log: Log): Promise<Network | string> {
  const missing = ["ip", "nft"].filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) return `${missing.join(" and ")} missing (Debian packages: iproute2 nftables)`;
  const nameservers = findNameservers(readText("/etc/resolv.conf"), readText("/run/systemd/resolve/resolv.conf"));
  const { exitCode, stderr } = await runProgram(["nft", "-f", "-"], { input: makeRules(nameservers) });
  if (exitCode !== 0) return `nft refused our rules: ${(stderr.split("\n")[0] ?? "").trim()}`;
  const forwarding = openForwarding(log);
  if (forwarding !== undefined) return forwarding;
  const lacks =
    nameservers.length > 0
      ? []
      : ["no names beyond /etc/hosts: every name server of this machine listens on its own loopback"];
  return makeNat(stateDir, nameservers, [...lacks, ...(await findOtherFirewalls())]);
}

/** Lets this machine pass packets on, which is a setting of the whole machine and so is said in the log. */
function openForwarding(log: Log): string | undefined {
  const switchFile = "/proc/sys/net/ipv4/ip_forward";
  if (readText(switchFile).trim() === "1") return undefined;
  try {
    writeFileSync(switchFile, "1");
  } catch {
    return `${switchFile} cannot be written`;
  }
  log.warn("sandbox.forwarding-enabled", { file: switchFile, because: "environments reach the network through it" });
  return undefined;
}

/** Our accepting a packet does not make others accept it: a firewall that drops what it does not know is named. */
async function findOtherFirewalls(): Promise<string[]> {
  const { exitCode, stdout } = await runProgram(["nft", "-s", "list", "chains"]);
  if (exitCode !== 0) return [];
  const dropping = [...stdout.matchAll(/hook forward [^\n]*policy drop/g)];
  if (dropping.length === 0) return [];
  return [
    `no certain way out: a firewall of this machine drops forwarded packets unless it is told to accept those of ${PREFIX}*`,
  ];
}

function makeNat(stateDir: string, nameservers: readonly string[], lacks: readonly string[]): Network {
  const held = new Map<string, number>();
  // Two services on one machine begin at different places, so they hardly ever meet.
  const start = createHash("sha256").update(stateDir).digest().readUInt16BE(0);
  return {
    mode: "nat",
    nameservers,
    lacks,
    reserve: (id) => {
      const index = held.get(id) ?? pickIndex(start, new Set([...held.values(), ...readTaken()]));
      held.set(id, index);
      return index;
    },
    release: (id) => void held.delete(id),
    insideBatch,
    attach,
    detach,
    repair: async (id, index, pid) => {
      held.set(id, index);
      if (hasInterface(interfaceName(id))) return;
      await attach(id, index, pid);
      await mustRun(["nsenter", "--target", String(pid), "--net", "ip", "-batch", "-"], { input: insideBatch(index) });
    },
  };
}

/** Pairs that somebody on this machine uses now. */
function readTaken(): number[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.map(({ address }) => indexOf(address)).filter((index) => index !== undefined);
}

function insideBatch(index: number): string {
  const { machine, environment } = addressesOf(index);
  return `link set lo up\naddr add ${environment}/31 dev eth0\nlink set eth0 up\nroute add default via ${machine}\n`;
}

async function attach(id: string, index: number, pid: number): Promise<void> {
  const name = interfaceName(id);
  await detach(id); // of an environment whose end we did not see
  const lines = [
    `link add ${name} type veth peer name eth0 netns ${pid}`,
    `addr add ${addressesOf(index).machine}/31 dev ${name}`,
    `link set ${name} up`,
  ];
  await mustRun(["ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/** `/sys` could be that of another network namespace; this cannot. */
function hasInterface(name: string): boolean {
  // Short names are padded on the left, long ones are not.
  return readText("/proc/self/net/dev")
    .split("\n")
    .some((line) => line.trimStart().startsWith(`${name}:`));
}

/** The pair also goes by itself when the namespace does, though some time later. */
async function detach(id: string): Promise<void> {
  const name = interfaceName(id);
  if (!hasInterface(name)) return;
  await runProgram(["ip", "link", "delete", name]);
  if (!hasInterface(name)) return;
  throw new Error(`Cannot remove network interface ${name}: it is still there`);
}
