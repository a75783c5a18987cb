import { createHash, randomInt } from "node:crypto";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { RawPeer } from "../../test/fakes/raw-peer.ts";
import { socketPair, streamPairs } from "../../test/fakes/stream-pairs.ts";
import { data, openPair, openRaw, openServer, textOf, until, type End } from "../../test/fakes/transport-ends.ts";
import { ciphers, macs } from "./ciphers.ts";
import { message } from "./numbers.ts";
import { WireReader, WireWriter } from "./wire.ts";

describe.each(streamPairs)("over $kind", ({ open }) => {
  test("Transport carries messages both ways once both are ready", async () => {
    const { client, server } = await openPair(await open());
    client.transport.send(data("to the server"));
    server.transport.send(data("to the client"));
    await Promise.all([
      server.told.until(() => server.told.messages.length > 0),
      client.told.until(() => client.told.messages.length > 0),
    ]);
    expect(server.told.messages.map(textOf)).toEqual(["to the server"]);
    expect(client.told.messages.map(textOf)).toEqual(["to the client"]);
    expect(client.transport.sessionId).toEqual(server.transport.sessionId);
    expect(client.transport.agreement.kex).toBe("mlkem768x25519-sha256");
    expect(client.transport.peerIdentification).toMatch(/^SSH-2\.0-Slipway/);
    expect([client.told.readyCount, server.told.readyCount]).toEqual([1, 1]);
  });

  test("Transport corrupts, loses and reorders nothing while both sides send sizes of all kinds and renew keys at will", async () => {
    const { client, server } = await openPair(await open(), { rekeyBytes: 700_000 });
    const count = 300;
    const run = (from: End, to: End): (() => string) => {
      const sent = createHash("sha256");
      const got = createHash("sha256");
      let received = 0;
      to.told.onMessage = (payload) => {
        got.update(payload);
        received++;
        if (received % 37 === 0) to.transport.rekey();
      };
      void (async () => {
        for (let at = 0; at < count; at++) {
          // Sizes around those from which memory is given back and slabs are full.
          const size = [1, 20, 8_170, 8_192, 32_768, 131_072, 200_000][randomInt(7)] ?? 1;
          const payload = data(Buffer.alloc(size + randomInt(40), `${at} `));
          sent.update(payload);
          from.transport.send(payload);
          if (at % 53 === 0) from.transport.rekey();
          if (randomInt(3) === 0 || from.transport.isFull) await turn();
          while (from.transport.isFull) await turn();
        }
      })();
      return () => `${received} ${got.copy().digest("hex") === sent.copy().digest("hex")}`;
    };
    const up = run(client, server);
    const down = run(server, client);
    await Promise.all([
      server.told.until(() => server.told.messages.length === count || server.told.endings.length > 0),
      client.told.until(() => client.told.messages.length === count || client.told.endings.length > 0),
    ]);
    expect([...client.told.endings, ...server.told.endings]).toEqual([]);
    expect([up(), down()]).toEqual([`${count} true`, `${count} true`]);
  });

  test("Transport forwards what another received, byte for byte, and back again", async () => {
    const outer = await openPair(await open());
    const inner = await openPair(await open());
    outer.server.told.onMessage = (_payload, body) => {
      inner.client.transport.forward(body);
    };
    inner.client.told.onMessage = (_payload, body) => {
      outer.server.transport.forward(body);
    };
    inner.server.told.onMessage = (_payload, body) => {
      inner.server.transport.forward(body);
    };
    const sizes = [1, 100, 8_192, 32_768, 100_000, 3, 150_000];
    for (const size of sizes) outer.client.transport.send(data(Buffer.alloc(size, `${size} `)));
    await outer.client.told.until(() => outer.client.told.messages.length === sizes.length);
    expect(outer.client.told.messages.map(textOf)).toEqual(
      sizes.map((size) => Buffer.alloc(size, `${size} `).toString()),
    );
  });

  /** A stream in memory may hand bytes on, and bring the answer to them, in the middle of a write. */
  test("Transport keeps packets whole when answers come while it is still sending", async () => {
    const { client, server } = await openPair(await open());
    server.told.onMessage = (payload) => {
      if (textOf(payload) !== "first") return;
      server.transport.send(data("answer"));
      server.transport.send(data(Buffer.alloc(200_000)));
    };
    client.told.onMessage = (payload) => {
      if (textOf(payload) === "answer") client.transport.send(data("second"));
    };
    client.transport.send(data("first"));
    client.transport.send(data(Buffer.alloc(200_000)));
    await server.told.until(() => server.told.messages.length === 3 || server.told.endings.length > 0);
    expect(server.told.messages.map((payload) => textOf(payload).slice(0, 6))).toEqual([
      "first",
      "\0\0\0\0\0\0",
      "second",
    ]);
    await client.told.until(() => client.told.messages.length === 2);
  });

  test("Transport renews keys when both sides begin at once", async () => {
    const { client, server } = await openPair(await open());
    for (let round = 0; round < 5; round++) {
      const before = client.transport.sessionId;
      client.transport.rekey();
      server.transport.rekey();
      client.transport.send(data(`up ${round}`));
      server.transport.send(data(`down ${round}`));
      await server.told.until(() => server.told.messages.length > round);
      await client.told.until(() => client.told.messages.length > round);
      expect(client.transport.sessionId).toEqual(before);
    }
    expect([...client.told.endings, ...server.told.endings]).toEqual([]);
  });

  test("Transport keeps what it sends during an exchange, in order, and says it is full meanwhile", async () => {
    const { client, server } = await openPair(await open());
    client.transport.rekey();
    for (let at = 0; at < 50; at++) client.transport.send(data(`${at}`));
    expect(client.transport.isFull).toBe(true);
    const drained = client.told.drainedCount;
    await server.told.until(() => server.told.messages.length === 50);
    expect(server.told.messages.map(textOf)).toEqual(Array.from({ length: 50 }, (_, at) => `${at}`));
    await client.told.until(() => client.told.drainedCount > drained);
    expect(client.transport.isFull).toBe(false);
  });
});

