import { once } from "node:events";
import { createServer } from "node:https";
import type { Server } from "node:https";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../../../test/fakes/recording-log.ts";
import { makeCertificate } from "../../../../test/forges/lib/certificate.ts";
import { makeClock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import type { Passing } from "../../../ssh/memory.ts";
import type { Exec, ExecRequest } from "./cluster-api.ts";
import type { ExecConnection } from "./exec-connection.ts";
import { openExec } from "./exec.ts";

const REQUEST: ExecRequest = { namespace: "slip-a", pod: "api-1", container: "main", argv: ["/bin/x", "a b", "ü&?"] };
const NEVER = new AbortController().signal;
const SUCCESS = '{"metadata":{},"status":"Success"}';

/** What the next program does; and what was asked for it. */
type Program = (socket: WebSocket, raw: Duplex) => void;

/** An API server on loopback that speaks one protocol and does what a test says. */
interface FakeServer extends AsyncDisposable {
  readonly connection: ExecConnection;
  program: Program;
  /** Instead of an upgrade. */
  refusal: { status: number; body: string } | undefined;
  readonly asked: string[];
  readonly raws: Set<Socket>;
}

let folder: string;
let tls: { key: string; cert: string };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "slipway-exec-"));
  tls = await makeCertificate(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function openFake(
  protocol: string,
  onUpgrade: "answer" | "hang" | { readonly raw: string } = "answer",
): Promise<FakeServer> {
  const raws = new Set<Socket>();
  const https: Server = createServer(tls);
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => protocol, perMessageDeflate: true });
  https.on("connection", (raw: Socket) => raws.add(raw));
  https.on("upgrade", (request, stream, head) => {
    stream.on("error", () => {});
    fake.asked.push(`${request.url ?? ""} ${request.headers.authorization ?? ""}`);
    if (onUpgrade === "hang") return;
    if (onUpgrade !== "answer") {
      stream.end(onUpgrade.raw);
      return;
    }
    if (fake.refusal !== undefined) {
      const { status, body } = fake.refusal;
      stream.end(
        `HTTP/1.1 ${status} No\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on("error", () => {});
      fake.program(socket, stream);
    });
  });
  await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
  const { port } = https.address() as AddressInfo;
  const fake: FakeServer = {
    connection: {
      name: "one",
      url: new URL(`https://127.0.0.1:${port}/k8s/one/`),
      tls: { ca: tls.cert },
      headers: async () => ({ authorization: "Bearer t" }),
    },
    program: () => {},
    refusal: undefined,
    asked: [],
    raws,
    [Symbol.asyncDispose]: async () => {
      for (const raw of raws) raw.destroy();
      await new Promise((resolve) => https.close(resolve));
    },
  };
  return fake;
}

const say = (socket: WebSocket, channel: number, body: string | Buffer) =>
  socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(body)]));

function end(socket: WebSocket, status: string): void {
  say(socket, 3, status);
  socket.close();
}

const failure = (facts: object) => JSON.stringify({ kind: "Status", status: "Failure", ...facts });

const exitedWith = (code: number) =>
  failure({ reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: String(code) }] } });

