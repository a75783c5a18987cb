/**
 * What both sides offer and what they agree on (RFC 4253 section 7.1). Pure.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { ciphers, macs } from "./ciphers.ts";
import { kexMethods } from "./kex-methods.ts";
import { message } from "./numbers.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** The lists of one KEXINIT, the preferred name first. */
export interface Proposal {
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly cipherToServer: readonly string[];
  readonly cipherToClient: readonly string[];
  readonly macToServer: readonly string[];
  readonly macToClient: readonly string[];
  readonly compressionToServer: readonly string[];
  readonly compressionToClient: readonly string[];
  /** Whether the sender's guess of the first key-exchange packet follows. */
  readonly guessFollows: boolean;
}

export interface Agreement {
  readonly kex: string;
  readonly hostKey: string;
  readonly cipherToServer: string;
  readonly cipherToClient: string;
  /** `undefined` where the cipher authenticates by itself. */
  readonly macToServer: string | undefined;
  readonly macToClient: string | undefined;
  /** Whether the client's guess was wrong, so that its first key-exchange packet must be dropped. */
  readonly dropGuess: boolean;
}

/** Markers that ride in the kex list: they name no method (RFC 8308 section 2.1; OpenSSH PROTOCOL section 1.10). */
export const marker = {
  extInfoClient: "ext-info-c",
  extInfoServer: "ext-info-s",
  strictClient: "kex-strict-c-v00@openssh.com",
  strictServer: "kex-strict-s-v00@openssh.com",
} as const;

/** Makes what we offer. `ciphersOffered` narrows the ciphers, as a later exchange may. */
export function makeProposal(
  role: "client" | "server",
  hostKey: readonly string[],
  ciphersOffered: readonly string[] = [...ciphers.keys()],
): Proposal {
  const markers = role === "server" ? [marker.strictServer] : [marker.extInfoClient, marker.strictClient];
  const macsOffered = [...macs.keys()];
  return {
    kex: [...kexMethods.keys(), ...markers],
    hostKey,
    cipherToServer: ciphersOffered,
    cipherToClient: ciphersOffered,
    macToServer: macsOffered,
    macToClient: macsOffered,
    compressionToServer: ["none"],
    compressionToClient: ["none"],
    guessFollows: false,
  };
}

/** Writes a KEXINIT with a fresh cookie. */
export function writeKexInit(proposal: Proposal): Buffer {
  return new WireWriter()
    .byte(message.kexInit)
    .bytes(randomBytes(16))
    .nameList(proposal.kex)
    .nameList(proposal.hostKey)
    .nameList(proposal.cipherToServer)
    .nameList(proposal.cipherToClient)
    .nameList(proposal.macToServer)
    .nameList(proposal.macToClient)
    .nameList(proposal.compressionToServer)
    .nameList(proposal.compressionToClient)
    .nameList([])
    .nameList([])
    .boolean(proposal.guessFollows)
    .uint32(0)
    .done();
}

/** Reads a KEXINIT. @throws {Fault} `protocol.violated` */
export function readKexInit(payload: Buffer): Proposal {
  const reader = new WireReader(payload, 17);
  const proposal = {
    kex: reader.nameList(),
    hostKey: reader.nameList(),
    cipherToServer: reader.nameList(),
    cipherToClient: reader.nameList(),
    macToServer: reader.nameList(),
    macToClient: reader.nameList(),
    compressionToServer: reader.nameList(),
    compressionToClient: reader.nameList(),
  };
  reader.nameList();
  reader.nameList();
  const guessFollows = reader.boolean();
  reader.uint32();
  reader.end();
  return { ...proposal, guessFollows };
}

/** Takes the client's first name that the server has too. */
function pick(what: string, client: readonly string[], server: readonly string[]): string {
  const found = client.find((name) => server.includes(name));
  if (found !== undefined) return found;
  const text = `Cannot agree on a ${what}: the client offers ${client.join(",").slice(0, 500)}, needs one of ${server.join(",").slice(0, 500)}`;
  throw new Fault("protocol.unmatched", text, { told: `no ${what} in common; offered here: ${server.join(",")}` });
}

/** Agrees on one algorithm of each kind. @throws {Fault} `protocol.unmatched` naming the kind */
export function negotiate(client: Proposal, server: Proposal): Agreement {
  const methods = (names: readonly string[]): string[] => names.filter((name) => kexMethods.has(name));
  const kex = pick("key-exchange method", methods(client.kex), methods(server.kex));
  const hostKey = pick("host-key algorithm", client.hostKey, server.hostKey);
  const cipherToServer = pick("cipher", client.cipherToServer, server.cipherToServer);
  const cipherToClient = pick("cipher", client.cipherToClient, server.cipherToClient);
  const mac = (cipher: string, offered: readonly string[], ours: readonly string[]): string | undefined =>
    ciphers.get(cipher)?.mode === "gcm" ? undefined : pick("MAC", offered, ours);
  pick("compression", client.compressionToServer, server.compressionToServer);
  pick("compression", client.compressionToClient, server.compressionToClient);
  return {
    kex,
    hostKey,
    cipherToServer,
    cipherToClient,
    macToServer: mac(cipherToServer, client.macToServer, server.macToServer),
    macToClient: mac(cipherToClient, client.macToClient, server.macToClient),
    dropGuess: client.guessFollows && (client.kex[0] !== server.kex[0] || client.hostKey[0] !== server.hostKey[0]),
  };
}