test.each(
  [...ciphers.keys()].flatMap((cipher) =>
    (cipher.includes("gcm") ? ["hmac-sha2-256"] : [...macs.keys()]).map((mac) => ({ cipher, mac })),
  ),
)("Transport speaks $cipher with $mac, small and bulk, sent and forwarded", async ({ cipher, mac }) => {
  const { peer, server } = await openRaw({
    proposal: { cipherToServer: [cipher], cipherToClient: [cipher], macToServer: [mac], macToClient: [mac] },
  });
  server.transport.trust();
  server.told.onMessage = (payload, body) => {
    server.transport.send(Buffer.from(payload));
    server.transport.forward(body);
  };
  for (const size of [1, 30, 8_192, 33_000, 120_000, 5]) {
    const payload = data(Buffer.alloc(size, `${size} `));
    peer.send(payload);
    expect((await peer.nextOf(message.channelData)).equals(payload)).toBe(true);
    expect((await peer.nextOf(message.channelData)).equals(payload)).toBe(true);
  }
  await peer.exchangeKeys();
  peer.send(data("after"));
  expect(textOf(await peer.nextOf(message.channelData))).toBe("after");
});

test.each(["mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"])(
  "Transport exchanges keys by %s with a peer written from the RFCs, first and again",
  async (kex) => {
    const { peer, server } = await openRaw({ proposal: { kex: [kex] } });
    await peer.exchangeKeys();
    expect(server.transport.agreement.kex).toBe(kex);
    expect(server.transport.sessionId).toEqual(peer.sessionId);
  },
);

test("Transport renews keys after rekeyBytes that it received", async () => {
  const { client, server } = await openPair(await socketPair(), { rekeyBytes: 100_000 });
  const keys = server.transport.agreement;
  for (let at = 0; at < 5; at++) client.transport.send(data(Buffer.alloc(30_000)));
  await until(() => server.transport.agreement !== keys);
});

