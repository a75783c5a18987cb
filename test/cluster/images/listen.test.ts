/**
 * The one connection over TCP that a door takes, beside strangers who knock: `images/toolbox/listen.c`, which is static and so
 * runs here as well.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Running, start } from "../../harness/program.ts";
import { buildImage } from "./build-image.ts";
import { readImage } from "./read-image.ts";
import { whyNoImages } from "./why-no-images.ts";

const lacks = whyNoImages();
const TOKEN = "0123456789abcdef0123456789abcdef";
let folder: string;
let program: string;

beforeAll(async () => {
  if (lacks !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "slipway-listen-"));
  const { root } = await readImage(await buildImage("toolbox"), folder);
  program = join(root, "opt/slipway/libexec/listen");
}, 300_000);

afterAll(() => {
  if (lacks === undefined) rmSync(folder, { recursive: true });
});

beforeEach((ctx) => {
  if (lacks !== undefined) ctx.skip(lacks);
});

interface Listening {
  readonly running: Running;
  readonly port: number;
}

async function listen(words: readonly string[], address = "127.0.0.1"): Promise<Listening> {
  const running = start([program, address, ...words], { env: { SLIPWAY_TOKEN: TOKEN }, timeoutMs: 20_000 });
  const [, port] = await running.untilOutput(/^port ([0-9]+)\n/);
  return { running, port: Number(port) };
}

async function knock({ port }: Listening, text = ""): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => {}); // an end like any other
  await once(socket, "connect");
  if (text !== "") socket.write(text);
  return socket;
}

/** Everything that comes until the end. */
async function drain(socket: Socket): Promise<string> {
  let said = "";
  socket.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await untilClosed(socket);
  return said;
}

function untilClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

test("the connection with the token becomes the streams of the program, whose code is ours", async () => {
  const listening = await listen(["/bin/sh", "-c", 'read -r word; echo "$word ${SLIPWAY_TOKEN-none}"; exit 7']);
  const socket = await knock(listening, `${TOKEN}hello\n`);
  expect(await drain(socket)).toBe("hello none\n");
  expect(await listening.running.ended).toMatchObject({ exitCode: 7, stdout: `port ${listening.port}\n`, stderr: "" });
});

test("the listener is closed once there is a connection", async () => {
  const listening = await listen(["/bin/cat"]);
  const socket = await knock(listening, `${TOKEN}hello\n`);
  await once(socket, "data");
  const late = connect({ host: "127.0.0.1", port: listening.port });
  const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
  socket.destroy();
  expect((await listening.running.ended).exitCode).toBe(0);
});

test("the end of standard input ends the connection, in use or not", async () => {
  const listening = await listen(["/bin/cat"]);
  const socket = await knock(listening, `${TOKEN}hello\n`);
  await once(socket, "data");
  listening.running.stdin.write("more words, which are nobody's\n");
  listening.running.stdin.end();
  await drain(socket);
  expect((await listening.running.ended).exitCode).toBe(0);
  const unused = await listen(["/bin/cat"]);
  unused.running.stdin.end();
  expect(await unused.running.ended).toMatchObject({ exitCode: 0, stderr: "" });
});

test('a line "here" has the program serve the standard streams, and takes nothing of what comes after it', async () => {
  const { running, port } = await listen(["/bin/cat"]);
  running.stdin.end("here\nSSH-2.0-a\r\n");
  expect(await running.ended).toMatchObject({ exitCode: 0, stdout: `port ${port}\nSSH-2.0-a\r\n` });
  const other = await listen(["/bin/cat"]);
  other.running.stdin.write("there\n");
  expect(await other.running.ended).toMatchObject({
    exitCode: 1,
    stderr: 'Cannot take a connection: a line on standard input that is not "here"\n',
  });
});

test("who has not the token is sent away, and keeps nobody else out for more than a second", async () => {
  const listening = await listen(["/bin/cat"]);
  const wrong = await knock(listening, `f${TOKEN.slice(1)}`);
  expect(await drain(wrong)).toBe("");
  const short = await knock(listening, TOKEN.slice(1));
  short.end();
  expect(await drain(short)).toBe("");
  const beganAt = performance.now();
  const silent = await Promise.all(Array.from({ length: 5 }, () => knock(listening)));
  const meant = await knock(listening, TOKEN.slice(0, 3));
  meant.write(`${TOKEN.slice(3)}hello\n`);
  const [echo] = (await once(meant, "data")) as [Buffer];
  expect(echo.toString()).toBe("hello\n");
  expect(performance.now() - beganAt).toBeLessThan(2_500);
  for (const one of silent) expect(await drain(one)).toBe("");
  meant.destroy();
  await listening.running.ended;
});

test("it gives up after five seconds, however busy strangers keep it", async () => {
  const listening = await listen(["/bin/cat"]);
  const beganAt = performance.now();
  let isOver = false;
  void listening.running.ended.then(() => (isOver = true));
  while (!isOver) {
    const socket = connect({ host: "127.0.0.1", port: listening.port });
    socket.on("error", () => {}); // refused once it is over
    await untilClosed(socket);
  }
  expect(performance.now() - beganAt).toBeGreaterThan(4_900);
  expect(performance.now() - beganAt).toBeLessThan(7_500);
  expect(await listening.running.ended).toMatchObject({
    exitCode: 1,
    stderr: "Cannot take a connection: nobody with the token came within 5 s\n",
  });
});

test("it listens on the address that it was given and on no other, of both families", async () => {
  const { running, port } = await listen(["/bin/cat"], "::1");
  const other = connect({ host: "127.0.0.1", port });
  const [error] = (await once(other, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
  const own = connect({ host: "::1", port });
  own.write(`${TOKEN}hello\n`);
  await once(own, "data");
  own.destroy();
  await running.ended;
  const nowhere = start([program, "host.example", "/bin/cat"], { env: { SLIPWAY_TOKEN: TOKEN } });
  expect(await nowhere.ended).toMatchObject({ exitCode: 1, stderr: "Cannot take a connection: needs an address\n" });
});
