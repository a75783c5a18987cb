import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { RawPeer, type ExchangeOptions, type RawPeerOptions } from "../../test/fakes/raw-peer.ts";
import { socketPair } from "../../test/fakes/stream-pairs.ts";
import { data, hostKey, openClient, openRaw, openServer, textOf, type End } from "../../test/fakes/transport-ends.ts";
import { makeProposal, writeKexInit } from "./negotiate.ts";
import { message } from "./numbers.ts";
import { makeSigningKey } from "./private-keys.ts";
import { WireWriter } from "./wire.ts";

const ignore = new WireWriter().byte(message.ignore).string("").done();
const lax = { kex: ["curve25519-sha256", "ext-info-c"] };

/** A server of ours that has not been spoken to, and who is going to. */
async function meet(options: Omit<RawPeerOptions, "stream"> = {}): Promise<{ peer: RawPeer; server: End }> {
  const [near, far] = await socketPair();
  return { server: openServer(far, new HandClock()), peer: new RawPeer({ stream: near, ...options }) };
}

async function violationOf(server: End): Promise<unknown> {
  const ending = await server.told.untilEnded();
  return ending.cause instanceof Error ? ending.cause.message : ending;
}

describe("strict key exchange (OpenSSH PROTOCOL section 1.10)", () => {
  test("refuses whatever comes before the first KEXINIT", async () => {
    for (const early of [
      ignore,
      Buffer.of(message.debug, 0, 0, 0, 0, 0, 0, 0, 0, 0),
      Buffer.of(message.unimplemented, 0, 0, 0, 0),
    ]) {
      const { peer, server } = await meet();
      await peer.greet();
      peer.send(early);
      await expect(peer.exchangeKeys()).rejects.toThrow("a peer broke the SSH protocol");
      expect(await violationOf(server)).toBe("Cannot read a packet: KEXINIT was not the first message");
    }
  });

  test.each([
    ["behind KEXINIT", "afterKexInit"],
    ["before NEWKEYS", "beforeNewKeys"],
  ] as const)("refuses IGNORE %s of the first exchange", async (_case, send) => {
    const { peer, server } = await meet();
    const inject = (): void => {
      peer.send(ignore);
    };
    await peer.start({ [send]: inject }).catch(() => undefined); // it may have the server's NEWKEYS already
    expect(await violationOf(server)).toBe("Cannot read a packet: message 2 in the first key exchange");
  });

  /** The attack of CVE-2023-48795: one packet more before the keys, one less behind them, numbers that fit again. */
  test("notices that EXT_INFO was cut out behind an IGNORE put in (Terrapin)", async () => {
    const [near, far] = await socketPair();
    const client = openClient(near, new HandClock());
    const peer = new RawPeer({ stream: far, hostKey });
    const inject = (): void => {
      peer.send(ignore);
    };
    await peer.start({ beforeNewKeys: inject }).catch(() => undefined);
    expect(await violationOf(client)).toBe("Cannot read a packet: message 2 in the first key exchange");
  });

  test("starts both numbers at 0 with each new keys, which a peer that does not cannot follow", async () => {
    const strict = await openRaw({ proposal: { ...ctr } });
    expect([strict.peer.isStrict, strict.peer.sendSequence]).toEqual([true, 0]);
    strict.peer.send(data("in step"));
    await strict.server.told.until(() => strict.server.told.messages.length === 1);
    await strict.peer.exchangeKeys();
    strict.peer.sendSequence = 5;
    strict.peer.send(data("out of step"));
    expect(await violationOf(strict.server)).toBe("Cannot read a packet: the MAC does not match");
  });

  test("is not asked of a peer that does not offer it: its numbers run on, and IGNORE may stand anywhere", async () => {
    const { peer, server } = await meet({ proposal: { ...ctr, ...lax } });
    await peer.greet();
    peer.send(ignore);
    const inject = (): void => {
      peer.send(ignore);
    };
    await peer.exchangeKeys({ afterKexInit: inject, beforeNewKeys: inject });
    expect([peer.isStrict, peer.sendSequence]).toEqual([false, 6]);
    peer.send(data("fine"));
    await server.told.until(() => server.told.messages.length === 1);
    await peer.exchangeKeys();
    peer.send(data("again"));
    await server.told.until(() => server.told.messages.length === 2);
  });

  test("is settled by the first exchange: a later KEXINIT cannot switch it on or off", async () => {
    const options = { proposal: { ...ctr } as Record<string, string[]> };
    const { peer, server } = await openRaw(options);
    options.proposal["kex"] = lax.kex;
    await peer.exchangeKeys();
    peer.send(data("still strict"));
    await server.told.until(() => server.told.messages.length === 1);
  });
});

/** A cipher with a MAC, where the packet's number counts. */
const ctr = {
  cipherToServer: ["aes128-ctr"],
  cipherToClient: ["aes128-ctr"],
};

