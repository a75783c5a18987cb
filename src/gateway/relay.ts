/**
 * Relays the messages of the connection protocol (RFC 4254) between one client and its far sides. It understands just
 * enough to translate channel numbers, to ask the policy, and to count; data passes as it is. Windows are end to end:
 * a slow reader holds back its own sender. The socket whose counterpart does not drain is paused.
 *
 * Called by `connection.ts` alone, with one message at a time.
 *
 * @module
 */
import type { Target, Verdict } from "../policy/forward.ts";
import { Fault } from "../base/fault.ts";
import { message, openFailure } from "../ssh/numbers.ts";
import { WireReader, WireWriter } from "../ssh/wire.ts";
import { Channels, type Channel, type End } from "./channels.ts";
import { Forwards } from "./forwards.ts";
import { GlobalRequests } from "./global-requests.ts";
import type { RelayOptions } from "./relay-options.ts";
import type { Side } from "./side.ts";

/** Channel requests that start something, for the audit log. Their arguments may hold secrets and are not read. */
const STARTS = new Set(["shell", "exec", "subsystem"]);

export class Relay {
  /** Channel data relayed so far, in bytes. */
  bytesFromClient = 0;
  bytesToClient = 0;

  readonly #options: RelayOptions;
  readonly #client: Side;
  readonly #channels = new Channels();
  readonly #forwards = new Forwards();
  readonly #requests: GlobalRequests;
  #isClientPaused = false;
  readonly #pausedFars = new Set<Side>();

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#requests = new GlobalRequests({ ...options, forwards: this.#forwards });
  }

  get channelCount(): number {
    return this.#channels.count;
  }

  /** Asks the client for a sign of life. @returns how many such questions it has not answered */
  probeClient(): number {
    return this.#requests.probeClient();
  }

  /** Takes a message of the client. @throws {Fault} `protocol.violated` */
  fromClient(payload: Buffer, body: Buffer): void {
    const number = payload[0] ?? 0;
    if (number >= message.channelOpenConfirmation) this.#relayChannel("client", undefined, payload, body);
    else if (number === message.channelOpen) this.#openFromClient(payload, body);
    else this.#requests.fromClient(payload);
    if (this.#options.far.isFull && !this.#isClientPaused) {
      this.#isClientPaused = true;
      this.#client.pause();
    }
  }

  /** Takes a message of a far side; one in this process has no `body`. @throws {Fault} `protocol.violated` */
  fromFar(far: Side, payload: Buffer, body?: Buffer): void {
    const number = payload[0] ?? 0;
    if (number >= message.channelOpenConfirmation) this.#relayChannel("far", far, payload, body);
    else if (number === message.channelOpen) this.#openFromFar(far, payload, body);
    else this.#requests.fromFar(far, payload);
    if (this.#client.isFull && !this.#pausedFars.has(far)) {
      this.#pausedFars.add(far);
      far.pause();
    }
  }

  clientDrained(): void {
    for (const far of this.#pausedFars) far.resume();
    this.#pausedFars.clear();
  }

  farDrained(): void {
    if (!this.#isClientPaused || this.#options.far.isFull) return;
    this.#isClientPaused = false;
    this.#client.resume();
  }

  #openFromClient(payload: Buffer, body: Buffer): void {
    const open = readOpen(payload);
    const wanted = readWanted(open.type, open.details);
    const { isFull } = this.#channels;
    const verdict: Verdict = isFull
      ? { allowed: false, reason: "this connection has too many channels open" }
      : this.#options.judge(wanted);
    this.#options.onOpened(wanted, verdict);
    if (!verdict.allowed) {
      const code = isFull ? openFailure.resourceShortage : openFailure.prohibited;
      this.#client.send(writeOpenFailure(open.sender, code, verdict.reason));
      return;
    }
    const far = this.#options.far;
    const channel = this.#channels.open("client", open.sender, { type: open.type, far });
    payload.writeUInt32BE(channel.id, open.senderAt);
    far.forward(body);
  }

  #openFromFar(far: Side, payload: Buffer, body: Buffer | undefined): void {
    const open = readOpen(payload);
    if (this.#channels.isFull || !this.#forwards.wasAsked(open.type, open.details)) {
      far.send(writeOpenFailure(open.sender, openFailure.prohibited, "the client has not asked for this"));
      return;
    }
    const channel = this.#channels.open("far", open.sender, { type: open.type, far });
    payload.writeUInt32BE(channel.id, open.senderAt);
    pass(this.#client, payload, body);
  }

  #relayChannel(from: End, side: Side | undefined, payload: Buffer, body: Buffer | undefined): void {
    const number = payload[0] ?? 0;
    if (payload.length < 5) throw new Fault("protocol.violated", `Cannot relay message ${number}: it is too short`);
    const id = payload.readUInt32BE(1);
    const channel = this.#find(number, id, { from, side });
    if (channel === undefined) return;
    this.#note(from, number, channel, payload);
    payload.writeUInt32BE(from === "client" ? channel.farId : channel.clientId, 1);
    pass(from === "client" ? channel.far : this.#client, payload, body);
  }

  #find(number: number, id: number, { from, side }: { from: End; side: Side | undefined }): Channel | undefined {
    switch (number) {
      case message.channelOpenConfirmation:
      case message.channelOpenFailure:
        return this.#channels.findOpening(id, from, side);
      case message.channelWindowAdjust:
        return this.#channels.findForWindow(id, from, side);
      default:
        return this.#channels.findOpen(id, from, side);
    }
  }

  /** Keeps our own books of a message before it goes on. */
  #note(from: End, number: number, channel: Channel, payload: Buffer): void {
    switch (number) {
      case message.channelData:
      case message.channelExtendedData:
        this.#count(from, payload.length);
        return;
      case message.channelWindowAdjust:
      case message.channelEof:
      case message.channelSuccess:
      case message.channelFailure:
        return;
      case message.channelOpenConfirmation:
        confirm(from, channel, payload);
        return;
      case message.channelOpenFailure:
        this.#channels.remove(channel);
        return;
      case message.channelClose:
        this.#close(from, channel);
        return;
      case message.channelRequest:
        if (from === "client") this.#noteRequest(payload);
        return;
      default:
        throw new Fault("protocol.violated", `Cannot relay message ${number}: it is not of the connection protocol`);
    }
  }

  #count(from: End, bytes: number): void {
    if (from === "client") {
      this.bytesFromClient += bytes;
      this.#options.onInput();
    } else {
      this.bytesToClient += bytes;
    }
  }

  #close(from: End, channel: Channel): void {
    if (from === "client") channel.closedByClient = true;
    else channel.closedByFar = true;
    if (channel.closedByClient && channel.closedByFar) this.#channels.remove(channel);
  }

  #noteRequest(payload: Buffer): void {
    const reader = new WireReader(payload, 5);
    const type = reader.text();
    if (type === "auth-agent-req@openssh.com") this.#forwards.askAgent();
    else if (STARTS.has(type)) this.#options.onOpened({ type }, { allowed: true });
  }
}

