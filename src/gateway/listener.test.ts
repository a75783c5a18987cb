import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { loginRequest, makeFakeGateway, sendLogin, type FakeGateway } from "../../test/fakes/fake-gateway.ts";
import { RawPeer } from "../../test/fakes/raw-peer.ts";
import { until } from "../../test/fakes/transport-ends.ts";
import { message } from "../ssh/numbers.ts";
import { openListener, type Listener, type ListenerOptions } from "./listener.ts";

const sockets: Socket[] = [];
const listeners: Listener[] = [];

afterEach(() => {
  for (const listener of listeners.splice(0)) listener.stop();
  for (const socket of sockets.splice(0)) socket.destroy();
});

const loopback = { address: "127.0.0.0", prefixLength: 8, family: "ipv4" } as const;

async function listen(gateway: FakeGateway, options: Partial<ListenerOptions> = {}): Promise<Listener> {
  const listener = await openListener(gateway.deps, {
    addresses: [{ host: "127.0.0.1", port: 0 }],
    proxyProtocolFrom: [],
    strangers: { total: 10, perAddress: 5 },
    ...options,
  });
  listeners.push(listener);
  return listener;
}

async function dial(listener: Listener): Promise<Socket> {
  const address = listener.addresses[0];
  if (address === undefined) throw new Error("It listens nowhere");
  const socket = connect(address.port, address.host.replace("::", "::1"));
  socket.on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

async function enter(gateway: FakeGateway, listener: Listener, header = ""): Promise<RawPeer> {
  const socket = await dial(listener);
  socket.write(header);
  const peer = new RawPeer({ stream: socket });
  await peer.start();
  sendLogin(peer, gateway.ada, "hello-main");
  await peer.nextOf(message.userauthSuccess);
  return peer;
}

async function firstDataOf(socket: Socket): Promise<string> {
  return String((await once(socket, "data"))[0]);
}

function metricOf(gateway: FakeGateway, name: string): Promise<string> {
  return gateway.deps.metrics.registry.getSingleMetricAsString(name);
}

test("openListener() lets people in who prove a key, and counts them as strangers until then", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway);
  const socket = await dial(listener);
  await until(() => listener.strangers.count === 1);
  const peer = new RawPeer({ stream: socket });
  await peer.start();
  sendLogin(peer, gateway.ada, "hello-main");
  await peer.nextOf(message.userauthSuccess);
  expect(listener.strangers.count).toBe(0);
  expect(gateway.deps.sessions.all()[0]?.from).toBe("127.0.0.1");
});

test("openListener() takes so many strangers from one address and says to the others why not", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway);
  for (let at = 0; at < 5; at++) await dial(listener);
  await until(() => listener.strangers.count === 5);
  const refused = await dial(listener);
  expect(await firstDataOf(refused)).toBe("Slipway takes no connection from here now: too-many-from-address\r\n");
  await once(refused, "end");
  expect(await metricOf(gateway, "slipway_connections_refused_total")).toContain('reason="too-many-from-address"');
});

test("openListener() sends away an address whose keys fail again and again", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway);
  const stranger = makeFakeGateway().ada;
  for (let at = 0; at < 11; at++) {
    const peer = new RawPeer({ stream: await dial(listener) });
    await peer.start();
    sendLogin(peer, stranger, "x");
    await peer.nextOf(message.userauthFailure);
    peer.stream.end();
    await until(() => listener.strangers.count === 0);
  }
  expect(await firstDataOf(await dial(listener))).toContain("backing-off");
  await gateway.clock.advance(1_000);
  await enter(gateway, listener);
});

/** Issue 2: the socket was left paused behind the header, so that nobody got in through a proxy. */
test.each([
  ["IPv4", "PROXY TCP4 203.0.113.7 127.0.0.1 50000 22\r\n", "203.0.113.7"],
  ["IPv6", "PROXY TCP6 2001:db8::7 ::1 50000 22\r\n", "2001:db8::7"],
  ["nothing", "PROXY UNKNOWN\r\n", "127.0.0.1"],
])(
  "openListener() takes the address from the header of a proxy on the list, which names %s",
  async (_case, header, from) => {
    const gateway = makeFakeGateway();
    const listener = await listen(gateway, { proxyProtocolFrom: [loopback] });
    await enter(gateway, listener, header);
    expect(gateway.deps.sessions.all()[0]?.from).toBe(from);
  },
);

