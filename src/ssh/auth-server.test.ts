import { generateKeyPairSync } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { RawPeer } from "../../test/fakes/raw-peer.ts";
import { openRaw, type End } from "../../test/fakes/transport-ends.ts";
import { AuthServer, signedData, type Verified } from "./auth-server.ts";
import { message } from "./numbers.ts";
import { makeSigningKey, type SigningKey } from "./private-keys.ts";
import { WireReader, WireWriter } from "./wire.ts";

const ada = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
const bob = makeSigningKey(generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey);
const eve = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
const old = makeSigningKey(generateKeyPairSync("rsa", { modulusLength: 1_024 }).privateKey);

let peer: RawPeer;
let server: End;
let auth: AuthServer;
let verified: Verified[];
let failed: Buffer[];

/** A server of ours that knows Ada, Bob and a key that is too short, and a client before its first request. */
beforeEach(async () => {
  ({ peer, server } = await openRaw());
  verified = [];
  failed = [];
  auth = new AuthServer(server.transport, {
    isKnown: (blob) => [ada, bob, old].some((key) => key.blob.equals(blob)),
    keysMax: 20,
    onVerified: (who) => verified.push({ ...who, keyBlob: Buffer.from(who.keyBlob) }),
    onFailed: (blob) => failed.push(Buffer.from(blob)),
  });
  server.told.onMessage = (payload) => {
    auth.take(payload);
  };
  return () => {
    peer.stream.destroy();
  };
});

const serviceRequest = new WireWriter().byte(message.serviceRequest).string("ssh-userauth").done();

async function askService(): Promise<void> {
  peer.send(serviceRequest);
  await peer.nextOf(message.serviceAccept);
}

function request(login: string | Buffer, method: string): WireWriter {
  return new WireWriter().byte(message.userauthRequest).string(login).string("ssh-connection").string(method);
}

function offer(login: string, key: SigningKey, algorithm = key.algorithms[0] ?? ""): Buffer {
  return request(login, "publickey").boolean(false).string(algorithm).string(key.blob).done();
}

interface Signing {
  readonly login?: string | Buffer;
  readonly key?: SigningKey;
  readonly algorithm?: string;
  /** What is signed, where that differs from what is said. */
  readonly signed?: Partial<{ sessionId: Buffer; login: string; algorithm: string; blob: Buffer; key: SigningKey }>;
}

function signing({ login = "x", key = ada, algorithm = key.algorithms[0] ?? "", signed = {} }: Signing = {}): Buffer {
  const data = signedData(
    signed.sessionId ?? peer.sessionId ?? Buffer.alloc(0),
    Buffer.from(signed.login ?? login),
    signed.algorithm ?? algorithm,
    signed.blob ?? key.blob,
  );
  const signature = (signed.key ?? key).sign(algorithm, data);
  return request(login, "publickey").boolean(true).string(algorithm).string(key.blob).string(signature).done();
}

/** The number of the next answer; everything else that we say is read over. */
async function answerTo(payload: Buffer): Promise<number | undefined> {
  peer.send(payload);
  let answer = await peer.next();
  while (answer[0] === message.extInfo) answer = await peer.next();
  return answer[0];
}

test("AuthServer lets a known key in that signed for this session, with the login of that very message", async () => {
  await askService();
  peer.send(signing({ login: "hello-main" }));
  await server.told.until(() => verified.length === 1);
  expect(verified).toEqual([{ login: "hello-main", keyBlob: ada.blob }]);
  auth.succeed();
  await peer.nextOf(message.userauthSuccess);
});

test("AuthServer answers an offer of a known key with that key and algorithm, and then takes its signature", async () => {
  await askService();
  peer.send(offer("x", bob, "rsa-sha2-256"));
  const reader = new WireReader(await peer.nextOf(message.userauthPkOk), 1);
  expect([reader.text(), reader.string()]).toEqual(["rsa-sha2-256", bob.blob]);
  peer.send(signing({ key: bob, algorithm: "rsa-sha2-256" }));
  await server.told.until(() => verified.length === 1);
  expect(verified[0]?.keyBlob).toEqual(bob.blob);
});