describe.each(["v4.channel.k8s.io", "v5.channel.k8s.io"])("openExec() on a server that speaks %s", (protocol) => {
  let fake: FakeServer;
  const open = async (clock = makeClock(), request = REQUEST): Promise<Exec> => {
    const exec = await openExec(fake.connection, request, { clock, log: recordingLog().log }, NEVER);
    exec.stream.on("error", () => {}); // some tests end with the server gone
    return exec;
  };

  beforeEach(async () => {
    fake = await openFake(protocol);
    return () => fake[Symbol.asyncDispose]();
  });

  test("asks for the program with its words as they are, and says who it is", async () => {
    const { stream } = await open();
    stream.destroy();
    const [asked = ""] = fake.asked;
    const query =
      "command=%2Fbin%2Fx&command=a+b&command=%C3%BC%26%3F&container=main&stdin=true&stdout=true&stderr=true";
    expect(asked).toBe(`/k8s/one/api/v1/namespaces/slip-a/pods/api-1/exec?${query} Bearer t`);
  });

  test("hands over output to the last byte, standard error and the exit code", async () => {
    fake.program = (socket) => {
      for (const channel of [1, 2, 3]) say(socket, channel, "");
      say(socket, 1, "first ");
      say(socket, 2, "trouble");
      say(socket, 1, "last");
      say(socket, 3, exitedWith(7));
      socket.close();
    };
    const exec = await open();
    expect(await text(exec.stream)).toBe("first last");
    expect([await exec.ended, exec.stderr()]).toEqual([{ type: "exited", exitCode: 7 }, "trouble"]);
  });

  test("ends when the server says the status and keeps the connection", async () => {
    fake.program = (socket) => {
      say(socket, 1, "all");
      say(socket, 3, SUCCESS);
    };
    const exec = await open();
    expect(await text(exec.stream)).toBe("all");
    expect(await exec.ended).toEqual({ type: "exited", exitCode: 0 });
  });

  test("tells a program that never ran from one that failed", async () => {
    fake.program = (socket) => {
      say(socket, 3, failure({ reason: "InternalError", message: 'exec: "/bin/x": no such file\nor directory' }));
      socket.close();
    };
    const exec = await open();
    exec.stream.resume();
    expect(await exec.ended).toEqual({ type: "refused", reason: 'exec: "/bin/x": no such file or directory' });
  });

  test.each<[string, Program, RegExp]>([
    ["closes without a status", (socket) => socket.close(1_000), /code 1000 and without a status/],
    ["says it fails", (socket) => socket.close(1_011), /code 1011/],
    ["breaks off", (_socket, raw) => raw.destroy(), /closed the connection/],
    ["breaks off within a message", (_socket, raw) => raw.end(Buffer.of(0x82, 0x7e, 0xff)), /closed the connection/],
    ["sends what is no frame", (_socket, raw) => raw.write(Buffer.of(0xff, 0xff, 0xff)), /Invalid WebSocket frame/],
    [
      "ends with more than a status",
      (socket) => end(socket, " ".repeat(2 ** 20) + SUCCESS),
      /last word cannot be read/,
    ],
    ["ends with no status at all", (socket) => end(socket, "{}"), /last word cannot be read/],
    ["ends with rubbish", (socket) => end(socket, "<html>"), /last word cannot be read/],
  ])("is lost, loudly, when the server %s", async (_case, program, reason) => {
    fake.program = (socket, raw) => {
      say(socket, 1, "half");
      program(socket, raw);
    };
    const exec = await open();
    await expect(buffer(exec.stream)).rejects.toMatchObject({ name: "Fault", code: "cluster.unreached" });
    expect(await exec.ended).toEqual({ type: "lost", reason: expect.stringMatching(reason) as unknown });
  });

  test("reads a message in fragments, answers the questions between them, and hears nothing after the end", async () => {
    const pongs: string[] = [];
    fake.program = (socket, raw) => {
      socket.on("pong", (payload) => pongs.push(payload.toString()));
      socket.send(Buffer.from("\u0001be"), { fin: false });
      socket.ping("are you there");
      socket.send(Buffer.from("gun"), { fin: true });
      say(socket, 3, SUCCESS);
      socket.close();
      raw.write(Buffer.from([0x82, 3, 1, 0x78, 0x78]));
    };
    const exec = await open();
    expect(await text(exec.stream)).toBe("begun");
    await expect.poll(() => pongs).toEqual(["are you there"]);
    expect(await exec.ended).toEqual({ type: "exited", exitCode: 0 });
  });

  test("gives up a server that says nothing for 9 s", async () => {
    const clock = new HandClock();
    let raw: Duplex | undefined;
    fake.program = (_socket, its) => (raw = its);
    const exec = await open(clock);
    const failed = buffer(exec.stream).catch((error: unknown) => error);
    raw?.pause(); // answers no ping from here on
    await clock.advance(8_999);
    expect(exec.stream.destroyed).toBe(false);
    await clock.advance(1);
    expect(await failed).toBeInstanceOf(Fault);
    expect(await exec.ended).toEqual({ type: "lost", reason: "the cluster has been silent for 9 s" });
    expect(clock.pendingCount).toBe(0);
  });

  test("keeps a server that answers pings and says nothing else", async () => {
    const clock = new HandClock();
    const exec = await open(clock);
    for (let turn = 0; turn < 10; turn++) {
      await clock.advance(3_000);
      await wait(20); // for the answer, on a real socket
    }
    expect(exec.stream.destroyed).toBe(false);
    exec.stream.destroy();
    expect(await exec.ended).toEqual({ type: "lost", reason: "we closed the connection" });
    expect(clock.pendingCount).toBe(0);
  });

  test("closes the connection when its stream is destroyed", async () => {
    const closed = Promise.withResolvers<number>();
    fake.program = (socket) => socket.once("close", closed.resolve);
    const { stream } = await open();
    stream.destroy();
    expect(await closed.promise).toBe(1_006);
  });

  test("takes what is written after the program ended, and keeps its output", async () => {
    fake.program = (socket) => {
      say(socket, 1, "out");
      say(socket, 3, SUCCESS);
      socket.close();
    };
    const exec = await open();
    await exec.ended;
    exec.stream.write(Buffer.alloc(1_000_000));
    expect(await text(exec.stream)).toBe("out");
  });

  test("sends input whole and in order in messages of 64 KiB at most, gathering small ones", async () => {
    const messages: Buffer[] = [];
    fake.program = (socket) => {
      socket.on("message", (data: Buffer) => messages.push(data));
    };
    const { stream } = await open();
    const parts = [1, 10, 300_000, 0, 5, 65_536, 70_000, 3].map((length, at) => Buffer.alloc(length, at + 1));
    for (const part of parts) stream.write(part);
    const whole = Buffer.concat(parts);
    const got = () => Buffer.concat(messages.map((message) => message.subarray(1)));
    await expect.poll(() => got().length).toBe(whole.length);
    expect(got().equals(whole)).toBe(true);
    expect(messages.every((message) => message[0] === 0 && message.length <= 65_537)).toBe(true);
    expect(messages.length).toBeLessThan(10);
    stream.destroy();
  });

  test("has copied what was written when the write calls back, however slowly it is read", async () => {
    const messages: Buffer[] = [];
    fake.program = (socket) => {
      socket.on("message", (data: Buffer) => messages.push(data));
      socket.pause();
      setTimeout(() => socket.resume(), 300);
    };
    const { stream } = await open();
    const chunk = Buffer.alloc(64 * 1_024);
    for (let round = 0; round < 200; round++) {
      chunk.fill(round);
      await new Promise((resolve) => stream.write(chunk, resolve));
    }
    const got = () => messages.flatMap((message) => [...new Set(message.subarray(1))]);
    await expect.poll(() => new Set(got()).size, { timeout: 10_000 }).toBe(200);
    expect(got()).toEqual(got().toSorted((a, b) => a - b));
    stream.destroy();
  });

  test("lends what it reads to whom it was told of, in order with what had waited", async () => {
    const part = (at: number): Buffer => Buffer.alloc(200_000, at);
    let more = (): void => {};
    fake.program = (socket) => {
      say(socket, 1, part(1));
      more = () => {
        for (const at of [2, 3, 4]) say(socket, 1, part(at));
        end(socket, SUCCESS);
      };
    };
    const { stream } = await open();
    await expect.poll(() => stream.readableLength).toBeGreaterThan(199_000);
    const got: Buffer[] = [];
    let lentBytes = 0;
    (stream as Duplex & Passing).lend((bytes) => {
      got.push(Buffer.from(bytes));
      lentBytes += bytes.length;
      bytes.fill(0xee); // theirs again: whoever reads it later shall notice
    });
    stream.on("data", (chunk: Buffer) => got.push(chunk));
    await expect.poll(() => stream.readableLength).toBe(0);
    more();
    await once(stream, "end");
    expect(Buffer.concat(got).equals(Buffer.concat([1, 2, 3, 4].map(part)))).toBe(true);
    expect(lentBytes).toBeGreaterThan(500_000);
  });

  test("holds back a writer whose program does not read", async () => {
    fake.program = (socket) => socket.pause();
    const { stream } = await open();
    const chunk = Buffer.alloc(64 * 1_024);
    let writtenBytes = 0;
    const writeSome = () => {
      do writtenBytes += chunk.length;
      while (stream.write(chunk));
    };
    stream.on("drain", writeSome);
    writeSome();
    let before = 0;
    while (before < writtenBytes) {
      before = writtenBytes;
      await wait(200); // as long as the kernel still takes some
    }
    expect(writtenBytes).toBeLessThan(32 * 2 ** 20); // the kernel's buffers on both sides are most of it
    expect(stream.writableLength).toBeLessThan(2 ** 20);
    stream.destroy();
  });

  test("holds back a program whose output nobody reads, and loses none of it", async () => {
    const total = 64 * 2 ** 20;
    let server: WebSocket | undefined;
    fake.program = (socket) => {
      server = socket;
      for (let sent = 0; sent < total; sent += 32_768) say(socket, 1, Buffer.alloc(32_768, sent / 32_768));
      say(socket, 3, SUCCESS);
    };
    const { stream } = await open();
    await wait(500);
    expect(server?.bufferedAmount).toBeGreaterThan(total / 2);
    expect(stream.readableLength).toBeLessThan(2 ** 20);
    let bytes = 0;
    let isRight = true;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      isRight &&= chunk[0] === Math.floor(bytes / 32_768) % 256;
      bytes += chunk.length;
    }
    expect([bytes, isRight]).toEqual([total, true]);
  });

  test("is not taken for dead while nobody reads from it", async () => {
    const clock = new HandClock();
    fake.program = (socket) => {
      for (let sent = 0; sent < 1_000; sent++) say(socket, 1, Buffer.alloc(32_768));
    };
    const { stream } = await open(clock);
    await expect.poll(() => stream.readableLength).toBeGreaterThan(256 * 1_024 - 1);
    await clock.advance(60_000);
    expect(stream.destroyed).toBe(false);
    stream.destroy();
  });

  test("waits a minute for a program that may leave its input unread", async () => {
    const clock = new HandClock();
    let raw: Duplex | undefined;
    fake.program = (_socket, its) => (raw = its);
    const exec = await open(clock, { ...REQUEST, mayStall: true });
    raw?.pause();
    exec.stream.on("error", () => {});
    const chunk = Buffer.alloc(2 ** 20);
    for (let sent = 0; sent < 64; sent++) exec.stream.write(chunk);
    await clock.advance(62_999);
    expect(exec.stream.destroyed).toBe(false);
    // What the kernel still takes is a sign of life, from which the minute begins anew: it is full at some time.
    await expect
      .poll(async () => {
        await clock.advance(3_000);
        return exec.stream.destroyed;
      })
      .toBe(true);
    expect(await exec.ended).toEqual({ type: "lost", reason: "the cluster has been silent for 63 s" });
  });
});

