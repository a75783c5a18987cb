import { spawn } from "node:child_process";
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeClock } from "../../base/clock.ts";
import { makeLog } from "../../base/log.ts";
import type { AuditEvent } from "../../wire/audit.ts";
import { openAudit } from "./audit-log.ts";
import { verifyAudit } from "./verify-audit.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-audit-"));
  path = join(folder, "audit.jsonl");
});
afterEach(() => rm(folder, { recursive: true }));

const clock = { ...makeClock(), now: () => Date.UTC(2026, 7, 22, 10, 0, 0) };
const log = makeLog("silent");
const opened: AuditEvent = {
  type: "session.opened",
  session: "s1",
  person: "ada",
  fingerprint: "SHA256:abc",
  from: "192.0.2.1:5000",
  login: "hello-main",
  environment: "e1",
};

test("append() writes one canonical line a record, each with the hash of the one before", async () => {
  await using audit = await openAudit(path, clock, log);
  await audit.append({ type: "service.started", pid: 7 });
  await audit.append({ type: "service.stopped", reason: "asked" });
  const zeros = "0".repeat(64);
  const lines = (await readFile(path, "utf8")).split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(
    new RegExp(
      `^{"at":"2026-08-22T10:00:00.000Z","hash":"[0-9a-f]{64}","pid":7,"prev":"${zeros}","seq":1,"type":"service.started"}$`,
    ),
  );
  const [one, two] = lines.slice(0, 2).map((line) => JSON.parse(line) as { hash: string; prev: string });
  expect(two?.prev).toBe(one?.hash);
  expect(audit.head()).toEqual({ count: 2, hash: two?.hash });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("append() keeps the order of its calls and resolves each only when the file has its record", async () => {
  await using audit = await openAudit(path, clock, log);
  await Promise.all(
    Array.from({ length: 500 }, async (_, index) => {
      await audit.append({ type: "channel.opened", session: `s${index}`, what: "session" });
      expect(await readFile(path, "utf8")).toContain(`"session":"s${index}"`);
    }),
  );
  expect(await verifyAudit(path)).toEqual({ sound: true, head: audit.head() });
  const order = (await readFile(path, "utf8")).match(/"session":"s\d+"/g);
  expect(order).toEqual(Array.from({ length: 500 }, (_, index) => `"session":"s${index}"`));
});

test("openAudit() continues the chain of an earlier process", async () => {
  {
    await using audit = await openAudit(path, clock, log);
    void audit.append(opened);
  }
  await using audit = await openAudit(path, clock, log);
  expect(audit.head().count).toBe(1);
  await audit.append(opened);
  expect(await verifyAudit(path)).toEqual({ sound: true, head: audit.head() });
});

test("openAudit() moves a torn last line aside and records that", async () => {
  {
    await using audit = await openAudit(path, clock, log);
    await audit.append(opened);
    await audit.append(opened);
  }
  await truncate(path, (await stat(path)).size - 9);
  await using audit = await openAudit(path, clock, log);
  const name = `audit.torn-${clock.now()}`;
  const torn = await readFile(join(folder, name), "utf8");
  expect(torn).toMatch(/^\{"at":/);
  const last = JSON.parse((await readFile(path, "utf8")).trim().split("\n").at(-1) ?? "") as object;
  expect(last).toMatchObject({ type: "log.torn", bytes: torn.length, movedTo: name, seq: 2 });
  expect(await verifyAudit(path)).toEqual({ sound: true, head: audit.head() });
});

test("openAudit() moves a torn first line aside", async () => {
  await writeFile(path, '{"at":"20');
  await using audit = await openAudit(path, clock, log);
  expect(audit.head().count).toBe(1);
  expect(await readdir(folder)).toContain(`audit.torn-${clock.now()}`);
});

test.each([
  ["a last line that is not ours", '{"hello":1}\n'],
  ["an empty last line", "\n"],
  ["a last line of zeros", `${"\0".repeat(300)}\n`],
  ["half a megabyte without a line", "x".repeat(600_000)],
])("openAudit() refuses to continue %s", async (_, text) => {
  {
    await using audit = await openAudit(path, clock, log);
    await audit.append(opened);
  }
  await appendFile(path, text);
  await expect(openAudit(path, clock, log)).rejects.toMatchObject({ code: "audit.broken" });
});

test("append() throws after close()", async () => {
  const audit = await openAudit(path, clock, log);
  await audit.close();
  await audit.close();
  expect(() => audit.append(opened)).toThrow("the file is closed");
});

test("a record that was acknowledged is there after kill -9, and the chain goes on", { timeout: 60_000 }, async () => {
  let acknowledged = 0;
  for (let round = 0; round < 5; round++) {
    const program = `
      import { openAudit } from ${JSON.stringify(new URL("./audit-log.ts", import.meta.url).href)};
      import { makeClock } from ${JSON.stringify(new URL("../../base/clock.ts", import.meta.url).href)};
      import { makeLog } from ${JSON.stringify(new URL("../../base/log.ts", import.meta.url).href)};
      const audit = await openAudit(${JSON.stringify(path)}, makeClock(), makeLog("silent"));
      for (;;) {
        const made = audit.append({ type: "channel.opened", session: "s", what: "x".repeat(5000) });
        void audit.append({ type: "channel.opened", session: "s", what: "y".repeat(100000) });
        const { count } = audit.head();
        await made;
        process.stdout.write((count - 1) + "\\n");
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    for await (const chunk of child.stdout.setEncoding("utf8")) {
      text += String(chunk);
      if (text.split("\n").length > 20 + round) child.kill("SIGKILL");
    }
    acknowledged = Number(text.trim().split("\n").at(-1));
    await using audit = await openAudit(path, makeClock(), log);
    expect(audit.head().count).toBeGreaterThanOrEqual(acknowledged);
    expect(await verifyAudit(path)).toEqual({ sound: true, head: audit.head() });
  }
  expect(acknowledged).toBeGreaterThan(50);
});