/** Issue 2: bytes were counted both ways but looked at on input alone: a mere sender never renewed (RFC 4253 section 9). */
test("Transport renews keys after rekeyBytes that it sent, though nothing comes back", async () => {
  const clock = new HandClock();
  const [near, far] = await socketPair();
  const server = openServer(far, clock, { rekeyBytes: 100_000 });
  const peer = new RawPeer({ stream: near });
  await peer.start();
  await server.told.untilReady();
  for (let at = 0; at < 4; at++) server.transport.send(data(Buffer.alloc(30_000)));
  expect((await peer.nextOf(message.kexInit))[0]).toBe(message.kexInit);
  expect(peer.others.filter((payload) => payload[0] === message.channelData)).toHaveLength(4);
});

test(
  "Transport renews keys after 1 GiB when nothing else is asked for, and not before",
  { timeout: 120_000 },
  async () => {
    const { client, server } = await openPair(duplexPair());
    let received = 0;
    server.told.onMessage = (payload) => {
      received += payload.length;
      server.told.messages.length = 0;
    };
    const bytes = Buffer.alloc(250_000);
    const send = async (upTo: number): Promise<void> => {
      for (let sent = received; sent < upTo; sent += bytes.length) {
        client.transport.send(data(bytes));
        while (client.transport.isFull) await turn();
      }
      await until(() => received >= upTo);
    };
    const [ours, theirs] = [server.transport.agreement, client.transport.agreement];
    await send(2 ** 30 - 2 * bytes.length);
    expect(server.transport.agreement).toBe(ours);
    expect(client.transport.agreement).toBe(theirs);
    await send(2 ** 30 + 2 * bytes.length);
    await until(() => server.transport.agreement !== ours && client.transport.agreement !== theirs);
    expect([...client.told.endings, ...server.told.endings]).toEqual([]);
  },
);

test("Transport renews keys by age, again and again, and leaves no timer behind", async () => {
  const { client, server, clock } = await openPair(await socketPair());
  let keys = server.transport.agreement;
  let theirs = client.transport.agreement;
  for (let hour = 0; hour < 3; hour++) {
    await clock.advance(3_600_000);
    await until(() => server.transport.agreement !== keys && client.transport.agreement !== theirs);
    keys = server.transport.agreement;
    theirs = client.transport.agreement;
  }
  client.transport.disconnect(11, "done");
  await server.told.untilEnded();
  await until(() => clock.pendingCount === 0);
});

test("Transport answers a ping with its own bytes, before anyone has logged in too", async () => {
  const { peer } = await openRaw();
  peer.send(new WireWriter().byte(message.ping).string("are you there").done());
  const pong = await peer.nextOf(message.pong);
  expect(new WireReader(pong, 1).text()).toBe("are you there");
});

test("Transport says UNIMPLEMENTED with the packet's number to what it does not know, and goes on", async () => {
  const { peer, server } = await openRaw();
  const number = peer.sendSequence;
  peer.send(Buffer.of(191));
  const answer = await peer.nextOf(message.unimplemented);
  expect(new WireReader(answer, 1).uint32()).toBe(number);
  peer.send(data("still here"));
  await server.told.until(() => server.told.messages.length === 1);
});

test("Transport takes IGNORE, DEBUG, UNIMPLEMENTED, EXT_INFO and PONG without a word", async () => {
  const { peer, server } = await openRaw();
  for (const number of [message.ignore, message.debug, message.unimplemented, message.extInfo, message.pong]) {
    peer.send(new WireWriter().byte(number).string("whatever").done());
  }
  peer.send(data("next"));
  await server.told.until(() => server.told.messages.length === 1);
  expect(server.told.messages.map(textOf)).toEqual(["next"]);
});

test("Transport ends with what a peer's DISCONNECT said, shortened and with nothing a terminal obeys", async () => {
  const { peer, server } = await openRaw();
  const text = `bye \x1b[31m\n${"x".repeat(400)}`;
  peer.send(new WireWriter().byte(message.disconnect).uint32(11).string(text).string("").done());
  const ending = await server.told.untilEnded();
  expect(ending.by).toBe("peer");
  expect(ending.text).toMatch(/^the peer disconnected: 11 "bye \\u001b\[31m\\nx{189,191}"$/);
});

