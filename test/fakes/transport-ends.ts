/**
 * Our own transports with a recorder as their user, and one of them facing a peer under the test's control.
 *
 * @module
 */
import { generateKeyPairSync } from "node:crypto";
import type { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";

import { message } from "../../src/ssh/numbers.ts";
import { makeSigningKey } from "../../src/ssh/private-keys.ts";
import { Transport, type TransportOptions } from "../../src/ssh/transport.ts";
import { WireReader, WireWriter } from "../../src/ssh/wire.ts";
import { HandClock } from "./hand-clock.ts";
import { RawPeer, type RawPeerOptions } from "./raw-peer.ts";
import { Recorder } from "./recorder.ts";
import { socketPair } from "./stream-pairs.ts";

export const hostKey = makeSigningKey(generateKeyPairSync("ed25519").privateKey);

export interface End {
  readonly transport: Transport;
  readonly told: Recorder;
  readonly stream: Duplex;
}

export interface Pair {
  readonly client: End;
  readonly server: End;
  readonly clock: HandClock;
}

export function openServer(stream: Duplex, clock: HandClock, options: Partial<TransportOptions> = {}): End {
  const told = new Recorder();
  const kex = { role: "server" as const, hostKeys: [hostKey] };
  return { transport: new Transport({ stream, clock, kex, ...options }, told), told, stream };
}

export function openClient(stream: Duplex, clock: HandClock, options: Partial<TransportOptions> = {}): End {
  const told = new Recorder();
  const kex = {
    role: "client" as const,
    hostKeyAlgorithms: ["ssh-ed25519"],
    isExpected: (blob: Buffer) => blob.equals(hostKey.blob),
  };
  return { transport: new Transport({ stream, clock, kex, ...options }, told), told, stream };
}

/** Both ends ours, ready, and trusting each other. */
export async function openPair(streams: [Duplex, Duplex], options: Partial<TransportOptions> = {}): Promise<Pair> {
  const clock = new HandClock();
  const client = openClient(streams[0], clock, options);
  const server = openServer(streams[1], clock, options);
  await Promise.all([client.told.untilReady(), server.told.untilReady()]);
  client.transport.trust();
  server.transport.trust();
  return { client, server, clock };
}

/** A server of ours and a peer that does as it is told, over sockets, the first keys exchanged. */
export async function openRaw(
  options: Omit<RawPeerOptions, "stream"> = {},
): Promise<{ peer: RawPeer; server: End; clock: HandClock }> {
  const clock = new HandClock();
  const [near, far] = await socketPair();
  const server = openServer(far, clock);
  const peer = new RawPeer({ stream: near, ...options });
  await peer.start();
  await server.told.untilReady();
  return { peer, server, clock };
}

/** For what no call to a recorder tells of. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await turn();
}

/** A message of the connection protocol with `text` in it. */
export function data(text: Buffer | string): Buffer {
  return new WireWriter().byte(message.channelData).uint32(0).string(text).done();
}

export function textOf(payload: Buffer): string {
  return new WireReader(payload, 5).text();
}
