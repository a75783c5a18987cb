/**
 * Starts `programs/gateway.ts` and asks it what it weighs.
 *
 * @module
 */
import { fork } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { message } from "../../src/ssh/numbers.ts";
import { makeSigningKey } from "../../src/ssh/private-keys.ts";
import { WireWriter } from "../../src/ssh/wire.ts";
import { sendLogin } from "../fakes/fake-gateway.ts";
import { RawPeer } from "../fakes/raw-peer.ts";

export interface Weight {
  readonly rssBytes: number;
  /** What of that is in use: the rest is what an allocator keeps for next time. */
  readonly heldBytes: number;
  readonly strangers: number;
  readonly sessions: number;
}

export interface WeighedGateway extends Disposable {
  readonly port: number;
  /** What it weighs now, garbage collected. */
  weigh(): Promise<Weight>;
  /** The most it weighed in so long. */
  heaviest(ms: number): Promise<Weight>;
  /** Opens a TCP connection from one of the addresses of 127.0.0.0/8. */
  dial(from?: string): Promise<Socket>;
  /** A client that is in, behind its own socket. */
  enter(from?: string): Promise<{ peer: RawPeer; socket: Socket }>;
}

const ada = makeSigningKey(generateKeyPairSync("ed25519").privateKey);

export async function startWeighedGateway(graceMs: number): Promise<WeighedGateway> {
  const program = fork(fileURLToPath(new URL("./programs/gateway.ts", import.meta.url)), [], {
    execArgv: ["--expose-gc"],
    env: { KNOWN_KEY: ada.blob.toString("base64"), GRACE_MS: String(graceMs) },
  });
  const [{ port }] = (await once(program, "message")) as [{ port: number }];
  const weigh = async (): Promise<Weight> => {
    const answer = once(program, "message");
    program.send("weigh");
    return ((await answer) as [Weight])[0];
  };
  const dial = async (from = "127.0.0.1"): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: from });
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  return {
    port,
    weigh,
    dial,
    heaviest: async (ms) => {
      let heaviest = await weigh();
      for (const until = performance.now() + ms; performance.now() < until;) {
        await sleep(50);
        const now = await weigh();
        const [rssBytes, heldBytes] = [now.rssBytes, now.heldBytes];
        heaviest = {
          ...now,
          rssBytes: Math.max(rssBytes, heaviest.rssBytes),
          heldBytes: Math.max(heldBytes, heaviest.heldBytes),
        };
      }
      return heaviest;
    },
    enter: async (from) => {
      const socket = await dial(from);
      const peer = new RawPeer({ stream: socket });
      await peer.start();
      sendLogin(peer, ada, "hello-main");
      await peer.nextOf(message.userauthSuccess);
      return { peer, socket };
    },
    [Symbol.dispose]: () => {
      program.kill("SIGKILL");
    },
  };
}

/** Asks for so many bytes in pieces of so many, on a channel whose window has no end. */
export async function askForBytes(peer: RawPeer, pieceBytes: number, wholeBytes: number): Promise<void> {
  const open = new WireWriter().byte(message.channelOpen).string("session").uint32(0);
  peer.send(open.uint32(0xffffffff).uint32(0xffffffff).done());
  const id = (await peer.nextOf(message.channelOpenConfirmation)).readUInt32BE(5);
  const request = new WireWriter().byte(message.channelRequest).uint32(id).string(`${pieceBytes} ${wholeBytes}`);
  peer.send(request.boolean(false).done());
}
