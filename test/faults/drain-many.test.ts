/**
 * A deploy in the middle of the day: a service with hundreds of sessions is told to stop. Each of them gets its time and
 * then its sentence, and the process ends when it said it would.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { connectRaw, type RawTarget } from "../../bench/lib/raw-client.ts";
import { message } from "../../src/ssh/numbers.ts";
import type { Transport } from "../../src/ssh/transport.ts";
import { WireReader } from "../../src/ssh/wire.ts";
import { isEveryRound } from "../harness/rounds.ts";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";

const DRAIN_MS = 2_000;
/** Each in an environment costs an sshd; those in the lobby are the service's own weight. */
const [INSIDE, IN_LOBBY] = isEveryRound ? [100, 300] : [25, 75];
const AT_ONCE = 8;
/** What the service may take beyond its drain time: to tell everybody, to cut them, to close what it has open. */
const BEYOND_MS = 3_000;

const service = useService({
  drainMs: DRAIN_MS,
  limits: { sessionsPerPerson: 1_000, unauthenticated: { total: 256, perAddress: 64 } },
});
const MAIN = "hello-main@slipway";
const stop = new AbortController();
afterEach(() => stop.abort());

/** How each idle connection ended, by when it did. */
const endings: { readonly text: string; readonly at: number }[] = [];

function targetOf(user: string): RawTarget {
  const [, hostKey = ""] = / ssh-ed25519 (\S+)/.exec(readFileSync(service().knownHosts, "utf8")) ?? [];
  return { port: service().port, user, hostKey, identityFile: service().as("ada").identityFile };
}

/** Opens one connection that only says that it is still there. */
async function openIdle(target: RawTarget): Promise<Transport> {
  const transport: Transport = await connectRaw(
    target,
    {
      message: (payload) => {
        if (wantsAnswer(payload)) transport.send(Buffer.of(message.requestFailure));
      },
      drained: () => {},
      ended: ({ text }) => endings.push({ text, at: performance.now() }),
    },
    stop.signal,
  );
  return transport;
}

function wantsAnswer(payload: Buffer): boolean {
  if (payload[0] !== message.globalRequest) return false;
  const reader = new WireReader(payload, 1);
  reader.string();
  return reader.boolean();
}

async function openMany(user: string, count: number): Promise<void> {
  const target = targetOf(user);
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await openIdle(target);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

test(`a service with ${INSIDE + IN_LOBBY} sessions that is told to stop gives each its time and its sentence, and ends in time`, async () => {
  const ada = service().as("ada");
  expect((await ada.ssh([MAIN, "true"])).exitCode).toBe(0);
  await openMany("hello-main", INSIDE);
  await openMany("slip", IN_LOBBY);
  const busy = ada.startSsh([MAIN, "echo up; while :; do echo more; sleep 0.2; done"], { timeoutMs: 30_000 });
  const short = ada.startSsh([MAIN, "echo up; sleep 1; echo done; exit 7"], { timeoutMs: 30_000 });
  const forward = ada.startSsh(["-N", "-v", "-R", "0:localhost:9", MAIN], { timeoutMs: 30_000 });
  await Promise.all([busy.untilOutput(/up/), short.untilOutput(/up/), forward.untilError(/remote forward success/)]);
  const sessions = JSON.parse((await ada.lobby("who", "--json")).stdout) as unknown[];
  // Those of the client that asked and, while it ends, of the one before are beside them.
  expect(sessions.length).toBeGreaterThanOrEqual(INSIDE + IN_LOBBY + 3);
  expect(endings).toEqual([]);

  const begunAt = performance.now();
  expect(await service().stop()).toBe(0);
  expect(performance.now() - begunAt).toBeLessThan(DRAIN_MS + BEYOND_MS);
  await until("every connection to end", () => endings.length === INSIDE + IN_LOBBY);
  const sentence = /^the peer disconnected: 11 "Slipway is shutting down \(session (s-[a-z0-9]{8})\)"$/;
  expect(endings.filter(({ text }) => !sentence.test(text))).toEqual([]);
  expect(new Set(endings.map(({ text }) => sentence.exec(text)?.[1])).size).toBe(INSIDE + IN_LOBBY);
  expect(Math.min(...endings.map(({ at }) => at)) - begunAt).toBeGreaterThan(DRAIN_MS - 50);
  for (const client of [busy, forward]) {
    const ended = await client.ended;
    expect([ended.exitCode, ended.stderr]).toEqual([255, expect.stringContaining("Slipway is shutting down")]);
  }
  // What ended by itself was let.
  expect(await short.ended).toMatchObject({ exitCode: 7, stdout: "up\ndone\n" });
  // Each is in the audit log, with its end: `slip audit verify` holds when this service is taken down.
  const audit = readFileSync(`${service().stateFolder}/audit.jsonl`, "utf8");
  expect(audit.match(/"reason":"Slipway is shutting down/g)?.length).toBe(INSIDE + IN_LOBBY + 2);
}, 120_000);
