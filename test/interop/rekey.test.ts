/**
 * Keys that we renew, again and again, on both legs of a session at once: OpenSSH's `ssh` on one and its `sshd` on the
 * other. The limits of a service are 1 GiB and an hour; here they are small.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { makeClock } from "../../src/base/clock.ts";
import type { RekeyLimits } from "../../src/gateway/far.ts";
import { openListener } from "../../src/gateway/listener.ts";
import type { GatewayDeps } from "../../src/gateway/ports.ts";
import { lineOf } from "../../src/ssh/private-keys.ts";
import { directoryOf, makeFakeGateway } from "../fakes/fake-gateway.ts";
import { makeClient, readPublicKey, type Client } from "../harness/client.ts";
import { freePort } from "../harness/free-port.ts";
import { whyNoService } from "../harness/needs.ts";
import { openSshd, type Sshd } from "../harness/sshd.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-rekey-"));
afterAll(() => rmSync(folder, { recursive: true }));

const blobOf = (line: string): Buffer => Buffer.from(line.split(" ")[1] ?? "", "base64");
/** Exchanges of keys, the first one included, that a program of OpenSSH tells of at its first level of debugging. */
const exchangesIn = (said: string): number => said.match(/SSH2_MSG_NEWKEYS received/g)?.length ?? 0;
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** A gateway of ours with those limits, between a person at `ssh` and an `sshd`. */
async function openBetween(rekey: RekeyLimits): Promise<{ ada: Client; sshd: Sshd }> {
  const port = await freePort();
  const knownHosts = join(folder, `known_hosts-${port}`);
  const ada = await makeClient({
    ...{ name: "ada", folder: join(folder, `ada-${port}`), port, knownHosts },
    keyTypes: ["ed25519"],
  });
  const adas = blobOf(readPublicKey(ada.identityFile)).toString("base64");
  const base = makeFakeGateway();
  const ourKey = join(folder, `gateway-${port}.pub`);
  writeFileSync(ourKey, `${lineOf(base.deps.gatewayKey, "gateway")}\n`, { mode: 0o600 });
  const sshd = await openSshd(join(folder, `sshd-${port}`), [], [`AuthorizedKeysFile ${ourKey}`, "LogLevel DEBUG1"]);
  onTestFinished(() => sshd[Symbol.asyncDispose]());
  const enter: GatewayDeps["environments"]["enter"] = async ({ login }) => ({
    ...{ id: "e1", login, repository: "hello" },
    attached: () => () => {},
    judge: () => ({ allowed: true }),
    connect: async () => {
      const stream = connect({ port: sshd.port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
      const end = async (): Promise<void> => void stream.destroy();
      return { stream, hostKey: blobOf(sshd.knownHost.replace(/^\S+ /, "")), user: userInfo().username, end };
    },
  });
  const { deps } = makeFakeGateway({
    deps: {
      ...{ clock: makeClock(), rekey, gatewayKey: base.deps.gatewayKey, hostKeys: base.deps.hostKeys },
      directory: directoryOf((key) => key === adas),
      environments: { onGone: () => () => {}, enter },
    },
  });
  const listener = await openListener(deps, {
    addresses: [{ host: "127.0.0.1", port }],
    proxyProtocolFrom: [],
    strangers: { total: 10, perAddress: 10 },
  });
  onTestFinished(() => {
    listener.stop();
    deps.sessions.endAll("the test is over");
  });
  writeFileSync(
    knownHosts,
    base.deps
      .hostKeys()
      .map((key) => `[127.0.0.1]:${port} ${lineOf(key, "us")}\n`)
      .join(""),
  );
  return { ada, sshd };
}

/** Issue 2: the inner leg, towards a real sshd, was renewed by us in no test: it takes 1 GiB, and was tried with ourselves. */
test("ssh and sshd move 24 MB both ways at once through keys that we renew every 2 MB on both legs", async (ctx) => {
  const lacks = whyNoService();
  if (lacks !== undefined) ctx.skip(lacks);
  const { ada, sshd } = await openBetween({ rekeyBytes: 2_000_000 });
  const data = randomBytes(24_000_000);
  const ended = await ada.ssh(["-v", "main@slipway", "cat"], { input: data });
  expect([ended.exitCode, sha256(ended.bytes)]).toEqual([0, sha256(data)]);
  expect(sshd.said()).toContain("Accepted publickey");
  // 48 MB went over each leg, and neither end of OpenSSH renews before 1 GB.
  expect(exchangesIn(ended.stderr)).toBeGreaterThan(10);
  expect(exchangesIn(sshd.said())).toBeGreaterThan(10);
});

test("ssh and sshd go on through keys that we renew by their age on both legs", async (ctx) => {
  const lacks = whyNoService();
  if (lacks !== undefined) ctx.skip(lacks);
  const { ada, sshd } = await openBetween({ rekeyMs: 150 });
  const script = "for at in 1 2 3 4 5 6 7 8 9 10; do echo $at; sleep 0.1; done; exit 3";
  const ended = await ada.ssh(["-v", "main@slipway", script]);
  expect([ended.exitCode, ended.stdout]).toEqual([3, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"]);
  expect(exchangesIn(ended.stderr)).toBeGreaterThan(3);
  expect(exchangesIn(sshd.said())).toBeGreaterThan(3);
});
