import fc from "fast-check";
import { expect, test } from "vitest";
import { type FrameHandler, frameHeadBytes, FrameReader, InvalidFrame, writeBinaryHead, writePong } from "./frames.ts";

/** Writes down what a reader says, the pieces of a message put together. */
class Heard implements FrameHandler {
  readonly said: string[] = [];
  #message = Buffer.alloc(0);

  data(piece: Buffer, isFirst: boolean): void {
    if (isFirst !== (this.#message.length === 0)) this.said.push("a first piece that is none");
    this.#message = Buffer.concat([this.#message, piece]);
  }
  end(): void {
    this.said.push(`message ${this.#message.toString("hex")}`);
    this.#message = Buffer.alloc(0);
  }
  ping(payload: Buffer): void {
    this.said.push(`ping ${payload.toString("hex")}`);
  }
  pong(): void {
    this.said.push("pong");
  }
  close(code: number): void {
    this.said.push(`close ${code}`);
  }
}

/** A frame as a server sends it, its length in the shortest form or in a longer one. */
function frame(opcode: number, payload: Buffer, { isFinal = true, form = 0 } = {}): Buffer {
  const first = (isFinal ? 0x80 : 0) | opcode;
  const { length } = payload;
  if (length < 126 && form === 0) return Buffer.concat([Buffer.of(first, length), payload]);
  if (length < 65_536 && form < 2) return Buffer.concat([Buffer.of(first, 126, length >> 8, length & 0xff), payload]);
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64BE(BigInt(length));
  return Buffer.concat([Buffer.of(first, 127), eight, payload]);
}

function read(bytes: Buffer, cuts: readonly number[] = []): string[] {
  const heard = new Heard();
  const reader = new FrameReader(heard);
  let from = 0;
  for (const to of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    reader.take(Buffer.from(bytes.subarray(from, to)));
    from = to;
  }
  return heard.said;
}

test("FrameReader hands on messages and questions, whatever fragments and pieces they come in", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((each) => Buffer.from(each));
  const part = fc.record({ bytes, form: fc.nat(2), ping: fc.option(fc.uint8Array({ maxLength: 125 })) });
  const messages = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 5 });
  fc.assert(
    fc.property(messages, fc.array(fc.nat(3_000), { maxLength: 30 }), (all, cuts) => {
      const sent: Buffer[] = [];
      const expected: string[] = [];
      for (const parts of all) {
        for (const [at, { bytes: payload, form, ping }] of parts.entries()) {
          sent.push(frame(at === 0 ? 2 : 0, payload, { isFinal: at === parts.length - 1, form }));
          if (at === parts.length - 1) {
            expected.push(`message ${Buffer.concat(parts.map((each) => each.bytes)).toString("hex")}`);
          }
          if (ping === null) continue;
          sent.push(frame(9, Buffer.from(ping)));
          expected.push(`ping ${Buffer.from(ping).toString("hex")}`);
        }
      }
      const whole = Buffer.concat(sent);
      expect(
        read(
          whole,
          cuts.filter((cut) => cut < whole.length),
        ),
      ).toEqual(expected);
    }),
  );
});

test("FrameReader passes over text, takes empty messages, and hears nothing after the end", () => {
  const close = frame(8, Buffer.from([0x03, 0xf3]));
  const bytes = [frame(1, Buffer.from("text")), frame(2, Buffer.alloc(0)), frame(10, Buffer.alloc(0)), close, close];
  expect(read(Buffer.concat(bytes))).toEqual(["message ", "message ", "pong", "close 1011"]);
  expect(read(frame(8, Buffer.alloc(0)))).toEqual(["close 1005"]);
});

test("FrameReader hands on what is there of a message that is longer than memory", () => {
  const heard = new Heard();
  const head = Buffer.of(0x82, 127, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
  const pieces: number[] = [];
  heard.data = (piece) => void pieces.push(piece.length);
  new FrameReader(heard).take(Buffer.concat([head, Buffer.alloc(1_000)]));
  expect(pieces).toEqual([1_000]);
});

test.each([
  ["an extension", Buffer.of(0xc2, 0)],
  ["a mask", Buffer.of(0x82, 0x80)],
  ["an unknown opcode", Buffer.of(0x83, 0)],
  ["an unknown opcode of control", Buffer.of(0x8b, 0)],
  ["a ping in fragments", Buffer.of(0x09, 0)],
  ["a long ping", Buffer.of(0x89, 126)],
  ["a fragment of nothing", Buffer.of(0x80, 0)],
  ["a message within a message", Buffer.of(0x02, 0, 0x82)],
  ["a length beyond counting", Buffer.of(0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
])("FrameReader refuses %s as soon as it is seen", (_case, bytes) => {
  expect(() => read(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(InvalidFrame);
});

test("FrameReader refuses rubbish and falls over none of it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        read(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidFrame);
      }
    }),
  );
});

test.each([
  [0, "8280" + "00000000"],
  [125, "82fd" + "00000000"],
  [126, "82fe007e" + "00000000"],
  [65_535, "82feffff" + "00000000"],
  [65_536, "82ff0000000000010000" + "00000000"],
])("a head for %i bytes says so, and masks with zeros (RFC 6455 section 5.2)", (length, hex) => {
  const head = Buffer.alloc(frameHeadBytes(length), 0xee);
  writeBinaryHead(head, length);
  expect(head.toString("hex")).toBe(hex);
});

test("a pong carries what the ping did", () => {
  expect(writePong(Buffer.from("ab")).toString("hex")).toBe("8a82000000006162");
});
