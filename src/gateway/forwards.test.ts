import { expect, test } from "vitest";
import { WireWriter } from "../ssh/wire.ts";
import { Forwards } from "./forwards.ts";

const onPort = (port: number): Buffer =>
  new WireWriter().string("localhost").uint32(port).string("::1").uint32(1).done();

test.each(["auth-agent@openssh.com", "forwarded-tcpip", "forwarded-streamlocal@openssh.com", "x11", "session", ""])(
  "Forwards.wasAsked() says no to %j before anything was asked",
  (type) => {
    const details = type === "forwarded-streamlocal@openssh.com" ? new WireWriter().string("/x").done() : onPort(1);
    expect(new Forwards().wasAsked(type, details)).toBe(false);
  },
);

test("Forwards.wasAsked() takes a port, a path and the agent apart", () => {
  const forwards = new Forwards();
  forwards.addPort(80);
  expect(forwards.wasAsked("forwarded-tcpip", onPort(80))).toBe(true);
  expect(forwards.wasAsked("auth-agent@openssh.com", Buffer.alloc(0))).toBe(false);
  forwards.askAgent();
  expect(forwards.wasAsked("auth-agent@openssh.com", Buffer.alloc(0))).toBe(true);
  expect(forwards.wasAsked("forwarded-streamlocal@openssh.com", new WireWriter().string("80").done())).toBe(false);
});

test("Forwards.removePort() of a port that nobody asked for takes no other away", () => {
  const forwards = new Forwards();
  forwards.removePort(80);
  forwards.addPort(80);
  expect(forwards.wasAsked("forwarded-tcpip", onPort(80))).toBe(true);
});

test.each([
  ["forwarded-tcpip", Buffer.of(0, 0, 0, 1)],
  ["forwarded-tcpip", Buffer.of(0, 0, 0, 0, 0)],
  ["forwarded-streamlocal@openssh.com", Buffer.of(0, 0)],
])("Forwards.wasAsked() throws protocol.violated at %s cut short", (type, details) => {
  expect(() => new Forwards().wasAsked(type, details)).toThrow(
    expect.objectContaining({ code: "protocol.violated" }) as Error,
  );
});
