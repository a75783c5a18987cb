import { type FileHandle, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeClock } from "../../base/clock.ts";
import { makeLog } from "../../base/log.ts";
import { makeDurableLines } from "./durable-lines.ts";

let folder: string;
let path: string;
let file: FileHandle;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-lines-"));
  path = join(folder, "lines");
  file = await open(path, "a");
});
afterEach(() => rm(folder, { recursive: true }));

/** The real file on a disk that can be made to refuse after it has taken a part. */
function makeDisk() {
  const disk = { full: false, syncs: 0 };
  const narrow = {
    appendFile: async (data: Uint8Array) => {
      await file.appendFile(disk.full ? data.subarray(0, 3) : data);
      if (disk.full) throw new Error("ENOSPC");
    },
    datasync: async () => {
      disk.syncs++;
      await file.datasync();
    },
    truncate: (length?: number) => file.truncate(length),
    close: () => file.close(),
  };
  return { disk, narrow: narrow as unknown as FileHandle };
}

const log = makeLog("silent");

test("write() stays pending while the disk refuses, and each line is there once when it takes again", async () => {
  const { disk, narrow } = makeDisk();
  const stuck: string[] = [];
  const tries = { count: 0, again: Promise.withResolvers<undefined>() };
  const clock = {
    ...makeClock(),
    sleep: async () => {
      tries.count++;
      await tries.again.promise;
    },
  };
  const noisy = { ...log, error: (event: string) => stuck.push(event) };
  const lines = makeDurableLines({ file: narrow, lengthBytes: 0, clock, log: noisy });
  disk.full = true;
  let done = 0;
  const durable = ["one\n", "two\n"].map((line) => lines.write(line).then(() => done++));
  while (tries.count === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(done).toBe(0);
  disk.full = false;
  tries.again.resolve(undefined);
  await Promise.all(durable);
  expect(stuck).toEqual(["audit.stuck"]);
  await lines.close();
  expect(await readFile(path, "utf8")).toBe("one\ntwo\n");
});

test("write() shares one sync among the lines of one turn", async () => {
  const { disk, narrow } = makeDisk();
  const lines = makeDurableLines({ file: narrow, lengthBytes: 0, clock: makeClock(), log });
  await Promise.all(Array.from({ length: 1_000 }, (_, index) => lines.write(`${index}\n`)));
  expect(disk.syncs).toBe(1);
  await lines.close();
});

test("isBehind() is true while megabytes wait, so that whoever makes lines can bound the memory", async () => {
  const lines = makeDurableLines({ file, lengthBytes: 0, clock: makeClock(), log });
  expect(lines.isBehind()).toBe(false);
  let done = 0;
  for (let count = 0; count < 60; count++) void lines.write(`${"x".repeat(100_000)}\n`).then(() => done++);
  expect(lines.isBehind()).toBe(true);
  await lines.close();
  expect(done).toBe(60);
  expect(lines.isBehind()).toBe(false);
});

test("close() throws what the disk says when lines cannot be written, and write() then throws", async () => {
  const { disk, narrow } = makeDisk();
  disk.full = true;
  const lines = makeDurableLines({ file: narrow, lengthBytes: 0, clock: makeClock(), log });
  void lines.write("one\n");
  await expect(lines.close()).rejects.toThrow("ENOSPC");
  expect(() => lines.write("two\n")).toThrow("the file is closed");
});

test("write() of a line while another is being written loses neither", async () => {
  const lines = makeDurableLines({ file, lengthBytes: 0, clock: makeClock(), log });
  const durable = [];
  // Each comes at another moment of the write before it: appending, syncing, done.
  for (let number = 0; number < 200; number++) {
    durable.push(lines.write(`${number}\n`));
    await new Promise((resolve) => (number % 3 === 0 ? setTimeout(resolve, 1) : setImmediate(resolve)));
  }
  await Promise.all(durable);
  await lines.close();
  expect((await readFile(path, "utf8")).split("\n")).toEqual([...Array.from({ length: 200 }, (_, at) => `${at}`), ""]);
});
