/**
 * What a person who is in can see of others and of the machine: nothing. From the person's side, through the gateway;
 * what namespaces keep apart is also tested where they are made (`src/runtime/sandbox/isolation.test.ts`).
 *
 * @module
 */
import { createServer } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { HOST_SECRET } from "../harness/service.ts";
import { whyNoService } from "../harness/needs.ts";
import { useService } from "./use-service.ts";

const service = useService({ network: "auto" });

/** Three environments: those of two people for one login, and a second one of the first person. */
const PLACES = [
  { person: "ada", login: "hello-main" },
  { person: "ada", login: "hello-other" },
  { person: "bob", login: "hello-main" },
] as const;
type Place = (typeof PLACES)[number];

async function sh({ person, login }: Place, line: string): Promise<string> {
  const { stdout, stderr } = await service()
    .as(person)
    .ssh([`${login}@slipway`, line]);
  return `${stdout}${stderr}`.trimEnd();
}

const LISTEN = `
const net = require("node:net");
for (const at of [{ port: 4801, host: "0.0.0.0" }, { path: "\\0slipway-abstract" }]) net.createServer((s) => s.end("hello")).listen(at);
`;

/** Leaves something of every kind in the first environment, for the others to find. */
beforeAll(async () => {
  if (whyNoService() !== undefined) return;
  const [first, ...others] = PLACES;
  await Promise.all(others.map((place) => sh(place, "true")));
  const leave = [
    "echo private >~/mine; echo private >/tmp/mine; echo private >/workspace/hello/mine; echo private >/dev/shm/mine",
    "cp /usr/bin/sleep /tmp/mine-sleep; setsid -f /tmp/mine-sleep 1000 </dev/null >/dev/null 2>&1",
    "cat >/tmp/listen.cjs; setsid -f node /tmp/listen.cjs </dev/null >/dev/null 2>&1; sleep 0.5",
  ];
  await service()
    .as(first.person)
    .ssh([`${first.login}@slipway`, leave.join("; ")], { input: LISTEN });
}, 60_000);

const DIAL =
  'node -e \'require("node:net").connect(JSON.parse(process.argv[1])).on("error",(e)=>console.log(e.code)).on("data",(d)=>console.log(String(d)))\'';

/** Dials every one of `targets` for a second at most, and prints what came of each. */
const DIAL_ALL = `
import { connect } from "node:net";
const dial = (target) => new Promise((tell) => {
  const socket = connect(target).on("data", (data) => tell(String(data))).on("error", () => tell("unreached"));
  setTimeout(() => { tell("unreached"); socket.destroy(); }, 1_000);
});
console.log(JSON.stringify(await Promise.all(targets.map(dial))));
`;

test.for([
  { what: "files at home", line: "cat ~/mine", own: "private", others: /No such file/ },
  {
    what: "temporary files",
    line: "cat /tmp/mine /dev/shm/mine",
    own: "private\nprivate",
    others: /No such file[^]*No such file/,
  },
  { what: "files of the checkout", line: "cat /workspace/hello/mine", own: "private", others: /No such file/ },
  {
    what: "processes",
    line: "pgrep -x mine-sleep >/dev/null && echo seen || echo none",
    own: "seen",
    others: /^none$/,
  },
  {
    what: "ports of the loopback",
    line: `${DIAL} '{"host":"127.0.0.1","port":4801}'`,
    own: "hello",
    others: /^ECONNREFUSED$/,
  },
  {
    what: "abstract sockets",
    line: `${DIAL} '{"path":"\\u0000slipway-abstract"}'`,
    own: "hello",
    others: /^ECONNREFUSED$/,
  },
])("$what of one environment are not there for another, of the same person or not", async ({ line, own, others }) => {
  const [first, ...rest] = PLACES;
  expect(await sh(first, line)).toBe(own);
  for (const place of rest) expect(await sh(place, line)).toMatch(others);
});

