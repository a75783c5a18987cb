import { once } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { socketPair } from "../../test/fakes/stream-pairs.ts";
import { readProxyHeader, takeProxyHeader } from "./proxy-protocol.ts";

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

function version2(command: number, family: number, addresses: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(addresses.length);
  return Buffer.concat([signature, Buffer.of(command, family), length, addresses]);
}

const ipv4 = Buffer.from("cb007107 7f000001 c350 0016".replaceAll(" ", ""), "hex");
const ipv6 = Buffer.concat([
  Buffer.from("20010db8000000000000000000000001", "hex"),
  Buffer.from("fd000000000000000000000000000001", "hex"),
  Buffer.of(0xc3, 0x50, 0, 22),
]);
const more = Buffer.from("04000300414243", "hex");

const good: [string, Buffer, string | undefined][] = [
  ["version 1 over IPv4", Buffer.from("PROXY TCP4 203.0.113.7 127.0.0.1 50000 22\r\n"), "203.0.113.7"],
  ["version 1 over IPv6", Buffer.from("PROXY TCP6 2001:db8::1 fd00::1 50000 22\r\n"), "2001:db8::1"],
  ["version 1 that knows nothing", Buffer.from("PROXY UNKNOWN\r\n"), undefined],
  ["version 1 that knows nothing and says more", Buffer.from("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), undefined],
  ["version 2 over IPv4", version2(0x21, 0x11, ipv4), "203.0.113.7"],
  ["version 2 over IPv4 with more fields", version2(0x21, 0x11, Buffer.concat([ipv4, more])), "203.0.113.7"],
  ["version 2 over IPv6", version2(0x21, 0x21, ipv6), "2001:db8:0:0:0:0:0:1"],
  ["version 2 of the proxy itself", version2(0x20, 0x11, ipv4), undefined],
  ["version 2 of the proxy itself without addresses", version2(0x20, 0x00, Buffer.alloc(0)), undefined],
  ["version 2 over a Unix socket", version2(0x21, 0x31, Buffer.alloc(216)), undefined],
  ["version 2 with too few addresses", version2(0x21, 0x11, ipv4.subarray(0, 4)), undefined],
];

test.each(good)("readProxyHeader() reads %s, at any split, and leaves what follows", (_case, header, from) => {
  for (let length = 0; length < header.length; length++) {
    expect(readProxyHeader(header.subarray(0, length))).toBeUndefined();
  }
  const followed = Buffer.concat([header, Buffer.from("SSH-2.0-x\r\n")]);
  expect(readProxyHeader(followed)).toEqual({ from, length: header.length });
});

test.each([
  ["no header at all", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["another word", "PROXI TCP4 1.2.3.4 1.2.3.4 1 2\r\n"],
  ["UDP", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"],
  ["an address that is none", "PROXY TCP4 999.1.1.1 1.2.3.4 1 2\r\n"],
  ["dots alone", "PROXY TCP4 ...... 1.2.3.4 1 2\r\n"],
  ["an IPv6 address called IPv4", "PROXY TCP4 ::1 1.2.3.4 1 2\r\n"],
  ["an IPv4 address called IPv6", "PROXY TCP6 1.2.3.4 ::1 1 2\r\n"],
  ["a log line slipped in", "PROXY TCP4 1.2.3.4\n 1.2.3.4 1 2\r\n"],
  ["no ports", "PROXY TCP4 1.2.3.4 1.2.3.4\r\n"],
  ["107 bytes without an end", `PROXY TCP6 ${"f".repeat(96)}`],
  ["a bare line feed as its end", `PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n${" ".repeat(100)}`],
])("readProxyHeader() refuses version 1 with %s", (_case, text) => {
  expect(() => readProxyHeader(Buffer.from(text))).toThrow(/^Cannot read the PROXY header: /);
});

test.each([
  ["version 1 in version 2's clothes", version2(0x11, 0x11, ipv4)],
  ["an unknown command", version2(0x22, 0x11, ipv4)],
  ["more fields than 2 KiB", version2(0x21, 0x11, Buffer.alloc(2_033)).subarray(0, 16)],
  ["64 KiB announced", version2(0x21, 0x11, Buffer.alloc(65_535)).subarray(0, 16)],
])("readProxyHeader() refuses version 2 with %s, before it is all there", (_case, header) => {
  expect(() => readProxyHeader(header)).toThrow(/^Cannot read the PROXY header: /);
});

test("readProxyHeader() throws nothing but protocol.violated, and gives no address that is none", () => {
  const start = fc.constantFrom(Buffer.alloc(0), signature, Buffer.from("PROXY TCP4 "), Buffer.from("PROXY "));
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 80 }), (head, tail) => {
      try {
        const header = readProxyHeader(Buffer.concat([head, tail]));
        if (header?.from !== undefined) expect(header.from).toMatch(/^[0-9a-f.:]+$/);
      } catch (error) {
        expect(error).toMatchObject({ code: "protocol.violated" });
      }
    }),
    { seed: 24, numRuns: 2_000 },
  );
});

test("takeProxyHeader() takes the header off the socket, however it is cut, and leaves the rest to be read", async () => {
  const [near, far] = await socketPair();
  const taken = takeProxyHeader(far, new HandClock(), 5_000);
  near.write("PROXY TCP4 203.0.11");
  await once(far, "data");
  near.write("3.7 127.0.0.1 50000 22\r\nSSH-2.0-x\r\n");
  expect(await taken).toBe("203.0.113.7");
  expect(far.listenerCount("data")).toBe(0);
  const rest = once(far, "data");
  far.resume();
  expect(String((await rest)[0])).toBe("SSH-2.0-x\r\n");
  near.destroy();
});

test.each(["late", "cut short", "reset", "no header"])(
  "takeProxyHeader() rejects when it is %s, and leaves no timer",
  async (how) => {
    const clock = new HandClock();
    const [near, far] = await socketPair();
    far.on("error", () => {});
    const taken = takeProxyHeader(far, clock, 5_000);
    const isRefused = expect(taken).rejects.toMatchObject({ code: "protocol.violated" });
    near.write(how === "no header" ? "SSH-2.0-x\r\n" : "PROXY ");
    await once(far, "data");
    if (how === "late") await clock.advance(5_000);
    if (how === "cut short") near.end();
    if (how === "reset") near.resetAndDestroy();
    await isRefused;
    expect(clock.pendingCount).toBe(0);
    near.destroy();
    far.destroy();
  },
);
