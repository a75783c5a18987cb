import { readdirSync, readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { Fault } from "../../src/base/fault.ts";
import { makeProposal, writeKexInit } from "../../src/ssh/negotiate.ts";
import { message } from "../../src/ssh/numbers.ts";
import { WireWriter } from "../../src/ssh/wire.ts";
import { loginRequest, makeFakeGateway, type FakeFar, type FakeGateway } from "../fakes/fake-gateway.ts";
import type { RawPeer } from "../fakes/raw-peer.ts";
import { until } from "../fakes/transport-ends.ts";
import { heldBytes } from "../harness/held-bytes.ts";
import { openSeeded } from "../harness/seeded.ts";
import { mutate } from "./mutate.ts";

const seeded = openSeeded("fuzz");

/** What is thrown outside of every handler: the process would have ended. */
const thrown: unknown[] = [];
const note = (error: unknown): void => {
  thrown.push(error);
};

beforeAll(() => {
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
});

afterAll(() => {
  process.off("uncaughtException", note);
  process.off("unhandledRejection", note);
});

/** Protocol faults that the metrics have counted. */
async function countFaults(gateway: FakeGateway): Promise<number> {
  const text = await gateway.deps.metrics.registry.getSingleMetricAsString("slipway_protocol_faults_total");
  return [...text.matchAll(/\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/**
 * What must hold whatever came: nothing was thrown outside, every connection ends once the time for strangers is over
 * (or its client has gone), nothing is left of them, each fault was counted, and every one of them was of the peer.
 */
async function expectAllWell(gateway: FakeGateway, faultsBefore: number): Promise<void> {
  await gateway.clock.advance(30_000);
  await until(() => gateway.connections.every(({ hasEnded }) => hasEnded));
  await gateway.clock.advance(2_000);
  for (const far of gateway.fars) await far.told.untilEnded();
  await until(() => gateway.connections.every(({ stream }) => stream.destroyed) && gateway.clock.pendingCount === 0);
  await turn();
  expect(thrown).toEqual([]);
  expect(gateway.deps.sessions.count).toBe(0);
  const errors = gateway.log.map(({ facts }) => facts["err"]).filter((error) => error instanceof Error);
  const own = errors.filter((error) => !(error instanceof Fault) && !/ECONNRESET|EPIPE/.test(error.message));
  expect(own).toEqual([]);
  expect(gateway.log.filter(({ level }) => level === "error")).toEqual([]);
  const endings = gateway.log.filter(({ event }) => event === "connection.ended" || event === "session.ended");
  const faults = endings.filter(({ facts }) => facts["err"] instanceof Fault);
  expect((await countFaults(gateway)) - faultsBefore).toBe(faults.length);
}

async function expectNobodyIn(gateway: FakeGateway): Promise<void> {
  expect(gateway.audit).toEqual([]);
  expect(gateway.fars).toEqual([]);
  await turn();
}

const clientInit = writeKexInit(makeProposal("client", ["ssh-ed25519", "rsa-sha2-512"]));
const initiate = new WireWriter().byte(message.kexInitiate).string(Buffer.alloc(1_216, 7)).done();
const serviceRequest = new WireWriter().byte(message.serviceRequest).string("ssh-userauth").done();

/** Frames a message as it is before there are keys. */
function frame(payload: Buffer): Buffer {
  const pad = 8 - ((payload.length + 5) % 8) + 8;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + pad + 1);
  head[4] = pad;
  return Buffer.concat([head, payload, Buffer.alloc(pad)]);
}

async function sendInPieces(gateway: FakeGateway, bytes: Buffer): Promise<void> {
  const stream = await gateway.connect();
  stream.resume();
  for (let at = 0; at < bytes.length;) {
    const length = seeded.between(1, bytes.length);
    stream.write(bytes.subarray(at, at + length));
    at += length;
    if (seeded.between(0, 3) === 0) await turn();
  }
  if (seeded.between(0, 1) === 0) stream.end();
}

describe("a gateway under hostile bytes", () => {
  test("survives random bytes, with and without an identification before them", async () => {
    const gateway = makeFakeGateway();
    const before = await countFaults(gateway);
    for (let at = 0; at < 150; at++) {
      const line = Buffer.from(seeded.between(0, 1) === 0 ? "" : "SSH-2.0-fuzz\r\n");
      await sendInPieces(gateway, Buffer.concat([line, seeded.bytes(seeded.between(0, 3_000))]));
    }
    await expectAllWell(gateway, before);
    await expectNobodyIn(gateway);
  });

  test("survives what a good client says before there are keys, changed at random", async () => {
    const gateway = makeFakeGateway();
    const before = await countFaults(gateway);
    for (let at = 0; at < 200; at++) {
      const good = Buffer.concat([Buffer.from("SSH-2.0-fuzz\r\n"), frame(clientInit), frame(initiate)]);
      const parts =
        seeded.between(0, 2) === 0
          ? mutate(good, seeded)
          : Buffer.concat([
              Buffer.from("SSH-2.0-fuzz\r\n"),
              frame(seeded.between(0, 1) === 0 ? mutate(clientInit, seeded) : clientInit),
              frame(mutate(initiate, seeded)),
            ]);
      await sendInPieces(gateway, parts);
    }
    await expectAllWell(gateway, before);
    await expectNobodyIn(gateway);
  });

  test("survives packets of every length a field can have, and takes no memory for those it never gets", async () => {
    const gateway = makeFakeGateway();
    const before = await countFaults(gateway);
    const memoryBefore = heldBytes().buffers;
    for (const length of [
      0, 1, 4, 5, 11, 12, 13, 34_996, 35_004, 0xffff, 0xfffff, 0x7fffffff, 0x80000004, 0xffffffff,
    ]) {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      await sendInPieces(gateway, Buffer.concat([Buffer.from("SSH-2.0-fuzz\r\n"), head, seeded.bytes(64)]));
    }
    for (let at = 0; at < 20; at++) await turn();
    expect(heldBytes().buffers - memoryBefore).toBeLessThan(8 * 1_024 * 1_024);
    await expectAllWell(gateway, before);
    await expectNobodyIn(gateway);
  });

  test("survives messages of a login changed at random, and lets nobody in by one", async () => {
    const gateway = makeFakeGateway();
    const before = await countFaults(gateway);
    const stranger = makeFakeGateway().ada;
    for (let at = 0; at < 100; at++) {
      const peer = await gateway.meet({ proposal: { kex: ["curve25519-sha256", "kex-strict-c-v00@openssh.com"] } });
      const good = [
        serviceRequest,
        loginRequest(peer, stranger, "hello-main"),
        loginRequest(peer, gateway.ada, "hello-main"),
      ];
      const victim = seeded.between(0, 2);
      const changed = good.map((payload, index) => (index === victim ? mutateMeaning(payload) : payload));
      // A changed last message must not let in; a good one may.
      if (victim !== 2) changed.pop();
      for (const payload of changed) if (payload.length > 0) peer.send(payload);
      peer.stream.resume();
      if (seeded.between(0, 1) === 0) peer.stream.end();
    }
    await expectAllWell(gateway, before);
    expect(gateway.audit.filter(({ type }) => type === "session.opened")).toEqual([]);
    expect(gateway.fars).toEqual([]);
  });

  test("survives messages of the connection changed at random, from both sides of one session after another", async () => {
    const gateway = makeFakeGateway();
    const before = await countFaults(gateway);
    for (let at = 0; at < 60; at++) {
      const { peer, far } = await gateway.enter({
        proposal: { kex: ["curve25519-sha256", "kex-strict-c-v00@openssh.com"] },
      });
      const isFromClient = seeded.between(0, 1) === 0;
      for (let count = 0; count < 15; count++) {
        const payload = anyMessage();
        const sent = seeded.between(0, 1) === 0 ? mutate(payload, seeded) : payload;
        if (sent.length === 0) continue;
        if (isFromClient) peer.send(sent);
        else far.transport.send(sent);
      }
      await turn();
      peer.stream.resume();
      peer.stream.end();
    }
    await expectAllWell(gateway, before);
  });
});

/** A message of a login that says something else than a good one. */
function mutateMeaning(good: Buffer): Buffer {
  let bytes = good;
  while (asSigned(bytes).equals(asSigned(good))) bytes = mutate(good, seeded);
  return bytes;
}

/** A signature is over 1 where the request says TRUE, and every byte but 0 says so (RFC 4251 section 5). */
function asSigned(request: Buffer): Buffer {
  const marker = Buffer.from("publickey");
  const flagAt = request.indexOf(marker) + marker.length;
  return Buffer.from(request.map((byte, at) => (at === flagAt && byte !== 0 ? 1 : byte)));
}

/** A message of the connection protocol as a client or a server may send it. */
function anyMessage(): Buffer {
  const id = seeded.between(0, 3);
  const text = seeded.bytes(seeded.between(0, 50));
  const samples = [
    new WireWriter().byte(80).string("tcpip-forward").boolean(true).string("localhost").uint32(seeded.between(0, 9)),
    new WireWriter().byte(80).string("streamlocal-forward@openssh.com").boolean(true).string("/tmp/x"),
    new WireWriter().byte(80).string("hostkeys-prove-00@openssh.com").boolean(true).string(text),
    new WireWriter().byte(80).string("keepalive@openssh.com").boolean(true),
    new WireWriter().byte(81).uint32(seeded.between(0, 9)),
    new WireWriter().byte(82),
    new WireWriter().byte(90).string("session").uint32(id).uint32(2e6).uint32(32_768),
    new WireWriter()
      .byte(90)
      .string("direct-tcpip")
      .uint32(id)
      .uint32(9)
      .uint32(9)
      .string("db")
      .uint32(5)
      .string("")
      .uint32(1),
    new WireWriter()
      .byte(90)
      .string("forwarded-tcpip")
      .uint32(id)
      .uint32(9)
      .uint32(9)
      .string("")
      .uint32(5)
      .string("")
      .uint32(1),
    new WireWriter().byte(91).uint32(id).uint32(id).uint32(2e6).uint32(32_768),
    new WireWriter().byte(92).uint32(id).uint32(1).string("no").string(""),
    new WireWriter()
      .byte(93)
      .uint32(id)
      .uint32(seeded.between(0, 2 ** 32 - 1)),
    new WireWriter().byte(94).uint32(id).string(text),
    new WireWriter().byte(95).uint32(id).uint32(1).string(text),
    new WireWriter().byte(96).uint32(id),
    new WireWriter().byte(97).uint32(id),
    new WireWriter().byte(98).uint32(id).string("auth-agent-req@openssh.com").boolean(true),
    new WireWriter().byte(98).uint32(id).string("exec").boolean(true).string(text),
    new WireWriter().byte(99).uint32(id),
    new WireWriter().byte(100).uint32(id),
    new WireWriter().byte(192).string(text),
    new WireWriter().byte(20).bytes(seeded.bytes(16)).nameList(["curve25519-sha256"]),
    new WireWriter().byte(21),
    new WireWriter().byte(50).string("x").string("ssh-connection").string("none"),
  ];
  return samples[seeded.between(0, samples.length - 1)]?.done() ?? Buffer.alloc(1);
}

/** One thing that was found, as messages to send again. */
interface Found {
  readonly found: string;
  /** Where it begins: behind the first key exchange, or inside. */
  readonly from: "stranger" | "client";
  readonly messages: readonly string[];
  /** How often they are sent. */
  readonly times?: number;
  /** What the client is told at the end; `null` where the connection goes on. */
  readonly ends: string | null;
}

const folder = new URL("corpus/", import.meta.url);
const corpus = readdirSync(folder)
  .sort()
  .map((name) => ({ name, ...(JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Found) }));

async function play(peer: RawPeer, far: FakeFar | undefined, { messages, times = 1 }: Found): Promise<void> {
  for (let round = 0; round < times; round++) {
    for (const hex of messages) {
      // "far:" is what the environment answers before the client goes on.
      if (hex.startsWith("far:")) {
        far?.transport.send(Buffer.from(hex.slice(4), "hex"));
        await peer.nextOf(Number.parseInt(hex.slice(4, 6), 16));
      } else {
        peer.send(Buffer.from(hex, "hex"));
      }
    }
  }
}

test.each(corpus)("what was found before: $name", async (found) => {
  const gateway = makeFakeGateway();
  const before = await countFaults(gateway);
  const { peer, far } =
    found.from === "client" ? await gateway.enter() : { peer: await gateway.meet(), far: undefined };
  await play(peer, far, found);
  if (found.ends === null) {
    peer.send(new WireWriter().byte(message.ping).string("alive").done());
    await peer.nextOf(message.pong);
    peer.stream.end();
  } else {
    expect(await peer.untilClosed()).toMatch(new RegExp(`^${found.ends}`));
  }
  await expectAllWell(gateway, before);
});