test("openListener() refuses a header from anybody else: it is no identification (CVE-2024-35175)", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway, {
    proxyProtocolFrom: [{ address: "192.0.2.0", prefixLength: 24, family: "ipv4" }],
  });
  const socket = await dial(listener);
  expect(await firstDataOf(socket)).toMatch(/^SSH-2\.0-Slipway/);
  socket.write("PROXY TCP4 203.0.113.7 127.0.0.1 50000 22\r\nSSH-2.0-x\r\n");
  await once(socket, "end");
  expect(gateway.log.at(-1)?.facts).toMatchObject({ from: "127.0.0.1" });
});

test("openListener() refuses a proxy on the list that sends no header, or none in time", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway, { proxyProtocolFrom: [loopback] });
  const wrong = await dial(listener);
  wrong.write("SSH-2.0-x\r\n");
  wrong.resume();
  await once(wrong, "end");
  const late = await dial(listener);
  late.resume();
  const isOver = once(late, "end");
  await until(() => gateway.clock.pendingCount === 2); // the wait for a header, and the first one's refusal
  await gateway.clock.advance(5_000);
  await isOver;
  expect(listener.strangers.count).toBe(0);
});

test("openListener() counts clients behind a proxy by their own addresses", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway, { proxyProtocolFrom: [loopback], strangers: { total: 10, perAddress: 1 } });
  for (const from of ["203.0.113.7", "203.0.113.8"]) {
    (await dial(listener)).write(`PROXY TCP4 ${from} 127.0.0.1 50000 22\r\n`);
  }
  await until(() => listener.strangers.count === 2);
  const again = await dial(listener);
  again.write("PROXY TCP4 203.0.113.7 127.0.0.1 50000 22\r\n");
  expect(await firstDataOf(again)).toContain("too-many-from-address");
});

test("openListener() listens on every address, and knows an IPv4 proxy that comes as IPv6", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway, { addresses: [{ host: "::", port: 0 }], proxyProtocolFrom: [loopback] });
  const socket = connect(listener.addresses[0]?.port ?? 0, "127.0.0.1");
  sockets.push(socket);
  socket.write("PROXY TCP4 203.0.113.7 127.0.0.1 50000 22\r\n");
  expect(await firstDataOf(socket)).toMatch(/^SSH-2\.0-Slipway/);
});

test("openListener() says which address it cannot listen on", async () => {
  const gateway = makeFakeGateway();
  const port = (await listen(gateway)).addresses[0]?.port ?? 0;
  await expect(listen(gateway, { addresses: [{ host: "127.0.0.1", port }] })).rejects.toMatchObject({
    code: "settings.invalid",
    told: expect.stringContaining(`Cannot listen on 127.0.0.1:${port}`) as string,
  });
});

test("Listener.stop() tells strangers, keeps people, and takes nobody more, not even from behind a header", async () => {
  const gateway = makeFakeGateway();
  const listener = await listen(gateway);
  const person = await enter(gateway, listener);
  const stranger = new RawPeer({ stream: await dial(listener) });
  await stranger.start();
  const proxied = await listen(gateway, { proxyProtocolFrom: [loopback] });
  const behind = await dial(proxied);
  await until(() => gateway.clock.pendingCount > 2);
  listener.stop();
  proxied.stop();
  expect(await stranger.untilClosed()).toBe("Slipway is shutting down");
  behind.write("PROXY TCP4 203.0.113.7 127.0.0.1 50000 22\r\n");
  behind.resume();
  await once(behind, "end");
  expect(proxied.strangers.count).toBe(0);
  person.send(loginRequest(person, gateway.ada, "ignored"));
  expect(gateway.deps.sessions.count).toBe(1);
  await expect(dial(listener)).rejects.toThrow("ECONNREFUSED");
});