test("openExec() closes the input of the program alone where the server can do that", async () => {
  await using fake = await openFake("v5.channel.k8s.io");
  const got: Buffer[] = [];
  fake.program = (socket) => {
    socket.on("message", (data: Buffer) => {
      got.push(data);
      if (data[0] !== 255) return;
      say(socket, 1, "done");
      say(socket, 3, SUCCESS);
    });
  };
  const exec = await openExec(fake.connection, REQUEST, { clock: makeClock(), log: recordingLog().log }, NEVER);
  exec.stream.end("x");
  expect(await text(exec.stream)).toBe("done");
  expect([exec.canEndInput, got]).toEqual([true, [Buffer.from("\0x"), Buffer.of(255, 0)]]);
});

test("openExec() says of a v4 server that it cannot, and ends nothing", async () => {
  await using fake = await openFake("v4.channel.k8s.io");
  fake.program = (socket) => {
    socket.on("message", () => say(socket, 1, "still here"));
  };
  const exec = await openExec(fake.connection, REQUEST, { clock: makeClock(), log: recordingLog().log }, NEVER);
  exec.stream.on("error", () => {});
  exec.stream.end("x");
  const [said] = (await exec.stream.take(1).toArray()) as Buffer[];
  expect([exec.canEndInput, String(said)]).toEqual([false, "still here"]);
});

