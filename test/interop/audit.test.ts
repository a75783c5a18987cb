/**
 * What the audit log holds after people came, were refused, used the lobby and forwarded, and an operator rotated the host
 * key: a record of each, and nothing of strangers.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { AuditEvent, AuditRecord } from "../../src/wire/audit.ts";
import { makeKey } from "../harness/client.ts";
import { whyNoService } from "../harness/needs.ts";
import type { Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";

// The key for old clients is made behind the first start, and recorded when the next client meets it.
beforeAll(async () => {
  if (whyNoService() !== undefined) return;
  const folder = join(service().stateFolder, "hostkeys");
  await until("the RSA host key", () => readdirSync(folder).includes("rsa-1.pem"), 20_000);
  await service().pinHostKeys();
  await service().as("ada").lobby("ls");
  await recordsUntil(0, "session.ended");
}, 25_000);

/** Records made since `count` were there, without their place in the chain. */
function recordsSince(count: number): AuditEvent[] {
  const lines = readFileSync(join(service().stateFolder, "audit.jsonl"), "utf8").trim().split("\n");
  const records = lines.slice(count).map((line) => JSON.parse(line) as AuditRecord);
  return records.map(({ seq: _seq, at: _at, prev: _prev, hash: _hash, ...event }) => event as AuditEvent);
}

/** Waits until there is a record of this type among them. */
async function recordsUntil(count: number, type: AuditEvent["type"]): Promise<AuditEvent[]> {
  return until(`a record ${type}`, () => {
    const records = recordsSince(count);
    return records.some((record) => record.type === type) && records;
  });
}

async function fingerprintOfAda(): Promise<string> {
  const { stdout } = await service()
    .as("ada")
    .run(["ssh-keygen", "-lf", `${service().as("ada").identityFile}.pub`]);
  return /SHA256:\S+/.exec(stdout)?.[0] ?? "";
}

const sessionIn = ({ stderr }: Ended): string => /s-[a-z0-9]{8}/.exec(stderr)?.[0] ?? "";

/** Issue 2: there was a kind of record for it, which nothing wrote. */
test("a refused login of somebody who proved their key is recorded, with what they were told", async () => {
  const before = recordsSince(0).length;
  const refused = await service().as("ada").ssh(["nothing-like-this@slipway", "true"]);
  expect(refused.exitCode).toBe(255);
  expect(await recordsUntil(before, "connection.refused")).toEqual([
    {
      type: "connection.refused",
      session: sessionIn(refused),
      from: "127.0.0.1",
      reason: `no repository and branch of yours fits nothing-like-this (session ${sessionIn(refused)})`,
      login: "nothing-like-this",
      person: "ada",
      fingerprint: await fingerprintOfAda(),
    },
  ]);
});

test("a stranger is not recorded: whoever proves no key could fill the disk", async () => {
  const { ssh, folder } = service().as("ada");
  const before = recordsSince(0).length;
  const key = join(folder, "id_unknown");
  await makeKey(key, "ed25519", "nobody");
  const words = ["-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", `${service().port}`];
  const known = ["-o", `UserKnownHostsFile=${service().knownHosts}`, "-o", "StrictHostKeyChecking=yes"];
  for (let again = 0; again < 3; again++) {
    const ended = await ssh([...words, ...known, "hello-main@127.0.0.1", "true"]);
    expect([ended.exitCode, ended.stderr]).toEqual([255, expect.stringContaining("Permission denied")]);
  }
  expect(recordsSince(before)).toEqual([]);
});

/** Issue 2: of a session of the lobby only that it was. */
test("a session of the lobby is recorded with what it opened", async () => {
  const before = recordsSince(0).length;
  expect((await service().as("ada").lobby("ls")).exitCode).toBe(0);
  const records = await recordsUntil(before, "session.ended");
  const [opened] = records;
  const session = opened?.type === "session.opened" ? opened.session : "";
  expect(opened).toEqual({
    ...{ type: "session.opened", session, person: "ada", from: "127.0.0.1", login: "slip" },
    fingerprint: await fingerprintOfAda(),
  });
  expect(records.slice(1)).toMatchObject([
    { type: "channel.opened", session, what: "session" },
    { type: "channel.opened", session, what: "exec" },
    { type: "session.ended", session },
  ]);
});

test("a session of an environment is recorded with programs, forwards and refusals", async () => {
  const { ssh } = service().as("ada");
  expect((await ssh([MAIN, "true"])).exitCode).toBe(0);
  await until("the session to end", () => recordsSince(0).at(-1)?.type === "session.ended");
  const before = recordsSince(0).length;
  expect((await ssh(["-R", "127.0.0.1:0:127.0.0.1:9", MAIN, "true"])).exitCode).toBe(0);
  await recordsUntil(before, "session.ended");
  const between = recordsSince(0).length;
  expect((await ssh(["-W", "192.0.2.1:25", MAIN])).exitCode).toBe(255);
  await recordsUntil(between, "session.ended");
  const told = recordsSince(before).map((record) => ("what" in record ? `${record.type} ${record.what}` : record.type));
  expect(told).toEqual([
    ...["session.opened", "channel.opened tcpip-forward 127.0.0.1:0", "channel.opened session", "channel.opened exec"],
    ...["session.ended", "session.opened", "request.refused direct-tcpip 192.0.2.1:25", "session.ended"],
  ]);
});

test("a rotation of host keys is recorded: beside a running service when it takes it up, and of one that is down", async () => {
  const before = recordsSince(0).length;
  const rotate = async (): Promise<string> =>
    /SHA256:\S+/.exec(await service().slip("hostkey", "rotate", "--type", "ed25519"))?.[0] ?? "";
  const rotations = (): unknown[] => recordsSince(before).filter(({ type }) => type === "hostkey.rotated");
  const added = await rotate();
  expect((await service().as("ada").ssh([MAIN, "true"])).exitCode).toBe(0);
  expect(rotations()).toEqual([{ type: "hostkey.rotated", added }]);
  const retired = await rotate();
  expect(await service().stop()).toBe(0); // nobody came meanwhile
  expect(rotations()).toEqual([
    { type: "hostkey.rotated", added },
    { type: "hostkey.rotated", retired },
  ]);
  const third = await rotate();
  await service().restart();
  const starts = recordsSince(0).flatMap((record) =>
    record.type === "service.started" ? [record.hostKeys ?? []] : [],
  );
  expect(starts).toHaveLength(2);
  expect([starts[0]?.includes(retired), starts[0]?.includes(added)]).toEqual([true, false]);
  expect([starts[1]?.includes(added), starts[1]?.includes(third)]).toEqual([true, true]);
  await service().pinHostKeys();
  expect(await service().slip("audit", "verify")).toMatch(/^sound\t/);
});
