import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { afterEach, expect, test } from "vitest";

import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import type { Exec, ExecEnd } from "../api/cluster-api.ts";
import { type ByAddress, openByAddress } from "./by-address.ts";

const NEVER = new AbortController().signal;
const CONFIG = "UsePAM no\n";
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

interface Asked {
  readonly door: Exec & { end(end: ExecEnd): void };
  /** The door's side of its exec. */
  readonly inside: Duplex;
  readonly clock: HandClock;
  readonly opening: Promise<ByAddress>;
  /** What the door was told, up to the end of a line. */
  readonly line: string;
}

/** Asks a door, and reads its first line as that does. */
async function ask(address = "127.0.0.1", signal = NEVER): Promise<Asked> {
  const [stream, inside] = duplexPair();
  const { promise: ended, resolve: end } = Promise.withResolvers<ExecEnd>();
  const door = { stream, ended, end, canEndInput: false, stderr: () => "its last words" };
  const clock = new HandClock();
  const opening = openByAddress(door, { address, config: CONFIG, clock }, signal);
  const [line] = (await once(inside, "data")) as [Buffer];
  return { door, inside, clock, opening, line: line.toString() };
}

async function listen(): Promise<{ port: number; connection: Promise<Socket> }> {
  const server = createServer();
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has an address");
  return { port: address.port, connection: once(server, "connection").then(([socket]) => socket as Socket) };
}

/** Goes all the way to an open connection. */
async function open() {
  const { port, connection } = await listen();
  const asked = await ask();
  asked.inside.write(`port ${port}\n`);
  const pod = await connection;
  const [token] = (await once(pod, "data")) as [Buffer];
  pod.write("SSH-2.0-inner\r\n");
  const opened = await asked.opening;
  if (opened.type !== "open") throw new Error(`Cannot open: it is ${opened.type}`);
  return { ...asked, pod, token: token.toString(), stream: opened.stream };
}

test("openByAddress() shows the token that it gave the door, and hands over a stream with its first bytes unread", async () => {
  const { line, token, stream, pod } = await open();
  const [word, address, given, text = ""] = line.trimEnd().split(" ");
  expect([word, address, given]).toEqual(["tcp", "127.0.0.1", token]);
  expect(token).toMatch(/^[0-9a-f]{32}$/);
  expect(Buffer.from(text, "base64").toString()).toBe(CONFIG);
  const [first] = (await once(stream, "data")) as [Buffer];
  expect(first.toString()).toBe("SSH-2.0-inner\r\n");
  stream.write("SSH-2.0-outer\r\n");
  const [answer] = (await once(pod, "data")) as [Buffer];
  expect(answer.toString()).toBe("SSH-2.0-outer\r\n");
  stream.destroy();
});

test("openByAddress() has the connection end with the exec, loudly, and with its bytes where the program ended by itself", async () => {
  const lost = await open();
  lost.door.end({ type: "lost", reason: "the cluster has been silent for 9 s" });
  const [error] = (await once(lost.stream, "error")) as [Error];
  expect(error).toMatchObject({ code: "cluster.unreached" });
  await once(lost.pod, "close");
  const ended = await open();
  ended.door.end({ type: "exited", exitCode: 0 });
  ended.pod.end("last words");
  const said: Buffer[] = [];
  ended.stream.on("data", (chunk: Buffer) => said.push(chunk));
  await once(ended.stream, "close");
  expect(Buffer.concat(said).toString()).toBe("SSH-2.0-inner\r\nlast words");
});

test("openByAddress() ends the exec a while after the connection", async () => {
  const { door, stream, clock } = await open();
  stream.destroy();
  await once(stream, "close");
  expect(door.stream.destroyed).toBe(false);
  await clock.advance(2_000);
  expect(door.stream.destroyed).toBe(true);
});

test("openByAddress() goes on with the door's own stream where the address does not answer", async () => {
  const { port } = await listen();
  for (const server of servers.splice(0)) server.close();
  const { inside, opening, door } = await ask();
  const told = once(inside, "data");
  inside.write(`port ${port}\n`);
  expect((await opening).type).toBe("here");
  const [line] = (await told) as [Buffer];
  expect(line.toString()).toBe("here\n");
  inside.write("SSH-2.0-inner\r\n");
  const [first] = (await once(door.stream, "data")) as [Buffer];
  expect(first.toString()).toBe("SSH-2.0-inner\r\n");
});

test.each([
  { case: "a door that knows nothing of it", say: (inside: Duplex) => void inside.end() },
  { case: "another answer than a port", say: (inside: Duplex) => void inside.write("SSH-2.0-inner\r\n") },
  { case: "an answer without an end", say: (inside: Duplex) => void inside.write("1".repeat(100)) },
])("openByAddress() gives up $case", async ({ say }) => {
  const { inside, opening, door } = await ask();
  say(inside);
  const { type, error } = { error: undefined, ...(await opening) };
  expect(type).toBe("lost");
  expect(String(error)).toContain("its last words");
  expect(door.stream.destroyed).toBe(true);
});

test("openByAddress() gives up a connection that is taken and closed, or stays silent", async () => {
  for (const act of ["close", "wait"]) {
    const { port, connection } = await listen();
    const { inside, opening, clock } = await ask();
    inside.write(`port ${port}\n`);
    const pod = await connection;
    await once(pod, "data");
    if (act === "close") pod.end();
    else await clock.advance(3_000);
    expect((await opening).type).toBe("lost");
    await once(pod.resume(), "close");
  }
});

test("openByAddress() gives up a door that is silent, and what nobody wants any more", async () => {
  const silent = await ask();
  await silent.clock.advance(5_000);
  expect((await silent.opening).type).toBe("lost");
  const stop = new AbortController();
  const unwanted = await ask("127.0.0.1", stop.signal);
  stop.abort(new Error("Nobody waits"));
  await expect(unwanted.opening).rejects.toThrow("Nobody waits");
  expect(unwanted.door.stream.destroyed).toBe(true);
});
