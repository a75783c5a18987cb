/**
 * Reads and writes the data types of RFC 4251 section 5. Every byte read here may come from a hostile peer: a value
 * that does not fit is a `protocol.violated` fault, never a short or guessed value.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";

function violated(what: string): Fault {
  return new Fault("protocol.violated", `Cannot read a message: ${what}`);
}

/** Reads one message from front to back. Strings are views into the message, not copies. */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw violated(`${count} bytes announced, ${this.#bytes.length - at} left`);
    this.#at = at + count;
    return at;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  /** Any value but 0 is true (RFC 4251 section 5). */
  boolean(): boolean {
    return this.byte() !== 0;
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** Takes `count` bytes as they stand. */
  bytes(count: number): Buffer {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  /** A string as UTF-8; bytes that are none become U+FFFD. */
  text(): string {
    return this.string().toString("utf8");
  }

  /** Comma-separated US-ASCII names, at most 1,000 of them. */
  nameList(): string[] {
    const text = this.string().toString("latin1");
    if (text === "") return [];
    const names = text.split(",", 1_001);
    if (names.length > 1_000) throw violated("more than 1000 names in a list");
    return names;
  }

  /** A positive integer as big-endian bytes without leading zeros. */
  mpint(): Buffer {
    const raw = this.string();
    if ((raw[0] ?? 0) >= 0x80) throw violated("negative integer");
    let from = 0;
    while (from < raw.length && raw[from] === 0) from++;
    return raw.subarray(from);
  }

  /** Everything not yet read. */
  rest(): Buffer {
    return this.bytes(this.#bytes.length - this.#at);
  }

  /** Ends the reading: bytes left over are a violation. */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left !== 0) throw violated(`${left} bytes after the end`);
  }
}

/** Writes one message; `done()` gives its bytes. */
export class WireWriter {
  readonly #parts: Buffer[] = [];

  byte(value: number): this {
    this.#parts.push(Buffer.of(value));
    return this;
  }

  boolean(value: boolean): this {
    return this.byte(value ? 1 : 0);
  }

  uint32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32BE(value);
    this.#parts.push(part);
    return this;
  }

  bytes(value: Buffer): this {
    this.#parts.push(value);
    return this;
  }

  string(value: Buffer | string): this {
    const part = typeof value === "string" ? Buffer.from(value, "utf8") : value;
    return this.uint32(part.length).bytes(part);
  }

  nameList(names: readonly string[]): this {
    return this.string(names.join(","));
  }

  /** Writes a positive integer given as big-endian bytes. */
  mpint(value: Buffer): this {
    return this.string(toMpint(value));
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Shapes big-endian bytes as the contents of an `mpint`: no needless zeros, one in front of a set sign bit. */
function toMpint(value: Buffer): Buffer {
  let from = 0;
  while (from < value.length && value[from] === 0) from++;
  const bare = value.subarray(from);
  return (bare[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bare]) : bare;
}
