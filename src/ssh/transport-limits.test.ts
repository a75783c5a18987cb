import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { RawPeer } from "../../test/fakes/raw-peer.ts";
import { socketPair } from "../../test/fakes/stream-pairs.ts";
import { data, openPair, openRaw, openServer, until, type End } from "../../test/fakes/transport-ends.ts";
import { heldBytes } from "../../test/harness/held-bytes.ts";
import { message } from "./numbers.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** What the server holds for a peer that reads nothing, in bytes; the kernel's own buffers are not ours to bound. */
const MOST_HELD_BYTES = 1_024 * 1_024;

function ping(bytes: number): Buffer {
  return new WireWriter().byte(message.ping).string(Buffer.alloc(bytes)).done();
}

/** Writes messages without end and without reading, until the other side takes no more for a while. */
async function flood(peer: RawPeer, payload: Buffer): Promise<number> {
  peer.stream.pause();
  let count = 0;
  let idleTurns = 0;
  while (idleTurns < 100 && count < 20_000_000 / payload.length) {
    if (peer.stream.writableLength < 65_536) {
      peer.send(payload);
      count++;
      idleTurns = 0;
    } else {
      await turn();
      idleTurns++;
    }
  }
  return count;
}

/**
 * Issue 2: a stranger who sent pings and read nothing made us keep every answer: 20 MB a turn, before any login. Nothing
 * had looked at output that input causes; back-pressure was for what is relayed.
 */
test("Transport reads no further while a stranger leaves the answers to its pings unread", async () => {
  const { peer, server } = await openRaw();
  const count = await flood(peer, ping(20_000));
  expect(server.transport.isFull).toBe(true);
  expect(server.stream.writableLength).toBeLessThan(256 * 1_024);
  peer.stream.resume();
  for (let at = 0; at < count; at++) await peer.nextOf(message.pong);
});

test("Transport reads no further while its handler's answers are left unread", async () => {
  const { peer, server } = await openRaw();
  server.told.onMessage = () => {
    server.transport.send(data(Buffer.alloc(3_000)));
    server.told.messages.length = 0;
  };
  await flood(peer, data(Buffer.alloc(1_000)));
  expect(server.stream.writableLength).toBeLessThan(MOST_HELD_BYTES);
  peer.stream.destroy();
});

/** Output that others cause must not stop input: two ends that both send bulk would wait for each other for ever. */
test("Transport goes on reading while it is full of what others send", async () => {
  const { peer, server } = await openRaw();
  peer.stream.pause();
  while (!server.transport.isFull) {
    server.transport.send(data(Buffer.alloc(30_000)));
    await turn();
  }
  peer.send(data("still heard"));
  await server.told.until(() => server.told.messages.length === 1);
  peer.stream.destroy();
});

test("Transport cuts off a trusted peer that begins an exchange and makes us answer without end", async () => {
  const { peer, server } = await openRaw();
  server.transport.trust();
  server.transport.rekey();
  const number = async (): Promise<void> => {
    for (let at = 0; at < 1_000 && !server.transport.hasEnded; at++) {
      peer.send(ping(20_000));
      await turn();
    }
  };
  await number();
  expect(await server.told.untilEnded()).toMatchObject({
    by: "us",
    text: "too much waits for the end of the key exchange",
  });
});

test("Transport refuses other messages from a stranger's KEXINIT to its NEWKEYS (RFC 4253 section 7.1)", async () => {
  const { peer, server } = await openRaw();
  const over = peer.exchangeKeys({
    afterKexInit: () => {
      peer.send(ping(10));
    },
  });
  await expect(over).rejects.toThrow("a peer broke the SSH protocol");
  expect(await server.told.untilEnded()).toMatchObject({
    by: "us",
    cause: { message: "Cannot read a packet: message 192 between KEXINIT and NEWKEYS" },
  });
});

/** Issue 2: each small write to a peer that did not read held a slab of 128 KiB, so 512 KiB of output held 640 MB. */
test("Transport holds little more memory than it has output, however small its pieces", async () => {
  const { peer, server } = await openRaw();
  peer.stream.pause();
  while (server.stream.writableLength === 0) {
    server.transport.send(data(Buffer.alloc(60_000)));
    await turn();
  }
  const before = heldBytes().buffers;
  for (let at = 0; at < 2_000 && !server.transport.isFull; at++) {
    server.transport.send(data("x"));
    await turn();
  }
  expect(heldBytes().buffers - before).toBeLessThan(16 * 1_024 * 1_024);
  peer.stream.destroy();
});

test("Transport says it is full while its peer does not read, and tells when it may go on", async () => {
  const { peer, server } = await openRaw();
  peer.stream.pause();
  while (!server.transport.isFull) {
    server.transport.send(data(Buffer.alloc(30_000)));
    await turn();
  }
  const drained = server.told.drainedCount;
  for (let at = 0; at < 20; at++) await turn();
  expect(server.told.drainedCount).toBe(drained);
  peer.stream.resume();
  await server.told.until(() => server.told.drainedCount > drained);
  expect(server.transport.isFull).toBe(false);
  peer.stream.destroy();
});

