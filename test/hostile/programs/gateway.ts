/**
 * A gateway in a process of its own, so that its memory can be weighed: real listener, clock and connections, and an
 * environment that sends as fast as it is let as soon as a channel is opened.
 *
 * Started by `weighed-gateway.ts`, which speaks to it over IPC.
 *
 * @module
 */
import { makeClock } from "../../../src/base/clock.ts";
import { openListener } from "../../../src/gateway/listener.ts";
import { message } from "../../../src/ssh/numbers.ts";
import { WireReader, WireWriter } from "../../../src/ssh/wire.ts";
import { directoryOf, makeFakeGateway, type FakeFar } from "../../fakes/fake-gateway.ts";

const known = Buffer.from(process.env["KNOWN_KEY"] ?? "", "base64");
const loginGraceMs = Number(process.env["GRACE_MS"]);

const gateway = makeFakeGateway({
  deps: {
    clock: makeClock(),
    directory: directoryOf((key) => key === known.toString("base64")),
    limits: { loginGraceMs, keysPerConnection: 20, sessionsPerPerson: 1_000 },
  },
  onFar: serve,
});

/** Confirms channels and then sends pieces of the size that the channel's type names, without end. */
function serve(far: FakeFar): void {
  let piece: Buffer | undefined;
  let left = 0;
  const sendMore = (): void => {
    for (let count = 0; piece !== undefined && left > 0 && !far.transport.isFull && count < 64; count++) {
      far.transport.send(piece);
      left -= piece.length;
    }
    if (piece !== undefined && left > 0 && !far.transport.isFull && far.told.endings.length === 0)
      setImmediate(sendMore);
  };
  far.told.onDrained = sendMore;
  far.told.onMessage = (payload) => {
    far.told.messages.length = 0;
    if (payload[0] === message.channelOpen) {
      const reader = new WireReader(payload, 1);
      reader.string();
      const id = reader.uint32();
      const confirmation = new WireWriter().byte(message.channelOpenConfirmation).uint32(id).uint32(id);
      far.transport.send(confirmation.uint32(0xffffffff).uint32(32_768).done());
    } else if (payload[0] === message.channelRequest) {
      const [pieceBytes = 0, wholeBytes = 0] = new WireReader(payload, 5).text().split(" ").map(Number);
      piece = new WireWriter()
        .byte(message.channelData)
        .uint32(payload.readUInt32BE(1))
        .string(Buffer.alloc(pieceBytes))
        .done();
      left = wholeBytes;
      sendMore();
    }
  };
}

const listener = await openListener(gateway.deps, {
  addresses: [{ host: "127.0.0.1", port: 0 }],
  proxyProtocolFrom: [],
  strangers: { total: 256, perAddress: 64 },
});

process.on("message", () => {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send?.({
    rssBytes: rss,
    heldBytes: heapUsed + external,
    strangers: listener.strangers.count,
    sessions: gateway.deps.sessions.count,
  });
  gateway.log.length = 0;
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port: listener.addresses[0]?.port });