describe("an identity comes from the verified message alone (CVE-2024-45337)", () => {
  beforeEach(askService);

  test("an offer of Ada's key changes nothing about Bob's signature", async () => {
    expect(await answerTo(offer("x", ada))).toBe(message.userauthPkOk);
    peer.send(signing({ key: bob }));
    await server.told.until(() => verified.length === 1);
    expect(verified).toEqual([{ login: "x", keyBlob: bob.blob }]);
  });

  test("an offer of Ada's key does not lend its place to Eve's", async () => {
    expect(await answerTo(offer("x", ada))).toBe(message.userauthPkOk);
    expect(await answerTo(signing({ key: eve }))).toBe(message.userauthFailure);
    expect(await answerTo(signing({ key: ada, signed: { key: eve } }))).toBe(message.userauthFailure);
    expect(verified).toEqual([]);
  });

  test("the login is that of the signature, whatever was offered before", async () => {
    expect(await answerTo(offer("secret-main", ada))).toBe(message.userauthPkOk);
    peer.send(signing({ login: "hello-main" }));
    await server.told.until(() => verified.length === 1);
    expect(verified[0]?.login).toBe("hello-main");
  });

  test("a login as bytes that are no UTF-8 is signed as bytes and told with U+FFFD", async () => {
    const login = Buffer.from([0x68, 0xff, 0x2d]);
    const data = signedData(peer.sessionId ?? Buffer.alloc(0), login, "ssh-ed25519", ada.blob);
    const signature = ada.sign("ssh-ed25519", data);
    peer.send(
      request(login, "publickey").boolean(true).string("ssh-ed25519").string(ada.blob).string(signature).done(),
    );
    await server.told.until(() => verified.length === 1);
    expect(verified[0]?.login).toBe("h�-");
  });

  test.each<[string, Signing]>([
    ["over another session's id", { signed: { sessionId: Buffer.alloc(32, 1) } }],
    ["over another login", { login: "x", signed: { login: "y" } }],
    ["over another algorithm", { key: bob, algorithm: "rsa-sha2-512", signed: { algorithm: "rsa-sha2-256" } }],
    ["over another key", { signed: { blob: bob.blob } }],
    ["of an unknown key", { key: eve }],
    ["of a known key that is too short", { key: old }],
    ["by an algorithm that is not its key's", { key: ada, algorithm: "rsa-sha2-512", signed: { key: bob } }],
  ])("a signature %s is refused", async (_case, options) => {
    expect(await answerTo(signing(options))).toBe(message.userauthFailure);
    expect(verified).toEqual([]);
    expect(failed).toHaveLength(1);
  });
});

