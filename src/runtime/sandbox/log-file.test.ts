import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { appendLog, readLogEnd, trimLog } from "./log-file.ts";

let folder = "";
let path = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-log-"));
  path = join(folder, "log");
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test("readLogEnd() reads nothing where there is no log, and whole lines of the end otherwise", async () => {
  expect(await readLogEnd(path, 100)).toBe("");
  await appendLog(path, "one\n");
  await appendLog(path, "two\nthree\n");
  expect(await readLogEnd(path, 100)).toBe("one\ntwo\nthree\n");
  expect(await readLogEnd(path, 9)).toBe("three\n");
});

test("trimLog() keeps the end of a long log, and what a program writes on goes after it", async () => {
  const program = openSync(path, "a");
  try {
    for (let line = 0; line < 1000; line++) writeSync(program, `line ${line}\n`);
    await trimLog(path, 1_000_000);
    expect(statSync(path).size).toBe(8890);
    await trimLog(path, 1000);
    writeSync(program, "after\n");
    const text = await readLogEnd(path, 10_000);
    expect(text.length).toBeLessThan(520);
    expect(text).toMatch(/^line 9\d\d\n/);
    expect(text).toMatch(/\nline 999\nafter\n$/);
  } finally {
    closeSync(program);
  }
});