test("Transport.disconnect() says why to the peer, once, and only the first reason counts", async () => {
  const { peer, server } = await openRaw();
  server.transport.disconnect(11, "the environment is gone");
  server.transport.disconnect(2, "another reason");
  server.transport.destroy("a third");
  expect(server.told.endings).toEqual([{ by: "us", text: "the environment is gone" }]);
  expect(await peer.untilClosed()).toBe("the environment is gone");
});

test("Transport delivers what was sent before disconnect(), though the peer reads late", async () => {
  const { peer, server } = await openRaw();
  peer.stream.pause();
  for (let at = 0; at < 20; at++) server.transport.send(data(Buffer.alloc(20_000, at)));
  server.transport.disconnect(11, "that was all");
  await turn();
  peer.stream.resume();
  expect(await peer.untilClosed()).toBe("that was all");
  expect(peer.others.filter((payload) => payload[0] === message.channelData)).toHaveLength(20);
});

test("Transport gives up on a peer that does not take its last bytes, after 2 s", async () => {
  const { peer, server, clock } = await openRaw();
  peer.stream.pause();
  for (let at = 0; at < 200; at++) server.transport.send(data(Buffer.alloc(100_000)));
  await turn();
  server.transport.disconnect(11, "enough");
  await clock.advance(1_999);
  expect(server.stream.destroyed).toBe(false);
  await clock.advance(1);
  expect(server.stream.destroyed).toBe(true);
  peer.stream.destroy();
});

test("Transport sends nothing and takes nothing after its end", async () => {
  const { peer, server } = await openRaw();
  peer.send(data("in time"));
  await server.told.until(() => server.told.messages.length === 1);
  server.transport.disconnect(11, "end");
  server.transport.send(data("late"));
  server.transport.forward(Buffer.alloc(32));
  server.transport.rekey();
  peer.send(data("too late"));
  expect(await peer.untilClosed()).toBe("end");
  expect(peer.others.filter((payload) => payload[0] !== message.extInfo)).toEqual([]);
  expect(server.told.messages).toHaveLength(1);
});

test.each(["closes", "resets"])("Transport ends once when the peer %s", async (how) => {
  const [near, far] = await socketPair();
  const server = openServer(far, new HandClock());
  await new RawPeer({ stream: near }).start();
  if (how === "closes") near.end();
  else near.resetAndDestroy();
  const text = how === "closes" ? "the peer closed the connection" : "the connection broke";
  expect(await server.told.untilEnded()).toMatchObject({ by: "peer", text });
  await until(() => server.stream.closed);
  expect(server.told.endings).toHaveLength(1);
});

test("Transport ends when the stream it is given has closed already", async () => {
  const [near, far] = await socketPair();
  far.destroy();
  await once(far, "close");
  const server = openServer(far, new HandClock());
  expect(await server.told.untilEnded()).toMatchObject({ by: "peer", text: "the connection closed" });
  near.destroy();
});

test("Transport ends with a bug's error as the cause and tells the peer nothing of it", async () => {
  const { peer, server } = await openRaw();
  server.told.onMessage = () => {
    throw new Error("Secret detail");
  };
  peer.send(data("boom"));
  expect(await peer.untilClosed()).toBe("internal error");
  expect(server.told.endings).toEqual([{ by: "us", text: "internal error", cause: new Error("Secret detail") }]);
});

test("Transport.pause() stops what comes within one read, and resume() gives all of it", async () => {
  const { client, server } = await openPair(await socketPair());
  let isOver = false;
  const sending = (async () => {
    for (let at = 0; at < 400; at++) {
      client.transport.send(data(Buffer.alloc(30_000, at)));
      while (client.transport.isFull) await turn();
    }
    isOver = true;
  })();
  await server.told.until(() => server.told.messages.length > 0);
  server.transport.pause();
  for (let at = 0; at < 50; at++) await turn();
  const seen = server.told.messages.length;
  for (let at = 0; at < 50; at++) await turn();
  expect(server.told.messages).toHaveLength(seen);
  expect(isOver).toBe(false);
  server.transport.resume();
  await server.told.until(() => server.told.messages.length === 400);
  await sending;
});