/** An exchange may not be a way round the pause: what is read for its sake has an end. */
test("Transport takes 4 MiB more at most while it is paused and waits for a peer's part in an exchange", async () => {
  const { peer, server } = await openRaw();
  server.transport.trust();
  let bytes = 0;
  server.told.onMessage = (payload) => {
    bytes += payload.length;
    server.told.messages.length = 0;
  };
  server.transport.rekey();
  server.transport.pause();
  await flood(peer, data(Buffer.alloc(30_000)));
  expect(bytes).toBeGreaterThan(4 * 1_024 * 1_024 - 100_000);
  expect(bytes).toBeLessThan(4 * 1_024 * 1_024 + 400_000);
  peer.stream.destroy();
});

test("Transport puts off its own exchange while it is paused, and begins it when it goes on", async () => {
  const { peer, server } = await openRaw();
  server.transport.trust();
  server.transport.pause();
  server.transport.rekey();
  server.transport.send(data("not held"));
  await peer.nextOf(message.channelData);
  expect(peer.others.some((payload) => payload[0] === message.kexInit)).toBe(false);
  server.transport.resume();
  await peer.nextOf(message.kexInit);
  peer.stream.destroy();
});

/** A stream that takes its time over each write, with a buffer of its own. */
function slowPair(highWaterMark: number): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const other of [1, 0]) {
    ends.push(
      new Duplex({
        highWaterMark,
        read: () => {},
        write: (chunk: Buffer, _encoding, done) => {
          setImmediate(() => {
            ends[other]?.push(chunk);
            done();
          });
        },
      }),
    );
  }
  return ends as [Duplex, Duplex];
}

/** Issue 2: such a stream never says "drain" below its own mark, so a sender waiting for `drained()` waited for ever. */
test("Transport never says it is full without telling later when it is not, whatever the stream's high water mark", async () => {
  for (const highWaterMark of [1_024, 4 * 1_024 * 1_024]) {
    const { client, server } = await openPair(slowPair(highWaterMark));
    let sent = 0;
    const sendMore = (from: End): void => {
      while (sent < 200 && !from.transport.isFull) {
        from.transport.send(data(Buffer.alloc(30_000)));
        sent++;
      }
    };
    server.told.onDrained = () => {
      sendMore(server);
    };
    sendMore(server);
    await client.told.until(() => client.told.messages.length === 200);
  }
});

test.each([
  ["35,000 bytes from a stranger", false, 35_000],
  ["256 KiB from a person", true, 262_144],
])("Transport takes packets of up to %s, and none that is longer", async (_case, isTrusted, most) => {
  for (const isOver of [false, true]) {
    const { peer, server } = await openRaw();
    if (isTrusted) server.transport.trust();
    // A body is its padding's length, the payload and the padding: 16 bytes to a block.
    const body = Buffer.alloc(Math.floor(most / 16) * 16 + (isOver ? 16 : 0));
    body[0] = 4;
    body[1] = message.channelData;
    peer.stream.write(peer.sealBody(body));
    if (isOver) {
      const cause = {
        code: "protocol.violated",
        message: expect.stringContaining(`at most ${most} are taken`) as string,
      };
      expect(await server.told.untilEnded()).toMatchObject({ cause });
    } else {
      await server.told.until(() => server.told.messages.length === 1);
    }
    peer.stream.destroy();
  }
});

test("Transport lets a stranger exchange keys three times, and a person as often as they like", async () => {
  const stranger = await openRaw();
  await stranger.peer.exchangeKeys();
  await stranger.peer.exchangeKeys();
  await expect(stranger.peer.exchangeKeys()).rejects.toThrow();
  expect(await stranger.server.told.untilEnded()).toMatchObject({
    cause: { message: "Cannot read a packet: too many key exchanges" },
  });
  const person = await openRaw();
  person.server.transport.trust();
  for (let at = 0; at < 10; at++) await person.peer.exchangeKeys();
  expect(person.server.transport.hasEnded).toBe(false);
  person.peer.stream.destroy();
});

test.each(["first", "later"])("Transport gives up a %s exchange that takes longer than 60 s", async (which) => {
  const clock = new HandClock();
  const [near, far] = await socketPair();
  const server = openServer(far, clock);
  const peer = new RawPeer({ stream: near });
  if (which === "later") {
    await peer.start();
    await server.told.untilReady();
    server.transport.rekey();
  } else {
    await peer.greet();
    await until(() => server.transport.peerIdentification !== "");
  }
  await clock.advance(59_999);
  expect(server.transport.hasEnded).toBe(false);
  await clock.advance(1);
  expect(await server.told.untilEnded()).toEqual({ by: "us", text: "the key exchange took longer than 60 s" });
  expect(await peer.untilClosed()).toBe("the key exchange took longer than 60 s");
});

test("Transport answers a ping only as long as what a stranger may send, and reads its string to the end", async () => {
  const { peer } = await openRaw();
  const longest = ping(34_900);
  peer.send(longest);
  expect(new WireReader(await peer.nextOf(message.pong), 1).string()).toHaveLength(34_900);
  peer.send(Buffer.of(message.ping, 0, 0, 1, 0));
  expect(await peer.untilClosed()).toBe("a peer broke the SSH protocol");
});
