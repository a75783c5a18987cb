import { createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { makeClock } from "../base/clock.ts";
import { makeLog } from "../base/log.ts";
import type { Hint, WebhookReading } from "../forge/forge-client.ts";
import { openWebhooks, type Webhooks } from "./webhooks.ts";

const SECRET = "a secret of the tests";
const MEBIBYTE = Buffer.alloc(2 ** 20, "x");

/** As GitHub signs: the body may hint at one account. */
function readWebhook(headers: IncomingHttpHeaders, body: Buffer): WebhookReading {
  const given = Buffer.from(String(headers["x-hub-signature-256"] ?? ""));
  const right = Buffer.from(signatureOf(body));
  if (given.length !== right.length || !timingSafeEqual(given, right)) return { type: "unsigned" };
  const accountId = body.toString("latin1");
  if (accountId === "{") return { type: "malformed", why: "no JSON" };
  return { type: "hints", hints: accountId === "" ? [] : [{ type: "account", accountId }] };
}

function signatureOf(body: string | Buffer): string {
  return `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;
}

interface Opened extends AsyncDisposable {
  readonly webhooks: Webhooks;
  readonly told: [string, readonly Hint[]][];
}

async function open(onHints?: () => Promise<void>): Promise<Opened> {
  const told: [string, readonly Hint[]][] = [];
  const webhooks = await openWebhooks({
    address: { host: "127.0.0.1", port: 0 },
    clock: makeClock(),
    log: makeLog("silent"),
    forges: new Map([["github", { readWebhook }]]),
    onHints: async (forge, hints) => {
      told.push([forge, hints]);
      await onHints?.();
    },
  });
  return { webhooks, told, [Symbol.asyncDispose]: () => webhooks[Symbol.asyncDispose]() };
}

/** Sends pieces as they are and collects what comes back until the far side closes. */
async function talk(port: number, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  void (async () => {
    for (const piece of pieces) {
      if (socket.destroyed || socket.write(piece)) continue;
      await once(socket, "drain").catch(() => {}); // cut off
    }
  })();
  return answerOf(socket);
}

async function ended(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once("close", resolve));
}

async function answerOf(socket: Socket): Promise<string> {
  let answer = "";
  socket.on("data", (chunk) => (answer += String(chunk)));
  socket.on("error", () => {}); // cut off: what came before it counts
  await ended(socket);
  return answer.split("\r\n")[0] ?? "";
}

function post(body: string, more: readonly string[] = []): string {
  const lines = ["POST /webhooks/github HTTP/1.1", "Host: x", `Content-Length: ${body.length}`, ...more];
  return [...lines, "Connection: close", "", body].join("\r\n");
}

function signed(body: string): string {
  return post(body, [`X-Hub-Signature-256: ${signatureOf(body)}`]);
}

test("openWebhooks() answers what verifies at once, and has it looked into behind the answer", async () => {
  await using opened = await open(() => new Promise(() => {})); // the fresh read never ends
  const begunAt = performance.now();
  expect(await talk(opened.webhooks.port, signed("583231"))).toBe("HTTP/1.1 202 Accepted");
  expect(performance.now() - begunAt).toBeLessThan(1_000);
  expect(opened.told).toEqual([["github", [{ type: "account", accountId: "583231" }]]]);
  expect(await talk(opened.webhooks.port, signed(""))).toBe("HTTP/1.1 202 Accepted");
  expect(opened.told).toHaveLength(1); // an event that hints at nothing
  expect(opened.webhooks.counts).toEqual({ taken: 2, unsigned: 0, malformed: 0, "too-large": 0, cut: 0 });
});

test.each([
  ["no signature", post("1"), "401 Unauthorized"],
  ["a wrong signature", post("1", [`X-Hub-Signature-256: ${signatureOf("2")}`]), "401 Unauthorized"],
  ["another shape", signed("{"), "400 Bad Request"],
  ["a forge that is not there", signed("1").replace("github", "gitlab"), "404 Not Found"],
  ["a longer path", signed("1").replace("github", "github/x"), "404 Not Found"],
  ["no path at all", signed("1").replace("/webhooks/github", "//"), "404 Not Found"],
  ["another method", signed("1").replace("POST", "GET"), "405 Method Not Allowed"],
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400 Bad Request"],
  ["neither length nor chunks", signed("1").replace(/Content-Length: 1\r\n|1$/g, ""), "401 Unauthorized"],
  ["two lengths", post("1", ["Content-Length: 2"]), "400 Bad Request"],
  ["length and chunks", post("1", ["Transfer-Encoding: chunked"]), "400 Bad Request"],
  ["a head of 1 MiB", post("1", [`X-Long: ${MEBIBYTE.toString()}`]), "431 Request Header Fields Too Large"],
  ["a body that says 26 MiB", post("1").replace("Length: 1", `Length: ${26 * 2 ** 20}`), "413 Payload Too Large"],
])("openWebhooks() refuses %s", async (_, request, status) => {
  await using opened = await open();
  expect(await talk(opened.webhooks.port, request)).toBe(`HTTP/1.1 ${status}`);
  expect(opened.told).toEqual([]);
});

const CHUNKED = "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

test("openWebhooks() takes chunks up to 25 MiB, and holds nothing of a body beyond", async () => {
  await using opened = await open();
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), MEBIBYTE, Buffer.from("\r\n")]);
  const head = CHUNKED.replace(
    "\r\n\r\n",
    `\r\nX-Hub-Signature-256: ${signatureOf(Buffer.alloc(25 * 2 ** 20, "x"))}\r\n\r\n`,
  );
  const most = Array.from({ length: 25 }, () => chunk);
  expect(await talk(opened.webhooks.port, head, ...most, "0\r\n\r\n")).toBe("HTTP/1.1 202 Accepted");
  expect(await talk(opened.webhooks.port, head, ...most, chunk, "0\r\n\r\n")).toBe("HTTP/1.1 413 Payload Too Large");
  expect(opened.webhooks.counts).toMatchObject({ taken: 1, "too-large": 1 });
  expect(opened.webhooks.heldBytes).toBe(0);
});

test("openWebhooks() holds 64 MiB of bodies in all, and gives up the oldest for a newer one", async () => {
  await using opened = await open();
  const { webhooks } = opened;
  const head = `POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: ${25 * 2 ** 20}\r\n\r\n`;
  const slow = Array.from({ length: 4 }, () => {
    const socket = connect(webhooks.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(head);
    for (let sent = 0; sent < 20; sent++) socket.write(MEBIBYTE);
    return { socket, closed: ended(socket) };
  });
  await Promise.race(slow.map(({ closed }) => closed));
  expect(webhooks.heldBytes).toBeLessThanOrEqual(64 * 2 ** 20);
  expect(await talk(webhooks.port, signed("1"))).toBe("HTTP/1.1 202 Accepted");
  for (const { socket } of slow) socket.destroy();
  await Promise.all(slow.map(({ closed }) => closed));
});

test("openWebhooks() cuts off heads and bodies that come a byte at a time", { timeout: 40_000 }, async () => {
  await using opened = await open();
  const drip = async (head: string): Promise<{ status: string; ms: number }> => {
    const begunAt = performance.now();
    const socket = connect(opened.webhooks.port, "127.0.0.1");
    socket.write(head);
    const dripping = setInterval(() => socket.write("x"), 200);
    const status = await answerOf(socket);
    clearInterval(dripping);
    return { status, ms: performance.now() - begunAt };
  };
  const [inHead, inBody] = await Promise.all([
    drip("POST /webhooks/github HTTP/1.1\r\nX-Slow: "),
    drip("POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"),
  ]);
  expect(inHead.status).toBe("HTTP/1.1 408 Request Timeout");
  expect(inHead.ms).toBeLessThan(8_000);
  expect(inBody.status).toBe("HTTP/1.1 408 Request Timeout");
  expect(inBody.ms).toBeLessThan(14_000);
  expect(opened.webhooks.heldBytes).toBe(0);
});

test("openWebhooks() lets what is under way end when it is closed, and cuts off what does not", async () => {
  const opened = await open();
  const { webhooks } = opened;
  const [head = "", body = ""] = signed("77").split(/(?<=\r\n\r\n)/);
  const socket = connect(webhooks.port, "127.0.0.1");
  socket.write(head);
  const stuck = connect(webhooks.port, "127.0.0.1");
  stuck.write(head);
  const answer = answerOf(socket);
  const stuckEnd = answerOf(stuck);
  await sleep(100);
  const begunAt = performance.now();
  const closing = webhooks[Symbol.asyncDispose]();
  socket.write(body);
  expect(await answer).toBe("HTTP/1.1 202 Accepted");
  await Promise.all([closing, stuckEnd]);
  expect(performance.now() - begunAt).toBeLessThan(3_000);
  expect(opened.told).toHaveLength(1);
});