test("Transport tells what it can do in EXT_INFO, right behind NEWKEYS and only to those who ask (RFC 8308)", async () => {
  const asking = await openRaw();
  const first = await asking.peer.next();
  const reader = new WireReader(first, 1);
  expect(first[0]).toBe(message.extInfo);
  expect(reader.uint32()).toBe(2);
  expect([reader.text(), reader.text().split(",")]).toEqual([
    "server-sig-algs",
    [
      "ssh-ed25519",
      "sk-ssh-ed25519@openssh.com",
      "ecdsa-sha2-nistp256",
      "ecdsa-sha2-nistp384",
      "ecdsa-sha2-nistp521",
      "sk-ecdsa-sha2-nistp256@openssh.com",
      "rsa-sha2-512",
      "rsa-sha2-256",
    ],
  ]);
  expect([reader.text(), reader.text()]).toEqual(["ping@openssh.com", "0"]);
  reader.end();

  const plain = await openRaw({ proposal: { kex: ["curve25519-sha256"] } });
  plain.server.transport.send(data("first"));
  expect((await plain.peer.next())[0]).toBe(message.channelData);
});

describe("the move from CTR to GCM", () => {
  const ctrFirst = {
    cipherToServer: ["aes128-ctr", "aes128-gcm@openssh.com"],
    cipherToClient: ["aes128-ctr", "aes128-gcm@openssh.com"],
  };
  const ctrOnly = { cipherToServer: ["aes128-ctr"], cipherToClient: ["aes128-ctr"] };

  test.each([
    ["begins for OpenSSH after 1 MiB", "SSH-2.0-OpenSSH_9.2p1", ctrFirst, true],
    ["does not begin for an OpenSSH told to use CTR alone", "SSH-2.0-OpenSSH_9.2p1", ctrOnly, false],
    ["does not begin for others", "SSH-2.0-dropbear_2022.83", ctrFirst, false],
  ] as const)("%s", async (_case, identification, proposal, begins) => {
    const { peer, server } = await openRaw({ identification, proposal });
    server.transport.trust();
    for (let at = 0; at < 40; at++) peer.send(data(Buffer.alloc(32_000)));
    await server.told.until(() => server.told.messages.length === 40);
    server.transport.send(data("mark"));
    await peer.nextOf(begins ? message.kexInit : message.channelData);
    expect(server.transport.agreement.cipherToServer).toBe("aes128-ctr");
  });

  test("ends on GCM both ways and does not begin again", async () => {
    const { peer, server } = await openRaw({ identification: "SSH-2.0-OpenSSH_9.2p1", proposal: ctrFirst });
    server.transport.trust();
    for (let at = 0; at < 40; at++) peer.send(data(Buffer.alloc(32_000)));
    await peer.exchangeKeys();
    expect(server.transport.agreement).toMatchObject({
      cipherToServer: "aes128-gcm@openssh.com",
      cipherToClient: "aes128-gcm@openssh.com",
    });
    for (let at = 0; at < 40; at++) peer.send(data(Buffer.alloc(32_000)));
    await server.told.until(() => server.told.messages.length === 80);
    server.transport.send(data("mark"));
    await peer.nextOf(message.channelData);
    expect(peer.others.some((payload) => payload[0] === message.kexInit)).toBe(false);
  });
});

/**
 * Issue 2: RFC 4253 section 7.1 forbids it, but asyncssh 2.10 goes on sending behind its KEXINIT, so that every upload
 * over its rekey limit was cut off.
 */
test("Transport takes messages that come between a trusted peer's KEXINIT and its NEWKEYS, in order", async () => {
  const { peer, server } = await openRaw();
  server.transport.trust();
  peer.send(data("before"));
  await peer.exchangeKeys({
    afterKexInit: () => {
      peer.send(data("behind KEXINIT"));
    },
    beforeNewKeys: () => {
      peer.send(data("before NEWKEYS"));
    },
  });
  peer.send(data("after"));
  await server.told.until(() => server.told.messages.length === 4 || server.told.endings.length > 0);
  expect(server.told.messages.map(textOf)).toEqual(["before", "behind KEXINIT", "before NEWKEYS", "after"]);
});
