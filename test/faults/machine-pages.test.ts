/**
 * What machines see of a service: where connections come from behind a load balancer, and the pages for monitoring.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, type Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";

/** Addresses of the loopback: one that may speak for others, one that may not. */
const [BALANCER, STRANGER] = ["127.0.0.5", "127.0.0.6"];
const service = useService({ listen: { proxyProtocolFrom: [`${BALANCER}/32`] } });

/** Sends bytes ahead of what ssh says, from an address; the words of a ProxyCommand. */
const AHEAD = `
const [port, from, ahead] = process.argv.slice(1);
const socket = require("node:net").connect({ port: Number(port), host: "127.0.0.1", localAddress: from });
socket.write(Buffer.from(ahead, "base64"));
socket.on("error", () => process.exit(1));
process.stdin.pipe(socket).pipe(process.stdout);
`;

async function connectWith(from: string, ahead: Buffer): Promise<Ended> {
  const { configFile, env } = service().as("ada");
  const words = [process.execPath, "-e", `'${AHEAD}'`, String(service().port), from, `'${ahead.toString("base64")}'`];
  const proxy = [
    "-o",
    `ProxyCommand=${words.join(" ").replaceAll("\n", " ")}`,
    "-o",
    `HostKeyAlias=[127.0.0.1]:${service().port}`,
  ];
  return run(["ssh", "-F", configFile, ...proxy, "hello-main@slipway", "true"], { env });
}

/** Where the sessions came from, oldest first. */
function origins(): string[] {
  const text = readFileSync(join(service().stateFolder, "audit.jsonl"), "utf8");
  const records = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { type: string; from?: string });
  return records.flatMap(({ type, from }) => (type === "session.opened" && from !== undefined ? [from] : []));
}

/** Version 2 of the header, for a connection to port 22 of an address of zeros. */
function version2(source: readonly number[], family: number): Buffer {
  const addresses = Buffer.from([...source, ...source.map(() => 0), 0x1f, 0x90, 0, 22]);
  const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
  return Buffer.concat([signature, Buffer.from([0x21, family, 0, addresses.length]), addresses]);
}

test("the PROXY header of an address on the list says where a session comes from, in either version", async () => {
  const headers: [Buffer, string][] = [
    [Buffer.from("PROXY TCP4 203.0.113.7 127.0.0.1 4000 22\r\n"), "203.0.113.7"],
    [Buffer.from("PROXY TCP6 2001:db8::7 ::1 4000 22\r\n"), "2001:db8::7"],
    [version2([203, 0, 113, 8], 0x11), "203.0.113.8"],
    [version2([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8], 0x21), "2001:db8:0:0:0:0:0:8"],
    [Buffer.from("PROXY UNKNOWN\r\n"), BALANCER],
  ];
  for (const [header, from] of headers) {
    const ended = await connectWith(BALANCER, header);
    expect([ended.exitCode, origins().at(-1)]).toEqual([0, from]);
  }
});

test("a PROXY header of anybody else is not believed, and a balancer without one is refused", async () => {
  const before = origins();
  const header = Buffer.from("PROXY TCP4 203.0.113.9 127.0.0.1 4000 22\r\n");
  expect((await connectWith(STRANGER, header)).exitCode).toBe(255);
  expect((await connectWith(BALANCER, Buffer.from("PROXY TCP4 nonsense\r\n"))).exitCode).toBe(255);
  expect((await connectWith(BALANCER, Buffer.alloc(0))).exitCode).toBe(255);
  expect(origins()).toEqual(before);
  expect((await connectWith(STRANGER, Buffer.alloc(0))).exitCode).toBe(0);
  expect(origins().at(-1)).toBe(STRANGER);
});

/** Every metric of ours. Whoever watches a service relies on these names. */
const NAMES = [
  "slipway_channels_total",
  "slipway_connections_refused_total",
  "slipway_connections_total",
  "slipway_keys_refused_total",
  "slipway_login_seconds",
  "slipway_logins_refused_total",
  "slipway_logins_stale_total",
  "slipway_protocol_faults_total",
  "slipway_relayed_bytes_total",
  "slipway_sessions",
  "slipway_sessions_revoked_total",
  "slipway_unauthenticated",
];

test("/metrics has its names, counts what happened, and says nothing of who, which login and from where", async () => {
  const { ssh } = service().as("ada");
  await ssh(["hello-main@slipway", "head -c 100000 /dev/zero"]);
  await ssh(["no-such-login@slipway", "true"]);
  const text = await until("the session to be counted", async () => {
    const page = await (await fetch(`http://127.0.0.1:${service().httpPort}/metrics`)).text();
    return /slipway_relayed_bytes_total\{direction="to_client"\} [1-9]\d{5}/.test(page) && page;
  });
  const ours = text.split("\n").filter((line) => line.startsWith("slipway_"));
  expect([...text.matchAll(/^# TYPE (slipway_\w+)/gm)].map(([, name]) => name).sort()).toEqual(NAMES);
  expect(ours.join("\n")).toMatch(/slipway_channels_total\{type="exec",allowed="true"\} [1-9]/);
  expect(ours.join("\n")).toMatch(/slipway_logins_refused_total [1-9]/);
  expect(ours.join("\n")).not.toMatch(/ada|bob|hello|no-such|127\.0|203\.0|SHA256|s-[a-z0-9]{8}/);
  const labels = new Set(ours.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label]) => label)));
  expect([...labels].sort()).toEqual(
    ["allowed", "code", "direction", "le", "reason", "type"].filter((label) => labels.has(label)),
  );
  expect(ours.length).toBeLessThan(60);
});

test("/healthz and /readyz answer, and nothing else is there", async () => {
  const get = async (path: string, method = "GET"): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${service().httpPort}${path}`, { method });
    return [response.status, await response.text()];
  };
  expect(await get("/healthz")).toEqual([200, "ok\n"]);
  expect(await get("/readyz")).toEqual([200, "ready\n"]);
  expect(await get("/")).toEqual([404, "there are /metrics, /healthz and /readyz\n"]);
  expect(await get("/metrics", "POST")).toEqual([405, "only GET\n"]);
});