test.each([
  [
    403,
    failure({ reason: "Forbidden", message: 'pods "a" is forbidden: User "b" cannot create' }),
    "cluster.forbidden",
    'pods "a" is forbidden',
  ],
  [401, failure({ message: "Unauthorized" }), "cluster.forbidden", "Unauthorized"],
  [404, failure({ message: 'pods "api-1" not found' }), "cluster.refused", 'pods "api-1" not found'],
  [400, failure({ message: "container gone is not valid for pod api-1" }), "cluster.refused", "not valid for pod"],
  // Of a message with a whole template in it the reason, which is behind that, was cut off.
  [
    422,
    failure({ message: `Job "a" is invalid: ${"x".repeat(5_000)}: field is immutable` }),
    "cluster.refused",
    "xxx: field is immutable",
  ],
  [500, failure({ message: "error dialing backend: refused" }), "cluster.unreached", "error dialing backend: refused"],
  [502, "<html>bad\r\ngateway</html>", "cluster.unreached", 'HTTP status 502: "<html>bad\\r\\ngateway</html>"'],
  [200, "ok", "cluster.refused", 'HTTP status 200: "ok"'],
  [404, "x".repeat(1_000_000), "cluster.refused", 'HTTP status 404: "xxx'],
])("openExec() makes a fault of HTTP %d with the server's sentence", async (status, body, code, sentence) => {
  await using fake = await openFake("v4.channel.k8s.io");
  fake.refusal = { status, body };
  const opening = openExec(fake.connection, REQUEST, { clock: makeClock(), log: recordingLog().log }, NEVER);
  await expect(opening).rejects.toMatchObject({
    code,
    message: expect.stringContaining(sentence) as unknown,
  });
});

