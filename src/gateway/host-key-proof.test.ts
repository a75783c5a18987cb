import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { openRaw } from "../../test/fakes/transport-ends.ts";
import { makeSigningKey } from "../ssh/private-keys.ts";
import { readPublicKey } from "../ssh/public-keys.ts";
import { WireReader, WireWriter } from "../ssh/wire.ts";
import { announceHostKeys, proveHostKeys } from "./host-key-proof.ts";

const first = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
const next = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
const rsa = makeSigningKey(generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey);
const stranger = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
const keys = [first, next, rsa];

function ask(...blobs: Buffer[]): Buffer {
  const writer = new WireWriter();
  for (const blob of blobs) writer.string(blob);
  return writer.done();
}

test("announceHostKeys() names every key in a request without reply (OpenSSH PROTOCOL section 2.5)", () => {
  const reader = new WireReader(announceHostKeys(keys));
  expect([reader.byte(), reader.text(), reader.boolean()]).toEqual([80, "hostkeys-00@openssh.com", false]);
  expect([reader.string(), reader.string(), reader.string()]).toEqual(keys.map(({ blob }) => blob));
  reader.end();
});

test("proveHostKeys() signs each key asked for with that key, bound to the session, in the order asked", async () => {
  const { peer, server } = await openRaw();
  const asked = [rsa, first];
  const proof = proveHostKeys(keys, server.transport, ask(...asked.map(({ blob }) => blob)));
  const reader = new WireReader(proof ?? Buffer.alloc(0));
  for (const key of asked) {
    const signed = new WireWriter()
      .string("hostkeys-prove-00@openssh.com")
      .string(peer.sessionId ?? "")
      .string(key.blob)
      .done();
    expect(readPublicKey(key.blob).verifies(key.algorithms[0] ?? "", signed, reader.string())).toBe(true);
  }
  reader.end();
  peer.stream.destroy();
});

test("proveHostKeys() proves nothing when one key is not ours, or more are asked for than there are", async () => {
  const { peer, server } = await openRaw();
  expect(proveHostKeys(keys, server.transport, ask(first.blob, stranger.blob))).toBeUndefined();
  expect(proveHostKeys(keys, server.transport, ask(...Array.from({ length: 5 }, () => first.blob)))).toBeUndefined();
  peer.stream.destroy();
});

test("proveHostKeys() throws protocol.violated at a request cut short", async () => {
  const { peer, server } = await openRaw();
  const whole = ask(first.blob);
  for (const length of [1, 4, whole.length - 1]) {
    expect(() => proveHostKeys(keys, server.transport, whole.subarray(0, length))).toThrow(
      expect.objectContaining({ code: "protocol.violated" }) as Error,
    );
  }
  peer.stream.destroy();
});
