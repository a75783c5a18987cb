import { expect, test } from "vitest";

import { makeBody, makePlainOpener, payloadOf, plainSealer } from "../../src/ssh/ciphers.ts";
import { readIdentification } from "../../src/ssh/identification.ts";
import { message } from "../../src/ssh/numbers.ts";
import { WireWriter } from "../../src/ssh/wire.ts";
import { HandClock } from "../fakes/hand-clock.ts";
import { socketPair } from "../fakes/stream-pairs.ts";
import { openClient, openServer, type End } from "../fakes/transport-ends.ts";

/** What somebody in the middle does with a packet from before the keys: what is returned goes on in its place. */
type Meddle = (payload: Buffer, from: "client" | "server") => readonly Buffer[];

function frame(payload: Buffer): Buffer {
  const pieces: Buffer[] = [];
  plainSealer.seal(makeBody(payload, plainSealer), 0, (piece) => pieces.push(Buffer.from(piece)));
  return Buffer.concat(pieces);
}

/** A client and a server of ours with somebody in between who can change whatever is not sealed yet. */
async function meetInTheMiddle(meddle: Meddle, line = (text: string) => text): Promise<{ client: End; server: End }> {
  const clock = new HandClock();
  const [clientEnd, nearEnd] = await socketPair();
  const [farEnd, serverEnd] = await socketPair();
  for (const [from, to, who] of [
    [nearEnd, farEnd, "client"],
    [farEnd, nearEnd, "server"],
  ] as const) {
    let input: Buffer = Buffer.alloc(0);
    let state: "line" | "packets" | "sealed" = "line";
    from.on("data", (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      if (state === "line") {
        const found = readIdentification(input, who);
        if (found === undefined) return;
        to.write(`${who === "client" ? line(found.line) : found.line}\r\n`);
        input = input.subarray(found.next);
        state = "packets";
      }
      const opener = makePlainOpener();
      while (state === "packets") {
        const body = opener.open(input, 0, 0, 100_000);
        if (body === undefined) return;
        input = input.subarray(opener.next);
        const payload = payloadOf(body);
        for (const sent of meddle(payload, who)) to.write(frame(sent));
        if (payload[0] === message.newKeys) state = "sealed";
      }
      to.write(input);
      input = Buffer.alloc(0);
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
  }
  const client = openClient(clientEnd, clock);
  const server = openServer(serverEnd, clock);
  return { client, server };
}

/** Puts spaces' worth of nothing where a name was: the length stays, the name is gone. */
function without(payload: Buffer, name: string): Buffer {
  return Buffer.from(payload.toString("latin1").replaceAll(name, "x".repeat(name.length)), "latin1");
}

test.each<[string, Meddle]>([
  [
    "takes the post-quantum method out of what the client offers",
    (payload, from) => [from === "client" && payload[0] === 20 ? without(payload, "mlkem768x25519-sha256") : payload],
  ],
  [
    "takes the post-quantum method out of what the server offers",
    (payload, from) => [from === "server" && payload[0] === 20 ? without(payload, "mlkem768x25519-sha256") : payload],
  ],
  [
    "takes strict key exchange out of both offers",
    (payload) => [
      payload[0] === 20
        ? without(without(payload, "kex-strict-c-v00@openssh.com"), "kex-strict-s-v00@openssh.com")
        : payload,
    ],
  ],
  [
    "takes AES-GCM out of both offers",
    (payload) => [
      payload[0] === 20 ? without(without(payload, "aes128-gcm@openssh.com"), "aes256-gcm@openssh.com") : payload,
    ],
  ],
  [
    "changes the cookie",
    (payload) => {
      const changed = Buffer.from(payload);
      if (payload[0] === 20) changed[1] = (changed[1] ?? 0) ^ 1;
      return [changed];
    },
  ],
  [
    "puts an IGNORE before the server's NEWKEYS",
    (payload, from) =>
      from === "server" && payload[0] === 21
        ? [new WireWriter().byte(message.ignore).string("").done(), payload]
        : [payload],
  ],
  [
    "puts an IGNORE before the client's first packet",
    (payload, from) =>
      from === "client" && payload[0] === 20
        ? [new WireWriter().byte(message.ignore).string("").done(), payload]
        : [payload],
  ],
  [
    "swallows the client's value and sends its own",
    (payload, from) => [from === "client" && payload[0] === 30 ? anotherValue(payload) : payload],
  ],
])("nothing is agreed when somebody in the middle %s", async (_case, meddle) => {
  const { client, server } = await meetInTheMiddle(meddle);
  const [clientEnding, serverEnding] = await Promise.all([client.told.untilEnded(), server.told.untilEnded()]);
  expect([clientEnding, serverEnding].some(({ cause }) => cause !== undefined)).toBe(true);
  expect(client.told.readyCount).toBe(0);
});

test("nothing is agreed when somebody in the middle changes the client's name", async () => {
  const { client } = await meetInTheMiddle(
    (payload) => [payload],
    () => "SSH-2.0-OpenSSH_9.2p1",
  );
  expect(await client.told.untilEnded()).toMatchObject({
    cause: { message: "Cannot exchange keys: the host signature is wrong" },
  });
});

test("everything is agreed when somebody in the middle changes nothing", async () => {
  const { client, server } = await meetInTheMiddle((payload) => [payload]);
  await Promise.all([client.told.untilReady(), server.told.untilReady()]);
  expect(client.transport.sessionId).toEqual(server.transport.sessionId);
  client.transport.disconnect(11, "done");
  await server.told.untilEnded();
});

/** A value of the same method that the one in the middle knows the secret of, as far as its shape goes. */
function anotherValue(payload: Buffer): Buffer {
  const changed = Buffer.from(payload);
  for (let at = changed.length - 32; at < changed.length; at++) changed[at] = at & 0x7f;
  return changed;
}