describe("what is refused and may be tried again", () => {
  beforeEach(askService);

  test.each([
    ["none", request("x", "none").done()],
    ["password", request("x", "password").boolean(false).string("hunter2").done()],
    ["keyboard-interactive", request("x", "keyboard-interactive").string("").string("").done()],
    ["hostbased", request("x", "hostbased").string("anything at all").done()],
    ["OpenSSH's host-bound publickey", request("x", "publickey-hostbound-v00@openssh.com").boolean(false).done()],
    ["another service", new WireWriter().byte(50).string("x").string("ssh-other").string("publickey").done()],
    ["ssh-rsa with SHA-1", request("x", "publickey").boolean(false).string("ssh-rsa").string(bob.blob).done()],
    ["an unknown key", offer("x", eve)],
    ["a blob that is no key", request("x", "publickey").boolean(false).string("ssh-ed25519").string("junk").done()],
    ["a known key that is too short", offer("x", old)],
  ])("AuthServer answers %s with what can continue: publickey", async (_case, payload) => {
    peer.send(payload);
    const reader = new WireReader(await peer.nextOf(message.userauthFailure), 1);
    expect([reader.nameList(), reader.boolean()]).toEqual([["publickey"], false]);
    peer.send(signing());
    await server.told.until(() => verified.length === 1);
  });

  test("AuthServer takes the twentieth key and ends the connection at the twenty-first", async () => {
    for (let at = 0; at < 19; at++) {
      expect(await answerTo(offer("x", makeSigningKey(generateKeyPairSync("ed25519").privateKey)))).toBe(51);
    }
    expect(await answerTo(offer("x", ada))).toBe(message.userauthPkOk);
    peer.send(signing({ key: ada, signed: { login: "other" } }));
    await peer.nextOf(message.userauthFailure);
    peer.send(offer("x", bob));
    expect(await peer.untilClosed()).toBe("Too many keys tried, at most 20");
    expect(failed).toHaveLength(20);
  });

  /** Issue 2: an offer of the key that was offered last counted as its signature, so it could be sent without end. */
  test("AuthServer counts each offer of one and the same key", async () => {
    for (let at = 0; at < 20; at++) expect(await answerTo(offer("x", eve))).toBe(message.userauthFailure);
    peer.send(offer("x", eve));
    expect(await peer.untilClosed()).toBe("Too many keys tried, at most 20");
  });

  test("AuthServer counts a second signature behind one offer", async () => {
    peer.send(offer("x", ada));
    for (let at = 0; at < 20; at++) peer.send(signing({ key: ada, signed: { login: "other" } }));
    peer.send(signing());
    expect(await peer.untilClosed()).toBe("Too many keys tried, at most 20");
    expect(verified).toEqual([]);
  });

  test("AuthServer ends the connection at the twenty-first request without a key", async () => {
    for (let at = 0; at < 20; at++) expect(await answerTo(request("x", "none").done())).toBe(message.userauthFailure);
    peer.send(request("x", "none").done());
    expect(await peer.untilClosed()).toBe("Too many keys tried, at most 20");
  });
});

describe("what has no place", () => {
  test.each<[string, Buffer[]]>([
    ["a login before the service", [request("x", "none").done()]],
    ["the service asked for twice", [serviceRequest, serviceRequest]],
    ["a channel before the login", [serviceRequest, Buffer.of(message.channelOpen, 0, 0, 0, 0)]],
    ["a global request before the login", [serviceRequest, Buffer.of(message.globalRequest, 0, 0, 0, 0, 0)]],
    ["SUCCESS from a client", [serviceRequest, Buffer.of(message.userauthSuccess)]],
    ["a user name of 1,025 bytes", [serviceRequest, request(Buffer.alloc(1_025, 97), "none").done()]],
    ["bytes behind a request", [serviceRequest, Buffer.concat([offer("x", ada), Buffer.of(0)])]],
  ])("AuthServer refuses %s", async (_case, payloads) => {
    for (const payload of payloads) peer.send(payload);
    expect(await peer.untilClosed()).toBe("a peer broke the SSH protocol");
    expect(verified).toEqual([]);
  });

  test("AuthServer offers no other service and says so", async () => {
    peer.send(new WireWriter().byte(message.serviceRequest).string("ssh-connection\x1b[2J").done());
    expect(await peer.untilClosed()).toBe('the service "ssh-connection\\u001b[2J" is not offered');
  });

  test("AuthServer ends the connection at a request cut short anywhere, and never lets it in", async () => {
    await askService();
    const whole = signing();
    const cut = fc.sample(fc.integer({ min: 2, max: whole.length - 1 }), { numRuns: 12, seed: 4252 });
    for (const length of cut) {
      const other = await openRaw();
      const told: Verified[] = [];
      const taker = new AuthServer(other.server.transport, {
        isKnown: () => true,
        keysMax: 20,
        onVerified: (who) => told.push(who),
        onFailed: () => {},
      });
      other.server.told.onMessage = (payload) => {
        taker.take(payload);
      };
      other.peer.send(serviceRequest);
      other.peer.send(whole.subarray(0, length));
      expect(await other.peer.untilClosed()).toBe("a peer broke the SSH protocol");
      expect(told).toEqual([]);
    }
  });
});

