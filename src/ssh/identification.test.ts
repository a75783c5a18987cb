import fc from "fast-check";
import { expect, test } from "vitest";
import { readIdentification } from "./identification.ts";

test.each([
  ["SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7"],
  ["SSH-2.0-Go\r\n", "SSH-2.0-Go"],
  ["SSH-1.99-Cisco-1.25\n", "SSH-1.99-Cisco-1.25"],
  ["SSH-2.0-dropbear_2022.83\n", "SSH-2.0-dropbear_2022.83"],
  ["SSH-2.0-\r\n", "SSH-2.0-"],
])("readIdentification() takes %j of a client", (input, line) => {
  expect(readIdentification(Buffer.from(`${input}next`), "client")).toEqual({ line, next: input.length });
});

test("readIdentification() finds the line however it is cut, and asks for more until it is whole", () => {
  const whole = Buffer.from("SSH-2.0-x y\r\n");
  for (let length = 0; length < whole.length; length++) {
    expect(readIdentification(whole.subarray(0, length), "client")).toBeUndefined();
  }
});

test.each([
  ["HTTP", "GET / HTTP/1.1\r\n"],
  ["a first byte that cannot begin it", "\x16\x03\x01"],
  ["protocol 1", "SSH-1.5-old\r\n"],
  ["a control byte", "SSH-2.0-a\x00b\r\n"],
  ["an escape sequence", "SSH-2.0-a \x1b[31m\r\n"],
  ["bytes above ASCII", "SSH-2.0-caf\xe9\r\n"],
  ["a line of 256 bytes", `SSH-2.0-${"a".repeat(246)}\r\n`],
  ["300 bytes without an end", `SSH-2.0-${"a".repeat(300)}`],
  ["a line before it", "hello\r\nSSH-2.0-x\r\n"],
])("readIdentification() refuses %s from a client", (_case, input) => {
  expect(() => readIdentification(Buffer.from(input, "latin1"), "client")).toThrow(/^Cannot read the identification: /);
});

test("readIdentification() takes the longest line of RFC 4253 section 4.2, 255 bytes with its end", () => {
  const line = `SSH-2.0-${"a".repeat(245)}`;
  expect(readIdentification(Buffer.from(`${line}\r\n`), "client")?.line).toBe(line);
});

test("readIdentification() skips up to 50 lines of a server and refuses a 51st", () => {
  const lines = (count: number): Buffer => Buffer.from(`${"welcome\r\n".repeat(count)}SSH-2.0-x\r\n`);
  expect(readIdentification(lines(50), "server")).toEqual({ line: "SSH-2.0-x", next: 50 * 9 + 11 });
  expect(() => readIdentification(lines(51), "server")).toThrow("more than 50 lines before it");
});

test("readIdentification() throws nothing but protocol.violated, whatever comes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.constantFrom("client" as const, "server" as const),
      (bytes, peer) => {
        try {
          const found = readIdentification(Buffer.from(bytes), peer);
          if (found !== undefined) expect(found.line).toMatch(/^SSH-(2\.0|1\.99)-/);
        } catch (error) {
          expect(error).toMatchObject({ code: "protocol.violated" });
        }
      },
    ),
    { seed: 4253 },
  );
});
