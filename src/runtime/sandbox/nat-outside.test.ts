/** The way out of an environment, in network namespaces of the test's own: a "machine" and a "world" beyond it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { whyNoService, whyNot } from "../../../test/harness/needs.ts";
import { run } from "../../../test/harness/program.ts";
import type { Told } from "../../../test/harness/programs/use-sandbox.ts";
import { openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";

const why = whyNoService() ?? whyNot("/usr/bin/python3");
const PROGRAM = join(import.meta.dirname, "../../../test/harness/programs/use-sandbox.ts");

let sandbox: TestSandbox;

beforeAll(async () => {
  if (why === undefined) sandbox = await openTestSandbox();
});

afterAll(async () => {
  if (why === undefined) await sandbox[Symbol.asyncDispose]();
});

/** Addresses: RFC 5737 TEST-NET-1 for the world, and what clouds put beside it. */
const SETUP = `set -eu
unshare --net sleep 60 &
world=$!
python() { /usr/bin/python3 -c "$1" "$2" & }
serve='import socket,sys,threading
address, port = sys.argv[1].rsplit(":", 1)
server = socket.create_server((address, int(port)))
while True:
  peer, who = server.accept()
  peer.sendall(("you are " + who[0] + "\\n").encode()); peer.close()'
until [ "$(readlink /proc/$world/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_forward
ip link add up0 type veth peer name out0 netns $world
ip addr add 192.0.2.1/24 dev up0
ip link set up0 up
ip route add default via 192.0.2.2
nsenter --target $world --net sh -c '
  ip link set lo up; ip addr add 192.0.2.2/24 dev out0; ip link set out0 up
  ip addr add 169.254.169.254/32 dev lo; ip addr add 168.63.129.16/32 dev lo
  ip addr add 100.100.100.200/32 dev lo; ip addr add 192.0.0.192/32 dev lo; ip addr add 10.1.2.3/32 dev lo; ip addr add 192.0.2.53/24 dev out0'
for address in 192.0.2.2:80 169.254.169.254:80 10.1.2.3:80 168.63.129.16:80 100.100.100.200:80 192.0.0.192:80; do
  nsenter --target $world --net /usr/bin/python3 -c "$serve" $address &
done
/usr/bin/python3 -c "$serve" 0.0.0.0:81 &
sleep 0.5
# What somebody on the machine gets of port 8082, where environments listen.
/usr/bin/python3 -c '
import subprocess, time
while True:
  for word in subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True).stdout.split():
    if not word.startswith(("198.18.", "198.19.")): continue
    head, last = word.split("/")[0].rsplit(".", 1)
    address = head + "." + str(int(last) + 1)
    code = "exec 3<>/dev/tcp/" + address + "/8082 && head -n 1 <&3"
    said = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    if said.stdout: print("entered", said.stdout, flush=True)
    elif said.stderr: print("machine:", said.stderr.splitlines()[0].split(": ")[-1], flush=True)
  time.sleep(0.1)' &
"$@"
echo "forwarding $(cat /proc/sys/net/ipv4/ip_forward)"
echo "interfaces $(ls /proc/sys/net/ipv4/conf | grep -c slip-)"
kill $(jobs -p)
`;

/** What an environment tries. */
const TRY = `ask() { exec 3<>/dev/tcp/$1/$2 && head -n 1 <&3; }
for to in "192.0.2.2 80" "10.1.2.3 80" "169.254.169.254 80" "168.63.129.16 80" "100.100.100.200 80" "192.0.0.192 80" "192.0.2.1 81"; do
  echo "$to: $( (ask $to) 2>&1 | tail -n 1 | sed 's/.*: //')"
done
gateway=$(ip route show default | cut -d' ' -f3)
echo "gateway: $( (ask $gateway 81) 2>&1 | tail -n 1 | sed 's/.*: //')"
ip -brief address show dev eth0 | tr -s ' '
/usr/bin/python3 -c '
import socket
server = socket.create_server(("0.0.0.0", 8082)); server.settimeout(1.5)
try: server.accept()[0].sendall(b"environment")
except TimeoutError: print("nobody came")'
echo "v6: $(ip -6 route show default | wc -l)"`;

test("an environment reaches the world and private networks by the machine's address, but neither the machine, nor others, nor link-local", async (ctx) => {
  if (why !== undefined) ctx.skip(why);
  const specs = [sandbox.makeSpec(), sandbox.makeSpec()];
  const { gatewayKey } = sandbox.options;
  const line = `bash -c '${TRY.replaceAll("'", `'\\''`)}'`;
  const stateDir = join(sandbox.folder, "nat-state");
  const told: Told = { stateDir, gatewayKey, network: "nat", specs, start: START, line };
  const script = join(sandbox.folder, "setup.sh");
  writeFileSync(script, SETUP);
  const words = ["create", "start", "run", "log", "sleep", "destroy"];
  const service = [process.execPath, PROGRAM, JSON.stringify(told), ...words];
  const { exitCode, stdout, stderr } = await run(["unshare", "--net", "--", "bash", script, ...service], {
    timeoutMs: 60_000,
  });
  expect([exitCode, stderr.replace(/^\{"level":"warn".*\n/gm, "")]).toEqual([0, expect.not.stringContaining("Fault")]);
  const reached = stdout.match(/^(192|10|169|168|100).* \d+: .*$/gm) ?? [];
  const each = [
    ...["192.0.2.2 80: you are 192.0.2.1", "10.1.2.3 80: you are 192.0.2.1"],
    ...["169.254.169.254 80: Connection refused", "168.63.129.16 80: Connection refused"],
    ...["100.100.100.200 80: Connection refused", "192.0.0.192 80: Connection refused"],
    ...["192.0.2.1 81: Connection refused"],
  ];
  const soften = (text: string) =>
    text.replace(
      /(No route to host|Permission denied|Operation not permitted|Connection timed out)$/,
      "Connection refused",
    );
  expect(reached.map(soften)).toEqual([...each, ...each]);
  expect((stdout.match(/^gateway: .*$/gm) ?? []).map(soften)).toEqual([
    "gateway: Connection refused",
    "gateway: Connection refused",
  ]);
  expect(stdout.match(/^nobody came$/gm)).toHaveLength(2);
  expect(stdout).not.toContain("entered");
  expect(stdout).toMatch(/^machine: /m);
  expect(stdout.match(/^v6: 0$/gm)).toHaveLength(2);
  const addresses = stdout.match(/198\.(18|19)\.\d+\.\d+\/31/g) ?? [];
  expect(new Set(addresses).size).toBe(2);
  expect(stdout).toContain("forwarding 1");
  expect(stdout).toContain("interfaces 0");
  expect(stderr).toContain("sandbox.forwarding-enabled");
});