describe("once a signature has verified", () => {
  beforeEach(async () => {
    await askService();
    peer.send(signing());
    await server.told.until(() => verified.length === 1);
  });

  /** RFC 4252 section 5.1: a client may send requests ahead of our answers; those behind the success are ignored. */
  test("AuthServer ignores further requests, before and after it says so, and tells of one identity only", async () => {
    peer.send(signing({ key: bob, login: "other" }));
    peer.send(request("x", "none").done());
    await server.told.until(() => server.told.messages.length === 4);
    auth.succeed();
    await peer.nextOf(message.userauthSuccess);
    peer.send(signing({ key: bob, login: "other" }));
    await server.told.until(() => server.told.messages.length === 5);
    expect(verified).toHaveLength(1);
    expect(server.transport.hasEnded).toBe(false);
  });

  test("AuthServer shows banners until it lets in, and lets in once", async () => {
    auth.showBanner("slipway: checking out\r\n");
    const reader = new WireReader(await peer.nextOf(message.userauthBanner), 1);
    expect([reader.text(), reader.text()]).toEqual(["slipway: checking out\r\n", ""]);
    auth.succeed();
    expect(() => {
      auth.succeed();
    }).toThrow("authentication is done, needs verified");
  });

  test("AuthServer refuses the service asked for again", async () => {
    peer.send(serviceRequest);
    expect(await peer.untilClosed()).toBe("a peer broke the SSH protocol");
  });
});

test("AuthServer cannot let in whom it has not verified", () => {
  expect(() => {
    auth.succeed();
  }).toThrow("authentication is service, needs verified");
});

describe("AuthServer while it is found out whether a key is known", () => {
  let answer: PromiseWithResolvers<boolean>;
  let asked: { key: Buffer; login: string }[];

  beforeEach(async () => {
    answer = Promise.withResolvers();
    asked = [];
    auth = new AuthServer(server.transport, {
      isKnown: (blob, login) => {
        asked.push({ key: Buffer.from(blob), login });
        return ada.blob.equals(blob) ? true : answer.promise;
      },
      keysMax: 20,
      onVerified: (who) => verified.push({ ...who, keyBlob: Buffer.from(who.keyBlob) }),
      onFailed: (blob) => failed.push(Buffer.from(blob)),
    });
    await askService();
  });

  test("keeps what comes meanwhile and answers in order", async () => {
    peer.send(offer("hello-main", bob));
    peer.send(offer("hello-main", ada));
    await server.told.until(() => asked.length > 0);
    expect(asked).toEqual([{ key: bob.blob, login: "hello-main" }]);
    answer.resolve(false);
    expect((await peer.next())[0]).toBe(message.userauthFailure);
    expect((await peer.next())[0]).toBe(message.userauthPkOk);
    expect(failed).toEqual([bob.blob]);
  });

  test("verifies the signature of the very request that had to wait", async () => {
    peer.send(signing({ login: "hello-main", key: bob }));
    await server.told.until(() => asked.length > 0);
    expect(verified).toEqual([]);
    answer.resolve(true);
    while (verified.length === 0) await turn();
    expect(verified).toEqual([{ login: "hello-main", keyBlob: bob.blob }]);
  });

  test("takes a failure to find out for a no", async () => {
    peer.send(offer("hello-main", bob));
    await server.told.until(() => asked.length > 0);
    answer.reject(new Error("Cannot ask the forge: it is away"));
    expect((await peer.next())[0]).toBe(message.userauthFailure);
  });

  test("ends a peer that sends more and more ahead", async () => {
    for (let count = 0; count < 12; count++) peer.send(offer("hello-main", bob));
    await server.told.until(() => server.told.endings.length > 0);
    expect(server.told.endings[0]?.text).toMatch(/broke the SSH protocol/);
    answer.resolve(true);
    await answer.promise;
    expect(asked).toHaveLength(1);
  });
});
