import { once } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";

import { expect, test } from "vitest";

import { makeProposal, writeKexInit } from "../../src/ssh/negotiate.ts";
import { message } from "../../src/ssh/numbers.ts";
import { WireWriter } from "../../src/ssh/wire.ts";
import { RawPeer } from "../fakes/raw-peer.ts";
import { until } from "../harness/wait.ts";
import { askForBytes, startWeighedGateway } from "./weighed-gateway.ts";

const MIB = 1_024 * 1_024;

/** Reads so many bytes off a socket and throws them away. */
async function swallow(socket: Socket, bytes: number): Promise<void> {
  const from = socket.bytesRead;
  socket.removeAllListeners("data");
  socket.resume();
  await until("the bytes", () => socket.bytesRead - from >= bytes, 20_000);
}

/**
 * Issue 2, invariant 8; `ssh2` held 1.2 GB of `head -c 1G` for such a client. The first piece size is bulk, the second
 * what a program writes that prints a character at a time: each held a slab of 128 KiB.
 */
test.each([
  ["bulk", 32_000],
  ["single characters", 1],
])(
  "a gateway holds less than 16 MiB more for a client with a 4 GiB window that never reads, under %s",
  async (_case, pieceBytes) => {
    using gateway = await startWeighedGateway(30_000);
    const warm = await gateway.enter();
    const warmBytes = pieceBytes === 1 ? MIB / 2 : 96 * MIB;
    await askForBytes(warm.peer, pieceBytes, warmBytes);
    await swallow(warm.socket, warmBytes);
    const idle = await gateway.weigh();
    const { peer, socket } = await gateway.enter();
    await askForBytes(peer, pieceBytes, 4_096 * MIB);
    socket.pause();
    const heaviest = await gateway.heaviest(1_500);
    expect((heaviest.rssBytes - idle.rssBytes) / MIB).toBeLessThan(16);
    warm.socket.destroy();
    socket.destroy();
  },
);

test("a gateway holds less than 8 MiB for 32 strangers that send a gigabyte of pings and never read", async () => {
  using gateway = await startWeighedGateway(30_000);
  const warm = await gateway.enter();
  const ping = new WireWriter().byte(message.ping).string(Buffer.alloc(30_000)).done();
  for (let at = 0; at < 200; at++) warm.peer.send(ping);
  await swallow(warm.socket, 200 * 30_000);
  const idle = await gateway.weigh();
  const strangers = await Promise.all(
    Array.from({ length: 32 }, async () => {
      const socket = await gateway.dial("127.0.0.2");
      const peer = new RawPeer({ stream: socket });
      await peer.start();
      socket.pause();
      return peer;
    }),
  );
  const weighing = gateway.heaviest(1_500);
  for (let round = 0; round < 1_000; round++) {
    for (const peer of strangers) if (peer.stream.writableLength < MIB) peer.send(ping);
    await turn();
  }
  const heaviest = await weighing;
  // While it reads, what it makes on the way comes on top, until the collector takes it.
  expect((heaviest.rssBytes - idle.rssBytes) / MIB).toBeLessThan(128);
  await until("what is left to be the answers", async () => {
    const { heldBytes } = await gateway.weigh();
    return heldBytes - idle.heldBytes < 8 * MIB;
  });
  for (const { stream } of strangers) stream.destroy();
  warm.socket.destroy();
});

test("a gateway keeps 1,000 half-open connections within its limits and lets people in meanwhile", async () => {
  using gateway = await startWeighedGateway(2_500);
  const warm = await gateway.enter();
  warm.socket.destroy();
  const idle = await gateway.weigh();
  const kexInit = writeKexInit(makeProposal("client", ["ssh-ed25519"]));
  const sockets: Socket[] = [];
  for (let at = 0; at < 1_000; at++) {
    const socket = await gateway.dial(`127.0.1.${1 + (at % 20)}`);
    socket.resume();
    sockets.push(socket);
    // A third says nothing, a third its name alone, a third begins an exchange that it never goes on with.
    if (at % 3 > 0) socket.write("SSH-2.0-half\r\n");
    if (at % 3 > 1) socket.write(new RawPeer({ stream: socket }).seal(kexInit));
  }
  const full = await gateway.weigh();
  expect(full.strangers).toBeLessThanOrEqual(256);
  expect(full.strangers).toBeGreaterThan(200);
  expect((full.rssBytes - idle.rssBytes) / full.strangers).toBeLessThan(128 * 1_024);
  const person = await gateway.enter("127.0.0.9");
  expect((await gateway.weigh()).sessions).toBe(1);
  await until("the grace time to pass", async () => (await gateway.weigh()).strangers === 0, 10_000);
  person.peer.send(new WireWriter().byte(message.ping).string("x").done());
  await person.peer.nextOf(message.pong);
  for (const socket of sockets) socket.destroy();
  person.socket.destroy();
  await once(person.socket, "close");
});