test("each environment has a user, a network, processes and a name of its own", async () => {
  const line = "id -u; for kind in net pid mnt uts ipc cgroup; do readlink /proc/self/ns/$kind; done";
  const seen = await Promise.all(PLACES.map((place) => sh(place, line)));
  const lines = seen.map((text) => text.split("\n"));
  for (let at = 0; at < 7; at++) expect(new Set(lines.map((words) => words[at])).size).toBe(3);
  const names = await Promise.all(PLACES.map((place) => sh(place, "hostname; id -un")));
  expect(names).toEqual(["hello-main\ndev", "hello-other\ndev", "hello-main\ndev"]);
});

test("an address of one environment is not reached from another", async (ctx) => {
  const [first, ...rest] = PLACES;
  const address = await sh(first, "hostname -I");
  if (!/^[\d.]+$/.test(address.trim())) ctx.skip("environments have no address here: no NAT on this machine");
  const target = JSON.stringify({ host: address.trim(), port: 4801 });
  expect(await sh(first, `${DIAL} '${target}'`)).toBe("hello");
  for (const place of rest) {
    const answer = await sh(place, `timeout 1 ${DIAL} '${target}' || echo unreached`);
    expect(answer).toMatch(/^(unreached|EHOSTUNREACH|ECONNREFUSED|ENETUNREACH)$/);
  }
});

test("servers of the machine are not reached: not by its loopback, not by its addresses, not the gateway itself", async () => {
  const server = createServer((socket) => socket.end("secret of the machine")).listen(0, "0.0.0.0");
  await new Promise((resolve) => server.once("listening", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter(({ family }) => family === "IPv4"),
  );
  try {
    const hosts = ["127.0.0.1", ...own.map(({ address }) => address)];
    const targets = hosts.flatMap((host) => [port, service().port].map((at) => ({ host, port: at })));
    const dialled = await service()
      .as("ada")
      .ssh(["hello-main@slipway", "node --input-type=module -"], {
        input: `const targets = ${JSON.stringify(targets)};${DIAL_ALL}`,
      });
    expect(JSON.parse(dialled.stdout)).toEqual(targets.map(() => "unreached"));
  } finally {
    server.close();
  }
});

test("files and secrets of the machine are not there", async () => {
  const [place] = PLACES;
  expect(await sh(place, "cat /etc/shadow /etc/gshadow")).not.toMatch(/:/);
  expect(await sh(place, "ls -A /root")).toContain("Permission denied");
  expect(await sh(place, "ls /home")).toBe("dev");
  for (const path of [
    service().folder,
    service().stateFolder,
    join(service().stateFolder, "hostkeys"),
    import.meta.dirname,
  ]) {
    expect(await sh(place, `ls ${path}`)).toContain("No such file");
  }
  expect(await sh(place, "ls /etc/ssh/ssh_host_* /var/log/* /var/lib/* 2>/dev/null")).not.toMatch(/ssh_host|dpkg/);
  expect(await sh(place, "cat /etc/hostname")).not.toBe(hostname());
});

test("variables of the service are in no process inside", async () => {
  const [place] = PLACES;
  expect(await sh(place, "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")).not.toMatch(
    new RegExp(`${HOST_SECRET}|SLIPWAY_HOME|NODE_COMPILE_CACHE`),
  );
});

test("a person inside has no privilege, and no program gives them one", async () => {
  const [place] = PLACES;
  const status = await sh(place, "grep -E '^(CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs)' /proc/self/status");
  expect(status).toBe(
    "CapInh:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1",
  );
  expect(await sh(place, "mount -t tmpfs none /mnt || echo refused")).toContain("refused");
  expect(await sh(place, "echo 1 >/proc/sys/kernel/panic || echo refused")).toContain("refused");
  expect(await sh(place, "touch /usr/bin/mine /etc/mine || echo refused")).toContain("refused");
  expect(await sh(place, `kill -0 ${process.pid} ${service().pid} || echo nobody`)).toContain("nobody");
  expect(await sh(place, "ls /dev | tr '\\n' ' '")).toBe(
    "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero",
  );
});
