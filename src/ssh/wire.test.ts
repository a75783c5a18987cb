import fc from "fast-check";
import { expect, test } from "vitest";
import { Fault } from "../base/fault.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** One value of a message: how it is written, and what reading it back must give. */
interface Field {
  readonly write: (writer: WireWriter) => unknown;
  readonly check: (reader: WireReader) => void;
}

const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));
const name = fc.stringMatching(/^[!-+\--~]{1,20}$/);

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.nat(255).map((value) => ({
    write: (writer: WireWriter) => writer.byte(value),
    check: (reader: WireReader) => {
      expect(reader.byte()).toBe(value);
    },
  })),
  fc.boolean().map((value) => ({
    write: (writer: WireWriter) => writer.boolean(value),
    check: (reader: WireReader) => {
      expect(reader.boolean()).toBe(value);
    },
  })),
  fc.nat(0xffffffff).map((value) => ({
    write: (writer: WireWriter) => writer.uint32(value),
    check: (reader: WireReader) => {
      expect(reader.uint32()).toBe(value);
    },
  })),
  bytes.map((value) => ({
    write: (writer: WireWriter) => writer.string(value),
    check: (reader: WireReader) => {
      expect(reader.string()).toEqual(value);
    },
  })),
  fc.string({ unit: "grapheme" }).map((value) => ({
    write: (writer: WireWriter) => writer.string(value),
    check: (reader: WireReader) => {
      expect(reader.text()).toBe(value);
    },
  })),
  fc.array(name, { maxLength: 8 }).map((value) => ({
    write: (writer: WireWriter) => writer.nameList(value),
    check: (reader: WireReader) => {
      expect(reader.nameList()).toEqual(value);
    },
  })),
  bytes.map((value) => ({
    write: (writer: WireWriter) => writer.mpint(value),
    check: (reader: WireReader) => {
      const from = value.findIndex((byte) => byte !== 0);
      expect(reader.mpint()).toEqual(from === -1 ? Buffer.alloc(0) : value.subarray(from));
    },
  })),
);

function written(fields: readonly Field[]): Buffer {
  const writer = new WireWriter();
  for (const { write } of fields) write(writer);
  return writer.done();
}

test("WireReader reads back what WireWriter wrote, to the last byte", () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 12 }), (fields) => {
      const reader = new WireReader(written(fields));
      for (const { check } of fields) check(reader);
      reader.end();
    }),
    { seed: 4251 },
  );
});

test("WireReader throws protocol.violated on a message cut short anywhere, and never gives a short value", () => {
  fc.assert(
    fc.property(
      fc.array(field, { minLength: 1, maxLength: 6 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (fields, part) => {
        const whole = written(fields);
        const cut = whole.subarray(0, Math.floor(part * whole.length));
        fc.pre(cut.length < whole.length);
        const reader = new WireReader(cut);
        expect(() => {
          for (const { check } of fields) check(reader);
        }).toThrow(Fault);
      },
    ),
    { seed: 4252 },
  );
});

test("WireReader throws nothing but protocol.violated on bytes of any kind", () => {
  const steps = ["byte", "boolean", "uint32", "string", "text", "nameList", "mpint", "end"] as const;
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.constantFrom(...steps), { maxLength: 10 }),
      (input, order) => {
        const reader = new WireReader(Buffer.from(input));
        try {
          for (const step of order) reader[step]();
        } catch (error) {
          expect(error).toMatchObject({ name: "Fault", code: "protocol.violated" });
        }
      },
    ),
    { seed: 4253 },
  );
});

test.each([
  ["a length over what is left", "00000005 61626364", "string"],
  ["a length of 4 GiB", "ffffffff 61626364", "string"],
  ["a length that is itself cut", "000000", "string"],
  ["a negative integer", "00000001 80", "mpint"],
] as const)("WireReader refuses %s", (_case, hex, step) => {
  const reader = new WireReader(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  expect(() => reader[step]()).toThrow(/^Cannot read a message: /);
});

test("WireReader.nameList() takes 1,000 names and refuses one more", () => {
  const list = (count: number): WireReader =>
    new WireReader(new WireWriter().nameList(Array.from({ length: count }, () => "a")).done());
  expect(list(1_000).nameList()).toHaveLength(1_000);
  expect(() => list(1_001).nameList()).toThrow("more than 1000 names");
});

test("WireReader.string() gives a view into the message, so that nothing hostile is copied before it is checked", () => {
  const message = new WireWriter().string("abc").done();
  const view = new WireReader(message).string();
  message[4] = 0x7a;
  expect(view.toString()).toBe("zbc");
});

// The examples of RFC 4251 section 5.
test.each([
  ["0", "", "00000000"],
  ["9a378f9b2e332a7", "09a378f9b2e332a7", "0000000809a378f9b2e332a7"],
  ["80", "80", "000000020080"],
  ["80 with needless zeros in front", "0000000080", "000000020080"],
])("WireWriter.mpint() writes %s as RFC 4251 shows", (_case, value, expected) => {
  expect(new WireWriter().mpint(Buffer.from(value, "hex")).done().toString("hex")).toBe(expected);
});
