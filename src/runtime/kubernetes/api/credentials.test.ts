import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import { ClusterServer } from "../../../../test/fakes/cluster-server.ts";
import { recordingLog } from "../../../../test/fakes/recording-log.ts";
import { makeClock } from "../../../base/clock.ts";
import { kinds } from "../../../wire/kubernetes.ts";
import type { ResolvedAccess } from "./access.ts";
import { openCredentials } from "./credentials.ts";
import { openClusterApi } from "./open-cluster-api.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "credentials-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;
const base: ResolvedAccess = { server: "https://k8s", source: "a test", isInsecure: false };

function open(access: Partial<ResolvedAccess>, clock = new HandClock(Date.parse("2026-01-01T00:00:00Z"))) {
  const { log } = recordingLog();
  return { clock, credentials: openCredentials({ ...base, ...access }, { name: "one", clock, log }) };
}

/** A program that counts how often it ran, and answers with what the file beside it has. */
function plugin(answer: unknown, script = 'cat "$(dirname "$0")/answer"'): ResolvedAccess {
  const command = join(folder, "login");
  writeFileSync(command, `#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> "$(dirname "$0")/runs"\n${script}\n`);
  chmodSync(command, 0o755);
  writeFileSync(join(folder, "answer"), typeof answer === "string" ? answer : JSON.stringify(answer));
  const apiVersion = "client.authentication.k8s.io/v1";
  return { ...base, plugin: { apiVersion, command, args: [], env: { PATH: "/usr/bin:/bin" }, installHint: "get it" } };
}

function answerOf(status: object): object {
  return { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status };
}

function runs(): string[] {
  return readFileSync(join(folder, "runs"), "utf8").trim().split("\n");
}

test("a token file is read again after a minute, and at once after a 401", async () => {
  const file = join(folder, "token");
  writeFileSync(file, "one\n");
  const { clock, credentials } = open({ token: { path: file } });
  const first = await credentials.current(never);
  expect(first.headers["authorization"]).toBe("Bearer one");
  writeFileSync(file, "two\n");
  await clock.advance(59_000);
  expect(await credentials.current(never)).toBe(first);
  await clock.advance(1_000);
  const second = await credentials.current(never);
  expect(second.headers["authorization"]).toBe("Bearer two");
  expect(second.tls).toBe(first.tls); // connections go on
  writeFileSync(file, "three\n");
  credentials.refuse(first); // by then another is in use
  expect(await credentials.current(never)).toBe(second);
  credentials.refuse(second);
  expect((await credentials.current(never)).headers["authorization"]).toBe("Bearer three");
});

test("a file that cannot be read for a moment is done without; one that never could is cluster.unreached", async () => {
  const file = join(folder, "token");
  const { clock, credentials } = open({ token: { path: file } });
  await expect(credentials.current(never)).rejects.toMatchObject({ code: "cluster.unreached" });
  writeFileSync(file, "one");
  const first = await credentials.current(never);
  rmSync(file);
  await clock.advance(60_000);
  expect(await credentials.current(never)).toBe(first);
});

test("a new certificate comes with TLS options of its own", async () => {
  const file = join(folder, "cert");
  writeFileSync(file, "CERT 1");
  const { clock, credentials } = open({ certificate: { path: file }, key: { text: "KEY" }, serverName: "k" });
  const { tls } = await credentials.current(never);
  expect(tls).toEqual({ rejectUnauthorized: true, cert: "CERT 1", key: "KEY", servername: "k" });
  writeFileSync(file, "CERT 2");
  await clock.advance(60_000);
  expect((await credentials.current(never)).tls).not.toBe(tls);
});

