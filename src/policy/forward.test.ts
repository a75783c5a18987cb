import fc from "fast-check";
import { expect, test } from "vitest";
import { mayOpen, type Target } from "./forward.ts";

const rules = { services: new Set(["db", "api.internal"]) };

test.each([
  "localhost",
  "LocalHost",
  "127.0.0.1",
  "127.0.0.0",
  "127.255.255.255",
  "127.1.2.3",
  "::1",
  "db",
  "DB",
  "api.internal",
])("mayOpen() lets a client connect to %s", (host) => {
  expect(mayOpen({ type: "direct-tcpip", host, port: 8080 }, rules)).toEqual({ allowed: true });
});

test.each([
  ["nothing", ""],
  ["a short spelling", "127.1"],
  ["a hexadecimal part", "0x7f.1"],
  ["a hexadecimal number", "0x7f000001"],
  ["a decimal number", "2130706433"],
  ["an octal part", "0177.0.0.1"],
  ["a part with a leading zero", "127.0.0.01"],
  ["a part above 255", "127.0.0.256"],
  ["five parts", "127.0.0.0.1"],
  ["a dot at the end", "127.0.0.1."],
  ["the root's localhost", "localhost."],
  ["a name below localhost", "evil.localhost"],
  ["localhost with more", "localhost.example.dev"],
  ["localhost and a NUL", "localhost\0.example.dev"],
  ["localhost and a line break", "localhost\n"],
  ["localhost and a blank", " localhost"],
  ["digits of another script", "１２７.0.0.1"],
  ["a letter that lower-cases to another", "\u212aocalhost"],
  ["a long s", "localho\u017ft"],
  ["every address", "0.0.0.0"],
  ["every IPv6 address", "::"],
  ["the star", "*"],
  ["an IPv4 address in IPv6", "::ffff:127.0.0.1"],
  ["loopback written out", "0:0:0:0:0:0:0:1"],
  ["loopback in brackets", "[::1]"],
  ["loopback with a zone", "::1%lo"],
  ["the cluster's metadata service", "169.254.169.254"],
  ["a private address", "10.0.0.1"],
  ["the gateway's name", "gateway"],
  ["a part of a service's name", "d"],
  ["a service with a dot at the end", "db."],
  ["a property that every object has", "constructor"],
])("mayOpen() refuses to connect to %s", (_, host) => {
  expect(mayOpen({ type: "direct-tcpip", host, port: 80 }, rules).allowed).toBe(false);
});

test.each(["", "localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "*", "0.0.0.0", "::"])(
  "mayOpen() lets a client have the environment listen on %j",
  (host) => {
    for (const port of [0, 80, 65_535])
      expect(mayOpen({ type: "tcpip-forward", host, port }, rules)).toEqual({ allowed: true });
  },
);

test.each(["10.0.0.1", "db", "example.dev", "127.1", "[::]", "0", "fe80::1", "* "])(
  "mayOpen() refuses to have the environment listen on %j",
  (host) => {
    expect(mayOpen({ type: "tcpip-forward", host, port: 80 }, rules).allowed).toBe(false);
  },
);

test.each(["direct-streamlocal@openssh.com", "streamlocal-forward@openssh.com"])(
  "mayOpen() takes %s for absolute paths only",
  (type) => {
    const paths = [
      "/run/x.sock",
      `/${"x".repeat(106)}`,
      `/${"ü".repeat(53)}`,
      "x.sock",
      "",
      "/a\0b",
      `/${"x".repeat(107)}`,
      `/${"ü".repeat(54)}`,
    ];
    expect(paths.map((path) => mayOpen({ type, path }, rules).allowed)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  },
);

test.each<[string, Target, string]>([
  [
    "another host",
    { type: "direct-tcpip", host: "db.prod", port: 5432 },
    '"db.prod" is not of this environment; what can be reached: localhost, 127.0.0.1, ::1, api.internal, db',
  ],
  [
    "a hostile host",
    { type: "direct-tcpip", host: `\u001b[2J${"x".repeat(90)}`, port: 1 },
    `"?[2J${"x".repeat(56)}..." is not of this environment; what can be reached: localhost, 127.0.0.1, ::1, api.internal, db`,
  ],
  ["port 0", { type: "direct-tcpip", host: "localhost", port: 0 }, "there is no port 0"],
  ["a port beyond 16 bits", { type: "direct-tcpip", host: "localhost", port: 65_536 }, "there is no port 65536"],
  ["no host and no port", { type: "direct-tcpip" }, "there is no port 0"],
  ["to listen beyond 16 bits", { type: "tcpip-forward", host: "", port: 4_294_967_295 }, "there is no port 4294967295"],
  [
    "to listen elsewhere",
    { type: "tcpip-forward", host: "10.0.0.1", port: 80 },
    'the environment has no address "10.0.0.1" to listen on; use localhost or *',
  ],
  [
    "a relative socket",
    { type: "direct-streamlocal@openssh.com", path: "../x" },
    'the socket path "../x" is not absolute',
  ],
  ["no socket", { type: "streamlocal-forward@openssh.com" }, 'the socket path "" is not absolute'],
  ["a NUL in a socket", { type: "streamlocal-forward@openssh.com", path: "/a\0" }, "the socket path has a NUL in it"],
  [
    "a long socket",
    { type: "direct-streamlocal@openssh.com", path: `/${"x".repeat(200)}` },
    "the socket path has 201 bytes, more than 107",
  ],
  [
    "a tunnel",
    { type: "tun@openssh.com" },
    "network tunnels (ssh -w) are not offered; forward single ports with -L, -R or -D",
  ],
  ["X11", { type: "x11" }, "x11 is opened by the environment only, never by a client"],
  [
    "an agent",
    { type: "auth-agent@openssh.com" },
    "auth-agent@openssh.com is opened by the environment only, never by a client",
  ],
  [
    "a forwarded port",
    { type: "forwarded-tcpip" },
    "forwarded-tcpip is opened by the environment only, never by a client",
  ],
  ["what nobody knows", { type: "\u0007bell@example.dev" }, "?bell@example.dev is not known here"],
])("mayOpen() says why it refuses %s", (_, target, reason) => {
  expect(mayOpen(target, rules)).toEqual({ allowed: false, reason });
});

test("mayOpen() lets sessions be opened", () => {
  expect(mayOpen({ type: "session" }, rules)).toEqual({ allowed: true });
});

test("mayOpen() connects to nothing but the listed names and canonical loopback, whatever is asked", () => {
  const text = fc.oneof(
    fc.stringMatching(/^[0127.:xf[\]%localhstLOCAHST\0]{0,16}$/),
    fc.stringMatching(/^(127|0127|0x7f)(\.[0-2]?[0-9]{0,2}){1,4}$/),
  );
  fc.assert(
    fc.property(text, fc.nat(70_000), (host, port) => {
      const isListed = /^(localhost|::1|127(\.(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])){3})$/i.test(host);
      const isPort = port >= 1 && port <= 65_535;
      expect(mayOpen({ type: "direct-tcpip", host, port }, { services: new Set() }).allowed).toBe(isListed && isPort);
    }),
    { numRuns: 2_000 },
  );
});
