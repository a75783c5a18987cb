import { createHash, createPublicKey, diffieHellman, encapsulate, generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { Fault } from "../base/fault.ts";
import { kexMethods, type KexMethod } from "./kex-methods.ts";
import { WireReader } from "./wire.ts";

function methodOf(name: string): KexMethod {
  const method = kexMethods.get(name);
  if (method === undefined) throw new Error(`${name} is not there`);
  return method;
}

const names = [...kexMethods.keys()];

test.each(names)("%s gives both roles the same secret, and a new one each time", (name) => {
  const method = methodOf(name);
  const seen = new Set<string>();
  // 40 rounds: one in 256 secrets begins with a zero byte and one in two has its sign bit set, where an mpint differs.
  for (let round = 0; round < 40; round++) {
    const client = method.begin();
    const server = method.answer(client.init);
    const secret = client.finish(server.reply);
    expect(secret).toEqual(server.secret);
    seen.add(secret.toString("hex"));
  }
  expect(seen.size).toBe(40);
});

test.each(names)("%s refuses public values of every wrong length, in both roles", (name) => {
  const method = methodOf(name);
  const { init } = method.begin();
  const { reply } = method.answer(init);
  for (const length of [0, 1, init.length - 1, init.length + 1, 2 * init.length]) {
    const wrong = Buffer.alloc(length, init);
    expect(() => method.answer(wrong)).toThrow(Fault);
  }
  for (const length of [0, 1, reply.length - 1, reply.length + 1, 2 * reply.length]) {
    expect(() => method.begin().finish(Buffer.alloc(length, reply))).toThrow(Fault);
  }
});

/** The points of small order on Curve25519: with any of them the secret is all zeros (RFC 7748 section 6.1). */
const smallOrder = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((hex) => Buffer.from(hex, "hex"));

test("curve25519-sha256 refuses every point of small order in both roles (RFC 8731 section 3)", () => {
  for (const point of smallOrder) {
    expect(() => methodOf("curve25519-sha256").answer(point)).toThrow("the public value of the peer is invalid");
    expect(() => methodOf("curve25519-sha256").begin().finish(point)).toThrow(
      "the public value of the peer is invalid",
    );
  }
});

test("mlkem768x25519-sha256 refuses a small-order point beside a good ML-KEM half", () => {
  const method = methodOf("mlkem768x25519-sha256");
  const { init } = method.begin();
  const { reply } = method.answer(init);
  for (const point of smallOrder) {
    expect(() => method.answer(Buffer.concat([init.subarray(0, 1_184), point]))).toThrow(Fault);
    const hostile = Buffer.concat([reply.subarray(0, 1_088), point]);
    expect(() => method.begin().finish(hostile)).toThrow(Fault);
  }
});

test("mlkem768x25519-sha256 refuses an ML-KEM key whose numbers are out of range (FIPS 203 section 7.2)", () => {
  const method = methodOf("mlkem768x25519-sha256");
  const { init } = method.begin();
  init.fill(0xff, 0, 1_152);
  expect(() => method.answer(init)).toThrow("the public value of the peer is invalid");
});

test.each([
  ["not on the curve", `04${"11".repeat(64)}`],
  ["the point at infinity", "00"],
  ["all zeros", `04${"00".repeat(64)}`],
  ["compressed and of no point", `02${"ff".repeat(32)}`],
  ["with a form that there is not", `05${"11".repeat(64)}`],
])("ecdh-sha2-nistp256 refuses a point that is %s (RFC 5656 section 4)", (_case, hex) => {
  const point = Buffer.from(hex, "hex");
  expect(() => methodOf("ecdh-sha2-nistp256").answer(point)).toThrow(Fault);
  expect(() => methodOf("ecdh-sha2-nistp256").begin().finish(point)).toThrow(Fault);
});

test.each(["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"])(
  "%s encodes its secret as an mpint: positive and without needless zeros (RFC 4251 section 5)",
  (name) => {
    for (let round = 0; round < 40; round++) {
      const method = methodOf(name);
      const { secret } = method.answer(method.begin().init);
      const bytes = new WireReader(secret).string();
      expect(bytes[0]).toBeLessThan(0x80);
      if (bytes[0] === 0) expect(bytes[1]).toBeGreaterThanOrEqual(0x80);
    }
  },
);

/**
 * The construction of draft-ietf-sshm-mlkem-hybrid-kex sections 2.2 to 2.4, written down a second time from its text:
 * C_INIT = C_PK2 || C_PK1, S_REPLY = S_CT2 || S_PK1, K = SHA-256(K_PQ || K_CL) encoded as a string. Interop with
 * OpenSSH 10.5 was tried by hand on 2026-11-21.
 */
test("mlkem768x25519-sha256 puts ML-KEM first in both messages and in the hash, whose digest is a string", () => {
  const { init, finish } = methodOf("mlkem768x25519-sha256").begin();
  expect(init).toHaveLength(1_184 + 32);
  const spki = (header: string, raw: Buffer): ReturnType<typeof createPublicKey> =>
    createPublicKey({ key: Buffer.concat([Buffer.from(header, "hex"), raw]), format: "der", type: "spki" });
  const pq = encapsulate(spki("308204b2300b0609608648016503040402038204a100", init.subarray(0, 1_184)));
  const pair = generateKeyPairSync("x25519");
  const clientHalf = spki("302a300506032b656e032100", init.subarray(1_184));
  const classical = diffieHellman({ privateKey: pair.privateKey, publicKey: clientHalf });
  const publicKey = pair.publicKey.export({ type: "spki", format: "der" }).subarray(12);
  const digest = createHash("sha256").update(pq.sharedKey).update(classical).digest();
  const expected = Buffer.concat([Buffer.of(0, 0, 0, 32), digest]);
  expect(finish(Buffer.concat([pq.ciphertext, publicKey]))).toEqual(expected);
});
