import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault } from "../base/fault.ts";
import { makeProposal, negotiate, readKexInit, writeKexInit, type Proposal } from "./negotiate.ts";

const server = makeProposal("server", ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]);
const client = makeProposal("client", ["ssh-ed25519"]);

test("negotiate() takes the client's first choice of each kind that the server has too", () => {
  const agreed = negotiate(
    {
      ...client,
      kex: ["diffie-hellman-group14-sha256", "ecdh-sha2-nistp256", "curve25519-sha256", "ext-info-c"],
      hostKey: ["ssh-dss", "rsa-sha2-256", "ssh-ed25519"],
      cipherToServer: ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes128-gcm@openssh.com"],
      cipherToClient: ["aes256-gcm@openssh.com"],
      macToServer: ["umac-64@openssh.com", "hmac-sha2-256", "hmac-sha2-256-etm@openssh.com"],
    },
    server,
  );
  expect(agreed).toEqual({
    kex: "ecdh-sha2-nistp256",
    hostKey: "rsa-sha2-256",
    cipherToServer: "aes128-ctr",
    cipherToClient: "aes256-gcm@openssh.com",
    macToServer: "hmac-sha2-256",
    macToClient: undefined,
    dropGuess: false,
  });
});

test("negotiate() prefers the post-quantum method and AES-GCM between two of ours", () => {
  expect(negotiate(client, server)).toMatchObject({
    kex: "mlkem768x25519-sha256",
    cipherToServer: "aes128-gcm@openssh.com",
    cipherToClient: "aes128-gcm@openssh.com",
    macToServer: undefined,
  });
});

test("negotiate() asks for no common MAC where the cipher authenticates by itself", () => {
  const agreed = negotiate({ ...client, macToServer: ["umac-64@openssh.com"], macToClient: [] }, server);
  expect(agreed).toMatchObject({ macToServer: undefined, macToClient: undefined });
});

test.each<[string, Partial<Proposal>]>([
  ["key-exchange method", { kex: ["diffie-hellman-group1-sha1"] }],
  ["host-key algorithm", { hostKey: ["ssh-rsa"] }],
  ["cipher", { cipherToServer: ["3des-cbc"] }],
  ["cipher", { cipherToClient: [] }],
  ["MAC", { cipherToServer: ["aes128-ctr"], macToServer: ["hmac-sha1"] }],
  ["compression", { compressionToServer: ["zlib"] }],
  ["compression", { compressionToClient: ["zlib@openssh.com"] }],
])("negotiate() names the %s when there is none in common", (kind, offer) => {
  expect(() => negotiate({ ...client, ...offer }, server)).toThrow(
    expect.objectContaining({
      code: "protocol.unmatched",
      message: expect.stringContaining(`Cannot agree on a ${kind}:`) as string,
      told: expect.stringContaining(`no ${kind} in common; offered here: `) as string,
    }) as Fault,
  );
});

test("negotiate() never agrees on a marker as the method, though both sides list one", () => {
  const markers = ["ext-info-c", "kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com"];
  expect(() => negotiate({ ...client, kex: markers }, { ...server, kex: markers })).toThrow("key-exchange method");
});

test.each<[boolean, string, Partial<Proposal>]>([
  [false, "the guess is right", {}],
  [true, "its method is not the server's first", { kex: ["curve25519-sha256", "mlkem768x25519-sha256"] }],
  [true, "its host key is not the server's first", { hostKey: ["rsa-sha2-512", "ssh-ed25519"] }],
])("negotiate() says dropGuess %s when the client guessed and %s", (dropGuess, _case, offer) => {
  expect(negotiate({ ...client, guessFollows: true, ...offer }, server).dropGuess).toBe(dropGuess);
  expect(negotiate({ ...client, guessFollows: false, ...offer }, server).dropGuess).toBe(false);
});

test("makeProposal() marks strict key exchange on both sides and ext-info on the client's alone", () => {
  expect(server.kex.slice(-1)).toEqual(["kex-strict-s-v00@openssh.com"]);
  expect(client.kex.slice(-2)).toEqual(["ext-info-c", "kex-strict-c-v00@openssh.com"]);
});

test("readKexInit() reads what writeKexInit() wrote, and each has a cookie of its own", () => {
  const list = fc.array(fc.stringMatching(/^[a-z0-9@.-]{1,12}$/), { maxLength: 5 });
  const proposal = fc.record({
    kex: list,
    hostKey: list,
    cipherToServer: list,
    cipherToClient: list,
    macToServer: list,
    macToClient: list,
    compressionToServer: list,
    compressionToClient: list,
    guessFollows: fc.boolean(),
  });
  fc.assert(
    fc.property(proposal, (offered) => {
      expect(readKexInit(writeKexInit(offered))).toEqual(offered);
    }),
    { seed: 4253 },
  );
  expect(writeKexInit(client).subarray(1, 17)).not.toEqual(writeKexInit(client).subarray(1, 17));
});

test("readKexInit() refuses a message cut short at any byte, and one with bytes behind its end", () => {
  const whole = writeKexInit(client);
  for (let length = 1; length < whole.length; length++) {
    expect(() => readKexInit(whole.subarray(0, length))).toThrow(Fault);
  }
  expect(() => readKexInit(Buffer.concat([whole, Buffer.of(0)]))).toThrow("1 bytes after the end");
});
