import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditEvent } from "../../wire/audit.ts";
import { EMPTY_HEAD, type Head, makeLine } from "./chain.ts";
import { verifyAudit } from "./verify-audit.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Lines with their line feeds, and the head after the last. */
function makeLog(events: readonly AuditEvent[]): { lines: Buffer[]; head: Head } {
  let head = EMPTY_HEAD;
  const lines = events.map((event, index) => {
    const made = makeLine(event, Date.UTC(2026, 0, 1) + index, head);
    head = made.head;
    return Buffer.from(made.line);
  });
  return { lines, head };
}

async function verdictOn(content: Uint8Array | Uint8Array[], expectHash?: string) {
  const path = join(folder, "audit.jsonl");
  await writeFile(path, content instanceof Uint8Array ? content : Buffer.concat(content));
  return verifyAudit(path, expectHash);
}

const text = fc.string({ unit: "binary", maxLength: 20 });
const event: fc.Arbitrary<AuditEvent> = fc.oneof(
  fc.record({ type: fc.constant("service.started" as const), pid: fc.nat() }),
  fc.record({ type: fc.constant("channel.opened" as const), session: text, what: text }),
  fc.record({ type: fc.constant("request.refused" as const), session: text, what: text, reason: text }),
);
const logs = fc.array(event, { minLength: 1, maxLength: 6 }).map(makeLog);

test("verifyAudit() finds any log sound that was written by us, whatever strings are in it", async () => {
  await fc.assert(
    fc.asyncProperty(logs, async ({ lines, head }) => {
      expect(await verdictOn(lines)).toEqual({ sound: true, head });
      expect(await verdictOn(lines, head.hash)).toEqual({ sound: true, head });
    }),
    { numRuns: 100 },
  );
});

test("verifyAudit() finds any changed byte", async () => {
  await fc.assert(
    fc.asyncProperty(logs, fc.nat(), fc.integer({ min: 1, max: 255 }), async ({ lines, head }, at, change) => {
      const bytes = Buffer.concat(lines);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ change;
      expect((await verdictOn(bytes, head.hash)).sound).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test("verifyAudit() finds each of the 255 changes to each byte of one record", async () => {
  const { lines } = makeLog([
    { type: "session.ended", session: "s", reason: "left", bytesIn: 1, bytesOut: 20, ms: 300 },
  ]);
  const bytes = Buffer.concat(lines);
  const { readLine } = await import("./chain.ts");
  for (let place = 0; place < bytes.length - 1; place++) {
    for (let change = 1; change < 256; change++) {
      const changed = Buffer.from(bytes.subarray(0, -1));
      changed[place] = (changed[place] ?? 0) ^ change;
      expect("wrong" in readLine(changed)).toBe(true);
    }
  }
});

test("verifyAudit() finds any inserted byte and any removed byte", async () => {
  await fc.assert(
    fc.asyncProperty(logs, fc.nat(), fc.nat(255), async ({ lines, head }, at, byte) => {
      const bytes = Buffer.concat(lines);
      const place = at % (bytes.length + 1);
      const more = Buffer.concat([bytes.subarray(0, place), Buffer.of(byte), bytes.subarray(place)]);
      expect((await verdictOn(more, head.hash)).sound).toBe(false);
      const gone = at % bytes.length;
      const less = Buffer.concat([bytes.subarray(0, gone), bytes.subarray(gone + 1)]);
      expect((await verdictOn(less, head.hash)).sound).toBe(false);
    }),
    { numRuns: 200 },
  );
});

test("verifyAudit() finds any removed, doubled, moved or foreign line, and says which is the first bad one", async () => {
  await fc.assert(
    fc.asyncProperty(logs, logs, fc.nat(), fc.nat(), async ({ lines, head }, other, from, to) => {
      const first = from % lines.length;
      const second = to % lines.length;
      const line = lines[first] ?? Buffer.alloc(0);
      const without = lines.toSpliced(first, 1);
      expect(await verdictOn(without, head.hash)).toMatchObject({ sound: false, line: first + 1 });
      expect(await verdictOn(lines.toSpliced(first, 0, line))).toMatchObject({ sound: false, line: first + 2 });
      if (first !== second) {
        const swapped = lines.with(first, lines[second] ?? line).with(second, line);
        expect(await verdictOn(swapped)).toMatchObject({ sound: false, line: Math.min(first, second) + 1 });
      }
      const foreign = other.lines[other.lines.length - 1] ?? line;
      if (!foreign.equals(line)) expect((await verdictOn(lines.with(first, foreign), head.hash)).sound).toBe(false);
    }),
    { numRuns: 100 },
  );
});

test("verifyAudit() finds a cut end only by a head that was noted before, and one noted long ago will do", async () => {
  const events: AuditEvent[] = [1, 2, 3].map((pid) => ({ type: "service.started", pid }));
  const { lines, head } = makeLog(events);
  const two = makeLog(events.slice(0, 2)).head;
  expect(await verdictOn(lines.slice(0, 2))).toEqual({ sound: true, head: two });
  expect(await verdictOn(lines.slice(0, 2), head.hash)).toEqual({
    sound: false,
    line: 3,
    why: `no record has the hash ${head.hash}`,
    head: two,
  });
  expect(await verdictOn(lines, two.hash)).toEqual({ sound: true, head });
});

test("verifyAudit() says why", async () => {
  const { lines } = makeLog([
    { type: "service.started", pid: 1 },
    { type: "service.stopped", reason: "asked" },
  ]);
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = lines;
  const whyOf = async (content: Uint8Array[]) => {
    const verdict = await verdictOn(content);
    return verdict.sound ? "sound" : `${verdict.line}: ${verdict.why}`;
  };
  expect(await whyOf([one, Buffer.from("hello\n")])).toBe("2: it is no JSON");
  expect(await whyOf([one, Buffer.from(String(two).replace("asked", "found"))])).toBe(
    "2: its hash does not fit its content",
  );
  expect(await whyOf([one, Buffer.from(String(two).replace(",", ", "))])).toBe("2: it was written differently");
  expect(await whyOf([two])).toBe("1: it is number 2 where 1 belongs");
  expect(await whyOf([makeLog([{ type: "service.started", pid: 2 }]).lines[0] ?? one, two])).toBe(
    "2: it does not follow the record before it",
  );
  expect(await whyOf([one, two.subarray(0, -1)])).toBe("2: it has no end");
  expect(await whyOf([Buffer.alloc(2_000_000, 0x20)])).toBe("1: it has no end");
  expect(await whyOf([])).toBe("sound");
});