// People were told `error dialing backend: dial tcp 10.255.2.2:10250: …` while a kubelet was away: what is told says the state in
// words of theirs, and no address of the cluster.
test("openExec() tells of a kubelet that the server does not reach that the node does not answer", async () => {
  await using fake = await openFake("v4.channel.k8s.io");
  const message = "error dialing backend: dial tcp 10.255.2.2:10250: connect: connection refused";
  fake.refusal = { status: 500, body: failure({ message }) };
  const opening = openExec(fake.connection, REQUEST, { clock: makeClock(), log: recordingLog().log }, NEVER);
  const told = "the node that this environment is on does not answer";
  await expect(opening).rejects.toMatchObject({ code: "cluster.unreached", told });
});

test("openExec() makes faults of a server that is away, speaks something else, or is another", async () => {
  const options = { clock: makeClock(), log: recordingLog().log };
  const fake = await openFake("v9.channel.k8s.io");
  await expect(openExec(fake.connection, REQUEST, options, NEVER)).rejects.toMatchObject({ code: "cluster.unreached" });
  const stranger = { ...fake.connection, tls: {} };
  await expect(openExec(stranger, REQUEST, options, NEVER)).rejects.toMatchObject({ code: "cluster.unreached" });
  await fake[Symbol.asyncDispose]();
  await expect(openExec(fake.connection, REQUEST, options, NEVER)).rejects.toMatchObject({ code: "cluster.unreached" });
});

test.each([
  ["an upgrade to something else", "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
  ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["the beginning of an answer", "HTTP/1.1 101 "],
])("openExec() makes a fault of %s", async (_case, answer) => {
  await using fake = await openFake("v4.channel.k8s.io", { raw: answer });
  const opening = openExec(fake.connection, REQUEST, { clock: makeClock(), log: recordingLog().log }, NEVER);
  await expect(opening).rejects.toMatchObject({ code: "cluster.unreached" });
  await expect.poll(() => [...fake.raws].every((raw) => raw.destroyed)).toBe(true);
});

test("openExec() makes a fault of a server that does not answer for half a minute", async () => {
  await using fake = await openFake("v4.channel.k8s.io", "hang");
  const clock = new HandClock();
  const opening = openExec(fake.connection, REQUEST, { clock, log: recordingLog().log }, NEVER);
  opening.catch(() => {});
  await expect.poll(() => fake.asked.length).toBe(1);
  await clock.advance(30_000);
  await expect(opening).rejects.toMatchObject({
    code: "cluster.unreached",
    message: expect.stringContaining("No answer after 30000 ms") as unknown,
  });
});

test("openExec() ends at once when it is given up, and leaves no connection", async () => {
  await using fake = await openFake("v4.channel.k8s.io", "hang");
  const stop = new AbortController();
  const opening = openExec(fake.connection, REQUEST, { clock: makeClock(), log: recordingLog().log }, stop.signal);
  await expect.poll(() => fake.asked.length).toBe(1);
  stop.abort();
  await expect(opening).rejects.toThrow(/aborted/);
  await expect.poll(() => [...fake.raws].every((raw) => raw.destroyed)).toBe(true);
});
