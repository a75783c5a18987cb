/**
 * Frames of a WebSocket (RFC 6455 section 5), as a client has them. Reading takes pieces of any size and hands on the pieces
 * of each message as they come, so that nothing is gathered; a message in fragments is read as one. Pure.
 *
 * Called by `exec-stream.ts` and `exec-channels.ts`.
 *
 * @module
 */

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Longest payload of a control frame (section 5.5). */
const CONTROL_BYTES = 125;

/** What every head begins with: the kind and a length of 7 bits. */
const HEAD_BYTES = 2;
/** Of these, saying that the length stands in the next two bytes, or eight. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Closing codes that no frame carries: there was none in it, or no frame at all (section 7.4.1). */
const NO_CODE = 1_005;
export const NO_CLOSE = 1_006;

export interface FrameHandler {
  /** More of a binary message. The view is theirs until they return. */
  data(piece: Buffer, isFirst: boolean): void;
  /** The message is whole. */
  end(): void;
  /** To be answered by `writePong`. */
  ping(payload: Buffer): void;
  pong(): void;
  /** The server's last word. */
  close(code: number): void;
}

export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #head = Buffer.alloc(HEAD_BYTES + 8);
  #headBytes = 0;
  /** Of the frame whose head is there. */
  #opcode = 0;
  #isFinal = true;
  /** Bytes of its payload that have not come; `undefined` while its head is not whole. */
  #left: number | undefined;
  /** Of the message whose fragments have begun. */
  #messageOpcode: number | undefined;
  /** Whether no byte of the message has come. */
  #isFirst = true;
  #control: Buffer[] = [];
  #isClosed = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** @throws {InvalidFrame} when it is none that a server may send; there is no reading on */
  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#isClosed) {
      if (this.#left === undefined) {
        at = this.#takeHead(bytes, at);
      } else {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.#takePayload(bytes.subarray(at, end));
        at = end;
      }
      if (this.#left === 0) this.#endFrame();
    }
  }

  #takeHead(bytes: Buffer, begin: number): number {
    let at = begin;
    while (at < bytes.length && this.#left === undefined) {
      this.#head[this.#headBytes++] = bytes[at++] ?? 0;
      if (this.#headBytes === HEAD_BYTES) this.#readKind();
      if (this.#headBytes === headBytesOf(this.#head, this.#headBytes)) {
        this.#left = readLength(this.#head);
        this.#headBytes = 0;
      }
    }
    return at;
  }

  #readKind(): void {
    const [first = 0, second = 0] = this.#head;
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0) throw invalid("it asks for an extension");
    if ((second & 0x80) !== 0) throw invalid("a server masks it");
    if (opcode > OPCODE.pong || (opcode > OPCODE.binary && opcode < OPCODE.close)) throw invalid(`opcode ${opcode}`);
    this.#opcode = opcode;
    this.#isFinal = (first & 0x80) !== 0;
    if (opcode >= OPCODE.close) {
      if (!this.#isFinal || second > CONTROL_BYTES) throw invalid("a control frame is too long");
      return;
    }
    const isGoingOn = this.#messageOpcode !== undefined;
    if (isGoingOn !== (opcode === OPCODE.continuation)) throw invalid("a fragment out of its message");
    this.#messageOpcode ??= opcode;
  }

  #takePayload(piece: Buffer): void {
    if (this.#opcode >= OPCODE.close) {
      this.#control.push(Buffer.from(piece));
    } else if (this.#messageOpcode === OPCODE.binary) {
      const isFirst = this.#isFirst;
      this.#isFirst = false;
      this.#handler.data(piece, isFirst);
    }
  }

  #endFrame(): void {
    this.#left = undefined;
    if (this.#opcode < OPCODE.close) {
      if (!this.#isFinal) return;
      this.#messageOpcode = undefined;
      this.#isFirst = true;
      this.#handler.end();
      return;
    }
    const payload = Buffer.concat(this.#control);
    this.#control = [];
    if (this.#opcode === OPCODE.ping) this.#handler.ping(payload);
    else if (this.#opcode === OPCODE.pong) this.#handler.pong();
    else this.#close(payload);
  }

  /** Nothing that comes after it counts (section 5.5.1). */
  #close(payload: Buffer): void {
    this.#isClosed = true;
    this.#handler.close(payload.length < 2 ? NO_CODE : payload.readUInt16BE(0));
  }
}

/** The server does not speak the protocol. */
export class InvalidFrame extends Error {
  override readonly name = "InvalidFrame";
}

function invalid(why: string): InvalidFrame {
  return new InvalidFrame(`Invalid WebSocket frame: ${why}`);
}

/** How long the head is, as far as that can be told from so many bytes of it. */
function headBytesOf(head: Buffer, known: number): number {
  if (known < HEAD_BYTES) return HEAD_BYTES;
  const length = (head[1] ?? 0) & 0x7f;
  return HEAD_BYTES + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0);
}

function readLength(head: Buffer): number {
  const [, second = 0] = head;
  if (second < LENGTH_16) return second;
  if (second === LENGTH_16) return head.readUInt16BE(HEAD_BYTES);
  const length = head.readBigUInt64BE(HEAD_BYTES);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid("its length");
  return Number(length);
}

/**
 * Clients mask what they send, so that a page in a browser cannot write what a proxy takes for HTTP (section 10.3). We are no
 * browser and inside TLS no proxy sees a frame; a mask of zeros leaves the bytes as they are.
 */
const MASK_BYTES = 4;
const MASKED = 0x80;
const FINAL = 0x80;

/** Bytes of the head in front of a payload of ours. */
export function frameHeadBytes(payloadBytes: number): number {
  const length = payloadBytes < LENGTH_16 ? 0 : payloadBytes < 2 ** 16 ? 2 : 8;
  return HEAD_BYTES + length + MASK_BYTES;
}

/** Writes the head of a binary frame whose payload fills the rest of `frame`. */
export function writeBinaryHead(frame: Buffer, payloadBytes: number): void {
  writeHead(frame, OPCODE.binary, payloadBytes);
}

export function writePing(): Buffer {
  return writeControl(OPCODE.ping, Buffer.alloc(0));
}

/** @param payload of the ping */
export function writePong(payload: Buffer): Buffer {
  return writeControl(OPCODE.pong, payload);
}

export function writeClose(): Buffer {
  return writeControl(OPCODE.close, Buffer.alloc(0));
}

function writeControl(opcode: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(frameHeadBytes(payload.length));
  writeHead(head, opcode, payload.length);
  return Buffer.concat([head, payload]);
}

function writeHead(frame: Buffer, opcode: number, payloadBytes: number): void {
  frame[0] = FINAL | opcode;
  let maskAt = HEAD_BYTES;
  if (payloadBytes < LENGTH_16) {
    frame[1] = MASKED | payloadBytes;
  } else if (payloadBytes < 2 ** 16) {
    frame[1] = MASKED | LENGTH_16;
    maskAt = frame.writeUInt16BE(payloadBytes, HEAD_BYTES);
  } else {
    frame[1] = MASKED | LENGTH_64;
    maskAt = frame.writeBigUInt64BE(BigInt(payloadBytes), HEAD_BYTES);
  }
  frame.fill(0, maskAt, maskAt + MASK_BYTES);
}