/** Sends a message on, in the packet it came in where there is one. */
function pass(to: Side, payload: Buffer, body: Buffer | undefined): void {
  if (body === undefined) to.send(payload);
  else to.forward(body);
}

/** Takes the confirming end's number and puts ours in its place. */
function confirm(from: End, channel: Channel, payload: Buffer): void {
  if (payload.length < 17) throw new Fault("protocol.violated", "Cannot relay a confirmation: it is too short");
  const id = payload.readUInt32BE(5);
  if (from === "client") channel.clientId = id;
  else channel.farId = id;
  channel.isConfirmed = true;
  payload.writeUInt32BE(channel.id, 5);
}

interface Open {
  readonly type: string;
  readonly sender: number;
  /** Where the sender's number stands in the message. */
  readonly senderAt: number;
  readonly details: Buffer;
}

function readOpen(payload: Buffer): Open {
  const reader = new WireReader(payload, 1);
  const type = reader.string();
  const sender = reader.uint32();
  reader.uint32();
  reader.uint32();
  return { type: type.toString("latin1"), sender, senderAt: 5 + type.length, details: reader.rest() };
}

/** Reads what a CHANNEL_OPEN of a client is for (RFC 4254 section 7.2; OpenSSH PROTOCOL section 2.4). */
function readWanted(type: string, details: Buffer): Target {
  const reader = new WireReader(details);
  switch (type) {
    case "direct-tcpip":
      return { type, host: reader.text(), port: reader.uint32() };
    case "direct-streamlocal@openssh.com":
      return { type, path: reader.text() };
    default:
      return { type };
  }
}

function writeOpenFailure(recipient: number, code: number, reason: string): Buffer {
  return new WireWriter()
    .byte(message.channelOpenFailure)
    .uint32(recipient)
    .uint32(code)
    .string(reason)
    .string("")
    .done();
}
