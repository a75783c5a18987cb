/**
 * Talks to `programs/half-close-server` inside an environment over connections that ends are sent on separately, the
 * way that shows whether anything in between loses data at an end or takes the end of one direction for that of both.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Client } from "../harness/client.ts";
import { whyNotThere } from "./place.ts";

/** Opens a connection that leads to the server, by whatever way. */
export type Dial = () => Promise<Socket>;

/** Starts the server inside, for as long as the environment lives. `at` is a port or a path there. */
export async function startHalfCloseServer(client: Client, login: string, at: string | number): Promise<void> {
  const file = `/tmp/half-close-server-${String(at).replaceAll("/", "-")}.mjs`;
  const { program, run } = await readServer(client, file);
  const command = `cat >${file}; chmod 700 ${file}; setsid ${run} ${at} </dev/null >${file}.log 2>&1 & for i in $(seq 100); do grep -q listening ${file}.log && exit; sleep 0.05; done; cat ${file}.log; exit 1`;
  const started = await client.ssh([login, command], { input: program });
  if (started.exitCode !== 0) throw new Error(`Cannot start the server inside: ${started.stdout}${started.stderr}`);
}

/** Takes the server that can run inside. @returns its file, and the words that run it as `file` there */
async function readServer(client: Client, file: string): Promise<{ program: Buffer; run: string }> {
  const source = join(import.meta.dirname, "programs/half-close-server");
  if (whyNotThere("node") === undefined) return { program: readFileSync(`${source}.mjs`), run: `node ${file}` };
  const path = join(client.folder, "half-close-server");
  const compiled = await client.run(["gcc", "-O1", "-Wall", "-static", "-pthread", "-o", path, `${source}.c`]);
  if (compiled.exitCode !== 0) throw new Error(`Cannot compile the server: ${compiled.stderr}`);
  return { program: readFileSync(path), run: file };
}

/** Dials a TCP port of this machine, or a Unix socket. */
export function dialer(at: number | string): Dial {
  return async () => {
    const socket = connect({
      ...(typeof at === "number" ? { host: "127.0.0.1", port: at } : { path: at }),
      allowHalfOpen: true,
    });
    await opened(socket);
    return socket;
  };
}

/** Dials through a SOCKS 5 proxy of this machine (RFC 1928). */
export function socksDialer(proxyPort: number, host: string, port: number): Dial {
  return async () => {
    const socket = await dialer(proxyPort)();
    socket.write(Buffer.of(5, 1, 0));
    await readExactly(socket, 2);
    const name = Buffer.from(host);
    socket.write(Buffer.concat([Buffer.of(5, 1, 0, 3, name.length), name, Buffer.of(port >> 8, port & 255)]));
    const answer = await readExactly(socket, 10);
    if (answer[1] !== 0) throw new Error(`Cannot connect through the proxy: it answers ${answer[1]}`);
    return socket;
  };
}

/** Sends, ends its half, and reads the answer that comes after. @throws {Error} unless every byte arrived */
export async function endFirst(dial: Dial, bytes = 200_000): Promise<void> {
  const data = Buffer.concat([Buffer.from("A"), randomBytes(bytes)]);
  const socket = await dial();
  socket.end(data);
  const answer = (await readAll(socket)).toString();
  const wanted = `${data.length} ${createHash("sha256").update(data).digest("hex")}\n`;
  if (answer !== wanted)
    throw new Error(`Cannot trust this way: the answer is ${JSON.stringify(answer)}, needs ${wanted}`);
}

/** Reads to the server's end first, and only then sends `bytes` more and ends. */
export async function endLast(dial: Dial, bytes: number): Promise<void> {
  const socket = await dial();
  socket.write("B");
  const got = await readAll(socket);
  if (got.length !== 300_000) throw new Error(`Cannot trust this way: ${got.length} bytes came, needs 300000`);
  socket.end(Buffer.alloc(bytes - 1));
  await new Promise((resolve) => socket.once("close", resolve));
}

/** Asks how many bytes the server got on each connection of `endLast`, sorted. */
export async function readCounts(dial: Dial): Promise<unknown[]> {
  const socket = await dial();
  socket.write("R");
  const answer = JSON.parse((await readAll(socket)).toString()) as unknown[];
  socket.destroy();
  return answer.sort((one, other) => Number(one) - Number(other));
}

async function opened(socket: Socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
}

/** Reads to the end of the other half; this half stays as it is. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", resolve);
    socket.once("error", reject);
  });
  return Buffer.concat(chunks);
}

async function readExactly(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const read = socket.read(count) as Buffer | null;
    if (read !== null) return read;
    await new Promise<void>((resolve, reject) => {
      socket.once("readable", resolve);
      socket.once("end", () => reject(new Error("Cannot read on: the other side has ended")));
      socket.once("error", reject);
    });
  }
}