test("a plugin is asked once for all who wait, until its answer expires or is refused", async () => {
  const status = { token: "t1", expirationTimestamp: "2026-01-01T01:00:00Z" };
  const { clock, credentials } = open(plugin(answerOf(status)));
  const all = await Promise.all([credentials.current(never), credentials.current(never)]);
  expect(all.map(({ headers }) => headers["authorization"])).toEqual(["Bearer t1", "Bearer t1"]);
  expect(runs().map((line) => JSON.parse(line) as unknown)).toEqual([
    { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", spec: { interactive: false } },
  ]);
  writeFileSync(join(folder, "answer"), JSON.stringify(answerOf({ clientCertificateData: "C", clientKeyData: "K" })));
  await clock.advance(3_589_000);
  await credentials.current(never);
  expect(runs()).toHaveLength(1);
  await clock.advance(2_000);
  const renewed = await credentials.current(never);
  expect(renewed.tls).toMatchObject({ cert: "C", key: "K" });
  expect(renewed.headers).not.toHaveProperty("authorization");
  expect(runs()).toHaveLength(2);
  credentials.refuse(renewed);
  await credentials.current(never);
  expect(runs()).toHaveLength(3);
});

test.each([
  ["no JSON", "hello", undefined, "its answer is no ExecCredential"],
  ["no credential", answerOf({}), undefined, "its answer is no ExecCredential"],
  ["half a pair", answerOf({ clientCertificateData: "C" }), undefined, "its answer is no ExecCredential"],
  ["another version", { ...answerOf({ token: "t" }), apiVersion: "x/v1" }, undefined, 'it answers in "x/v1"'],
  ["a failure", "", "echo 'log in\nfirst' >&2; exit 3", "it ended with exit code 3: log in first; get it"],
  ["too much", "", "head -c 2000000 /dev/zero", "its answer is longer than 1048576 bytes"],
])(
  "a plugin that answers with %s is cluster.unreached, and left alone for a while",
  async (_, answer, script, words) => {
    const { clock, credentials } = open(plugin(answer, script));
    await expect(credentials.current(never)).rejects.toMatchObject({ code: "cluster.unreached" });
    await expect(credentials.current(never)).rejects.toThrow(words);
    expect(runs()).toHaveLength(1);
    await clock.advance(2_000);
    await expect(credentials.current(never)).rejects.toThrow(words);
    expect(runs()).toHaveLength(2);
  },
);

test("a plugin that is not there, or hangs with all it started, does not hold anybody up", async () => {
  const { credentials } = open({ plugin: { ...plugin("").plugin!, command: "/nowhere/login" } });
  await expect(credentials.current(never)).rejects.toThrow("it cannot be started");
  const hanging = open(plugin("", "sleep 100 & sleep 100"));
  const waiting = hanging.credentials.current(never);
  waiting.catch(() => {});
  await expect.poll(runs).toHaveLength(1);
  await hanging.clock.advance(30_000);
  await expect(waiting).rejects.toThrow("there was no answer within 30000 ms");
});

test("a client whose token is refused has its plugin asked again and tries once more", async () => {
  await using server = await ClusterServer.open();
  const { plugin: asked } = plugin(
    answerOf({ token: "old" }),
    `cat "$(dirname "$0")/answer"; sed -i s/old/secret-of-ours/ "$(dirname "$0")/answer"`,
  );
  const { token: _, ...access } = server.access;
  const options = {
    name: "one",
    requestRate: { perSecond: 100, burst: 100 },
    clock: makeClock(),
    log: recordingLog().log,
  };
  await using api = await openClusterApi({ ...options, access: { ...access, plugin: asked! } });
  expect(await api.list(kinds.configMap, {}, AbortSignal.timeout(10_000))).toEqual([]);
  expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer old", "Bearer secret-of-ours"]);
});

test("an exec whose token is refused has the plugin asked again and is opened once more", async () => {
  await using server = await ClusterServer.open();
  const { token: _, ...access } = server.access;
  const script = `cat "$(dirname "$0")/answer"; sed -i s/old/new/ "$(dirname "$0")/answer"`;
  const { plugin: asked } = plugin(answerOf({ token: "old" }), script);
  const options = {
    name: "one",
    requestRate: { perSecond: 100, burst: 100 },
    clock: makeClock(),
    log: recordingLog().log,
  };
  await using api = await openClusterApi({ ...options, access: { ...access, plugin: asked! } });
  const request = { namespace: "a", pod: "p", container: "c", argv: ["true"] };
  await expect(api.exec(request, AbortSignal.timeout(10_000))).rejects.toMatchObject({ code: "cluster.forbidden" });
  expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer old", "Bearer new"]);
  expect(api.requestCounts().get("exec pods")).toBe(2);
});