describe("the order of messages (RFC 4253 section 7)", () => {
  const kexInit = writeKexInit(makeProposal("client", ["ssh-ed25519"]));
  const initiate = new WireWriter().byte(message.kexInitiate).string(Buffer.alloc(32, 9)).done();
  const newKeys = Buffer.of(message.newKeys);
  test.each<[string, Buffer[], string]>([
    ["the method's first message before KEXINIT", [initiate], "message 30 before KEXINIT"],
    ["NEWKEYS before KEXINIT", [newKeys], "message 21 before KEXINIT"],
    ["a second KEXINIT", [kexInit, kexInit], "a second KEXINIT"],
    ["NEWKEYS instead of the method's first message", [kexInit, newKeys], "NEWKEYS before the exchange is done"],
    ["the method's reply from a client", [kexInit, Buffer.of(message.kexReply)], "message 31 out of turn"],
    ["a message of another method", [kexInit, Buffer.of(34)], "message 34 out of turn"],
    ["a service request", [kexInit, Buffer.of(message.serviceRequest)], "message 5 in the first key exchange"],
    ["a login before the keys", [Buffer.of(message.userauthRequest)], "message 50 in the first key exchange"],
    ["a channel before the keys", [kexInit, Buffer.of(message.channelOpen)], "message 90 in the first key exchange"],
    ["a ping before the keys", [Buffer.of(message.ping)], "message 192 in the first key exchange"],
    ["a KEXINIT cut short", [kexInit.subarray(0, 40)], "bytes announced"],
    ["a first message cut short", [kexInit, Buffer.of(30, 0, 0, 0, 9, 1)], "9 bytes announced, 1 left"],
    [
      "a first message with more behind it",
      [kexInit, Buffer.concat([initiate, Buffer.of(1)])],
      "1 bytes after the end",
    ],
  ])("refuses %s", async (_case, messages, expected) => {
    const { peer, server } = await meet();
    await peer.greet();
    for (const payload of messages) peer.send(payload);
    expect(await peer.untilClosed()).toBe("a peer broke the SSH protocol");
    expect(await violationOf(server)).toContain(expected);
  });

  test("refuses the method's first message a second time, and NEWKEYS a second time", async () => {
    for (const extra of [initiate, newKeys]) {
      const { peer, server } = await meet();
      const inject = (): void => {
        peer.send(extra);
      };
      await peer.start({ beforeNewKeys: inject }).catch(() => undefined);
      expect(await violationOf(server)).toMatch(/^Cannot (exchange keys|read a packet): /);
    }
  });

  test("drops a wrongly guessed packet, and only that one", async () => {
    const { peer, server } = await meet({
      proposal: { kex: ["ecdh-sha2-nistp256", "curve25519-sha256"], guessFollows: true },
    });
    await peer.start({ guess: new WireWriter().byte(message.kexInitiate).string("a guess for another method").done() });
    expect(server.transport.agreement.kex).toBe("ecdh-sha2-nistp256");
  });

  test("takes a rightly guessed packet as the real one", async () => {
    const { peer, server } = await meet({
      proposal: { kex: ["mlkem768x25519-sha256"], hostKey: ["ssh-ed25519"], guessFollows: true },
    });
    await peer.start();
    expect(server.transport.agreement.kex).toBe("mlkem768x25519-sha256");
  });
});

test("a server says which kind of algorithm is not in common, and what it offers", async () => {
  const { peer } = await meet({ proposal: { macToServer: ["hmac-md5"], ...ctr } });
  await peer.greet();
  await expect(peer.exchangeKeys()).rejects.toThrow("Cannot agree on a MAC");
  expect(await peer.untilClosed()).toBe(
    "no MAC in common; offered here: hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256",
  );
});

describe("as a client", () => {
  async function serve(options: ExchangeOptions, key = hostKey, lines = ""): Promise<{ client: End; peer: RawPeer }> {
    const [near, far] = await socketPair();
    const client = openClient(near, new HandClock());
    const peer = new RawPeer({ stream: far, hostKey: key });
    far.write(lines);
    await peer.start(options).catch(() => undefined);
    return { client, peer };
  }

  test("takes the expected host key, whatever the server said before its identification", async () => {
    const { client, peer } = await serve({}, hostKey, "welcome to\r\nthe machine\r\n");
    await client.told.untilReady();
    expect(client.transport.sessionId).toEqual(peer.sessionId);
    client.transport.send(data("hello"));
    expect(textOf(await peer.nextOf(message.channelData))).toBe("hello");
  });

  test("refuses another host key, whose signature is right", async () => {
    const { client } = await serve({}, makeSigningKey(generateKeyPairSync("ed25519").privateKey));
    expect(await violationOf(client)).toBe("Cannot exchange keys: the host key is not the expected one");
    expect(client.told.readyCount).toBe(0);
  });

  test.each<[string, (signature: Buffer) => Buffer]>([
    ["changed by one bit", (signature) => Buffer.from(signature.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))],
    ["cut short", (signature) => signature.subarray(0, -1)],
    ["empty", () => Buffer.alloc(0)],
    ["over other bytes", () => hostKey.sign("ssh-ed25519", Buffer.from("other"))],
    [
      "named as of another algorithm",
      (signature) => Buffer.concat([Buffer.from("\0\0\0\x07ssh-rsa"), signature.subarray(15)]),
    ],
  ])("refuses a host signature that is %s", async (_case, signature) => {
    const { client } = await serve({ signature });
    expect(await violationOf(client)).toBe("Cannot exchange keys: the host signature is wrong");
    expect(client.told.readyCount).toBe(0);
  });

  test("sends nothing but its side of the exchange until the server has proved its key", async () => {
    const [near, far] = await socketPair();
    const client = openClient(near, new HandClock());
    client.transport.send(data("a secret"));
    const peer = new RawPeer({ stream: far, hostKey });
    await peer.greet();
    const seen = [await peer.next()];
    peer.send(writeKexInit(makeProposal("server", ["ssh-ed25519"])));
    seen.push(await peer.next());
    for (let at = 0; at < 20; at++) await turn();
    expect(seen.map((payload) => payload[0])).toEqual([message.kexInit, message.kexInitiate]);
    near.destroy();
    await once(near, "close");
  });
});
