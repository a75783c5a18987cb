/**
 * The channels of an exec over a WebSocket: each message is one byte, the number of the channel, and then its bytes. What is
 * made here are whole frames.
 * https://github.com/kubernetes/kubernetes/blob/v1.20.2/staging/src/k8s.io/apiserver/pkg/util/wsstream/conn.go (v4) and
 * KEP-4006 (v5, from Kubernetes 1.30). Called by `exec-stream.ts`.
 *
 * @module
 */
import { frameHeadBytes, writeBinaryHead } from "./frames.ts";

/** v5 alone can close standard input. Servers before 1.30 know v4, and take the first of ours that they know. */
export const V5 = "v5.channel.k8s.io";
export const V4 = "v4.channel.k8s.io";

export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;

/**
 * Most bytes of one message of ours. Servers read a message whole into memory before they hand it on, and read no
 * fragments: golang.org/x/net/websocket, used up to now by containerd and CRI-O, takes each frame for a message.
 */
const MESSAGE_BYTES = 64 * 1_024;

/** Slabs kept for reuse, in all: 64 KiB of garbage for each message would be collected at the speed of the upload. */
const SPARE_MAX = 32;
const SLAB_BYTES = frameHeadBytes(MESSAGE_BYTES + 1) + 1 + MESSAGE_BYTES;
const spare: Buffer[] = [];

/** Messages below this share Node's pool; a slab would cost them more than it saves. */
const SMALL_BYTES = 3 * 1_024;

/** The message that closes a channel, v5. */
export function makeClose(channel: number): Message {
  const frame = Buffer.alloc(frameHeadBytes(2) + 2);
  writeBinaryHead(frame, 2);
  frame.set([CHANNEL.close, channel], frame.length - 2);
  return frame;
}

/** A message in its frame, in memory that nobody else knows; to be given back by `giveMessage` when it was sent. */
export type Message = Buffer;

/**
 * Cuts standard input into messages: small chunks are gathered, large ones split. One copy for each byte, which the
 * channel's number in front of it costs; 64 KiB take 5 µs.
 */
export function* makeMessages(chunks: readonly Buffer[]): Generator<Message> {
  let left = chunks.reduce((sum, { length }) => sum + length, 0);
  let at = 0; // in the chunk that is being copied
  let index = 0;
  while (left > 0) {
    const size = Math.min(left, MESSAGE_BYTES);
    const channelAt = frameHeadBytes(size + 1);
    const message = takeMessage(channelAt + 1 + size);
    writeBinaryHead(message, size + 1);
    message[channelAt] = CHANNEL.stdin;
    for (let filled = channelAt + 1; filled < message.length;) {
      const chunk = chunks[index];
      if (chunk === undefined) break; // their lengths add up: never
      const copied = chunk.copy(message, filled, at);
      filled += copied;
      at += copied;
      if (at === chunk.length) [index, at] = [index + 1, 0];
    }
    left -= size;
    yield message;
  }
}

function takeMessage(length: number): Message {
  if (length <= SMALL_BYTES) return Buffer.allocUnsafe(length);
  const slab = spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  return slab.subarray(0, length);
}

/** Gives back the memory of a message that was sent. */
export function giveMessage(message: Message): void {
  const memory = message.buffer;
  if (memory.byteLength !== SLAB_BYTES || spare.length >= SPARE_MAX) return;
  spare.push(Buffer.from(memory, 0, SLAB_BYTES));
}
