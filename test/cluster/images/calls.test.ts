/**
 * Calls out of a container: `images/toolbox/calls.c`, which is static and so runs here as well.
 */
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Ended, run, type Running, start } from "../../harness/program.ts";
import { until } from "../../harness/wait.ts";
import { buildImage } from "./build-image.ts";
import { readImage } from "./read-image.ts";
import { whyNoImages } from "./why-no-images.ts";

const lacks = whyNoImages();
let folder: string;
let program: string;
let socket: string;

beforeAll(async () => {
  if (lacks !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "slipway-calls-"));
  const { root } = await readImage(await buildImage("toolbox"), folder);
  program = join(root, "opt/slipway/libexec/calls");
  socket = join(folder, "calls.sock");
}, 300_000);

afterAll(() => {
  if (lacks === undefined) rmSync(folder, { recursive: true });
});

beforeEach((ctx) => {
  if (lacks !== undefined) ctx.skip(lacks);
});

async function serve(): Promise<Running> {
  const running = start([program, "serve", socket], { timeoutMs: 30_000 });
  await until("the socket", () => existsSync(socket));
  return running;
}

function ask(question: string | Buffer): Promise<Ended> {
  return run([program, "ask", socket], { input: question, timeoutMs: 20_000 });
}

function hex(text: string | Buffer): string {
  return Buffer.from(text).toString("hex");
}

async function knock(): Promise<Socket> {
  const client = connect({ path: socket, allowHalfOpen: true });
  client.on("error", () => {}); // an end like any other
  await once(client, "connect");
  return client;
}

/** Ends it in good order. */
async function endOf(running: Running): Promise<Ended> {
  running.stdin.end();
  return running.ended;
}

test("a question becomes a line, and a line the answer, whatever bytes they are of", async () => {
  const running = await serve();
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  const question = Buffer.from(Array.from({ length: 4_096 }, (_, at) => at % 256));
  const answer = Buffer.from(Array.from({ length: 65_536 }, (_, at) => (at * 7) % 256));
  const asking = ask(question);
  await running.untilOutput(/\n$/);
  running.stdin.write(`${hex(answer)}\n`);
  const asked = await asking;
  expect([asked.exitCode, asked.stderr]).toEqual([0, ""]);
  expect(asked.bytes.equals(answer)).toBe(true);
  expect(await endOf(running)).toMatchObject({ exitCode: 0, stdout: `${hex(question)}\n`, stderr: "" });
  expect(existsSync(socket)).toBe(false);
});

test("callers are taken one after another, and an empty line hangs up on one", async () => {
  const running = await serve();
  const asking = [ask("one"), ask("two")];
  const [, first = ""] = await running.untilOutput(/^([0-9a-f]+)\n/);
  await new Promise((resolve) => setTimeout(resolve, 100));
  running.stdin.write("\n");
  await running.untilOutput(/^[0-9a-f]+\n[0-9a-f]+\n$/);
  running.stdin.write(`${hex("second")}\n`);
  const ended = await Promise.all(asking);
  expect(ended.map(({ stdout }) => stdout).sort()).toEqual(["", "second"]);
  const both = [hex("one"), hex("two")];
  const order = first === both[0] ? both : both.reverse();
  expect((await endOf(running)).stdout).toBe(`${order.join("\n")}\n`);
});

test("who says nothing, too much, or not all of it within a second is hung up on, and keeps nobody else out", async () => {
  const running = await serve();
  const beganAt = performance.now();
  const [silent, slow] = [await knock(), await knock()];
  slow.write("a");
  const mute = await knock();
  mute.end();
  const loud = await ask("x".repeat(4_097));
  expect(loud).toMatchObject({ stdout: "" });
  expect(performance.now() - beganAt).toBeLessThan(4_000);
  const asking = ask("meant");
  await running.untilOutput(/\n$/);
  running.stdin.write(`${hex("yes")}\n`);
  expect((await asking).stdout).toBe("yes");
  for (const client of [silent, slow, mute]) client.destroy();
  expect((await endOf(running)).stdout).toBe(`${hex("meant")}\n`);
});

test("a caller who has gone, or does not listen, is no reason to end", async () => {
  const running = await serve();
  const gone = await knock();
  gone.end("gone");
  await running.untilOutput(/\n$/);
  gone.destroy();
  running.stdin.write(`${hex("x".repeat(65_536))}\n`);
  const deaf = await knock();
  deaf.end("deaf");
  await running.untilOutput(/\n[0-9a-f]+\n$/);
  running.stdin.write(`${hex("x".repeat(65_536))}\n`);
  const asking = ask("next");
  await running.untilOutput(/\n[0-9a-f]+\n[0-9a-f]+\n$/);
  running.stdin.write(`${hex("yes")}\n`);
  expect((await asking).stdout).toBe("yes");
  deaf.destroy();
  expect((await endOf(running)).exitCode).toBe(0);
});

test.each([
  ["that is not hexadecimal", "xy\n", "an answer that is not hexadecimal"],
  ["with half a byte", "abc\n", "an answer that is not hexadecimal"],
  ["that is too long", "61".repeat(65_537), "an answer that is too long"],
])("an answer %s ends it", async (_, answer, why) => {
  const running = await serve();
  const asking = ask("question");
  await running.untilOutput(/\n$/);
  running.stdin.on("error", () => {});
  running.stdin.write(answer);
  expect(await running.ended).toMatchObject({ exitCode: 1, stderr: `Cannot carry calls: ${why}\n` });
  expect((await asking).stdout).toBe("");
  expect(existsSync(socket)).toBe(false);
});

test("an answer to nobody's question ends it", async () => {
  const running = await serve();
  running.stdin.write("00\n");
  expect(await running.ended).toMatchObject({
    exitCode: 1,
    stderr: "Cannot carry calls: an answer on standard input that nobody waits for\n",
  });
});

test("the end of its input ends it while somebody asks, who gets nothing", async () => {
  const running = await serve();
  const asking = ask("question");
  await running.untilOutput(/\n$/);
  expect(await endOf(running)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await asking).toMatchObject({ stdout: "" });
});

test("the next one takes the place of a socket that was left, which the one before does not take away", async () => {
  const first = await serve();
  const { ino } = statSync(socket);
  const second = start([program, "serve", socket], { timeoutMs: 30_000 });
  await until("the second socket", () => existsSync(socket) && statSync(socket).ino !== ino);
  await endOf(first);
  const asking = ask("question");
  await second.untilOutput(/\n$/);
  second.stdin.write(`${hex("of the second")}\n`);
  expect((await asking).stdout).toBe("of the second");
  await endOf(second);
  writeFileSync(socket, "left");
  chmodSync(socket, 0o644);
  const third = start([program, "serve", socket], { timeoutMs: 30_000 });
  await until("the third socket", () => statSync(socket).isSocket());
  await endOf(third);
});

test("who asks waits a while for somebody to answer, and not for long", async () => {
  const asking = ask("question");
  await new Promise((resolve) => setTimeout(resolve, 500));
  const running = await serve();
  await running.untilOutput(/\n$/);
  running.stdin.write(`${hex("late")}\n`);
  expect((await asking).stdout).toBe("late");
  await endOf(running);
  const beganAt = performance.now();
  const nobody = await ask("question");
  expect(nobody).toMatchObject({ exitCode: 1, stdout: "", stderr: "Cannot carry calls: No such file or directory\n" });
  expect(performance.now() - beganAt).toBeLessThan(5_000);
});
