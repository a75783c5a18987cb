import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { RawPeer } from "../../test/fakes/raw-peer.ts";
import { socketPair } from "../../test/fakes/stream-pairs.ts";
import { hostKey, openClient, openPair } from "../../test/fakes/transport-ends.ts";
import { isAuthenticated, sendAuthentication } from "./auth-client.ts";
import { AuthServer, type Verified } from "./auth-server.ts";
import { message } from "./numbers.ts";
import { makeSigningKey } from "./private-keys.ts";
import { WireWriter } from "./wire.ts";

const ed25519 = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
const rsa = makeSigningKey(generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey);

test.each([
  ["Ed25519", ed25519],
  ["RSA", rsa],
])("sendAuthentication() proves a key of %s to our own server in one go", async (_case, key) => {
  const { client, server } = await openPair(await socketPair());
  const verified: Verified[] = [];
  const auth = new AuthServer(server.transport, {
    isKnown: (blob) => blob.equals(key.blob),
    keysMax: 1,
    onVerified: (who) => {
      verified.push(who);
      auth.showBanner("welcome\r\n");
      auth.succeed();
    },
    onFailed: () => {},
  });
  server.told.onMessage = (payload) => {
    auth.take(payload);
  };
  const answers: boolean[] = [];
  client.told.onMessage = (payload) => answers.push(isAuthenticated(payload));
  sendAuthentication(client.transport, "dev", key);
  await client.told.until(() => answers.includes(true));
  expect(answers).toEqual([false, false, true]);
  expect(verified).toEqual([{ login: "dev", keyBlob: key.blob }]);
});

test("sendAuthentication() signs for this session: the same bytes are worth nothing in another", async () => {
  const requests: Buffer[] = [];
  for (let round = 0; round < 2; round++) {
    const [near, far] = await socketPair();
    const client = openClient(near, new HandClock());
    const peer = new RawPeer({ stream: far, hostKey });
    await peer.start();
    await client.told.untilReady();
    sendAuthentication(client.transport, "dev", ed25519);
    await peer.nextOf(message.serviceRequest);
    requests.push(await peer.nextOf(message.userauthRequest));
    near.destroy();
  }
  const [first, second] = requests;
  expect(first?.subarray(0, -64)).toEqual(second?.subarray(0, -64));
  expect(first?.subarray(-64)).not.toEqual(second?.subarray(-64));
});

test("isAuthenticated() throws runtime.failed when the key is refused", () => {
  const refusal = new WireWriter().byte(message.userauthFailure).nameList(["publickey"]).boolean(false).done();
  expect(() => isAuthenticated(refusal)).toThrow(expect.objectContaining({ code: "runtime.failed" }) as Error);
});

test.each([message.userauthPkOk, message.userauthRequest, message.globalRequest, message.channelOpen, 0])(
  "isAuthenticated() throws protocol.violated on message %i",
  (number) => {
    expect(() => isAuthenticated(Buffer.of(number))).toThrow(`message ${number} out of turn`);
  },
);
