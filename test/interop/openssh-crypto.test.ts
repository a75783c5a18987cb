/**
 * What OpenSSH and the gateway agree on: every algorithm that both have, keys changed under way, keys of people and of
 * the host.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";
import { makeKey, type KeyType } from "../harness/client.ts";
import type { Running } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const KEY_TYPES: readonly KeyType[] = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072"];
const KEX = ["mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"];
const HOST_KEYS = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"];
const CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes128-ctr"];
const MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"];

const service = useService({ people: { ada: { keyTypes: KEY_TYPES }, bob: {} } });
const MAIN = "hello-main@slipway";
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function skipUnlessKnown(ctx: TestContext, kind: string, name: string): Promise<void> {
  const known = (await service().as("ada").run(["ssh", "-Q", kind])).stdout.split("\n");
  if (!known.includes(name)) ctx.skip(`the OpenSSH of this machine has no ${name}`);
}

// The key for old clients is made behind the first start.
beforeAll(async () => {
  const folder = join(service().stateFolder, "hostkeys");
  await until("the RSA host key", () => readdirSync(folder).includes("rsa-1.pem"), 20_000);
  await service().pinHostKeys();
}, 25_000);

test.for(KEX.flatMap((kex) => HOST_KEYS.map((hostKey) => ({ kex, hostKey }))))(
  "ssh agrees on $kex with $hostKey",
  async ({ kex, hostKey }, ctx) => {
    await skipUnlessKnown(ctx, "kex", kex);
    const only = ["-v", "-o", `KexAlgorithms=${kex}`, "-o", `HostKeyAlgorithms=${hostKey}`];
    const ended = await service()
      .as("ada")
      .ssh([...only, MAIN, "echo in"]);
    expect(ended).toMatchObject({ exitCode: 0, stdout: "in\n" });
    expect(ended.stderr).toContain(`kex: algorithm: ${kex}\r\n`);
    expect(ended.stderr).toContain(`kex: host key algorithm: ${hostKey}\r\n`);
  },
);

test.for([
  { what: "key exchange method", option: "KexAlgorithms=diffie-hellman-group14-sha256", offer: KEX.join(",") },
  { what: "host key type", option: "HostKeyAlgorithms=ecdsa-sha2-nistp256", offer: HOST_KEYS.join(",") },
  { what: "cipher", option: "Ciphers=chacha20-poly1305@openssh.com", offer: CIPHERS.join(",") },
])("ssh without a $what in common is told what there is", async ({ what, option, offer }) => {
  const ended = await service().as("ada").ssh(["-o", option, MAIN, "true"]);
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain(`no matching ${what} found. Their offer: ${offer}`);
});

const SUITES = CIPHERS.flatMap((cipher) =>
  (cipher.includes("gcm") ? ["<implicit>"] : MACS).map((mac) => ({ cipher, mac })),
);

test.for(SUITES)("ssh moves 6 MB both ways through changes of keys with $cipher and $mac", async ({ cipher, mac }) => {
  const only = ["-c", cipher, ...(mac === "<implicit>" ? [] : ["-m", mac]), "-o", "RekeyLimit=1M", "-v"];
  const data = randomBytes(6_000_000);
  const ended = await service()
    .as("ada")
    .ssh([...only, MAIN, "tee /tmp/moved; sha256sum /tmp/moved >&2"], { input: data });
  expect(sha256(ended.bytes)).toBe(sha256(data));
  expect(ended.stderr).toContain(`${sha256(data)}  /tmp/moved`);
  expect(ended.stderr).toContain(`kex: server->client cipher: ${cipher} MAC: ${mac} compression: none`);
  expect(ended.stderr.match(/SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(4);
});

test("ssh -o RekeyLimit=1M moves 20 MB up and 20 MB down, every byte in place", async () => {
  const { ssh } = service().as("ada");
  const data = randomBytes(20_000_000);
  const up = await ssh(["-o", "RekeyLimit=1M", MAIN, "tee /tmp/bulk | sha256sum"], { input: data });
  expect(up.stdout).toBe(`${sha256(data)}  -\n`);
  const down = await ssh(["-o", "RekeyLimit=1M", MAIN, "cat /tmp/bulk; rm /tmp/bulk"]);
  expect(sha256(down.bytes)).toBe(sha256(data));
});

test.for(KEY_TYPES)("ssh signs in with a key of type %s", async (type) => {
  const { ssh, folder } = service().as("ada");
  // Beside the identity of the configuration, so without it.
  const words = ["-F", "none", "-i", join(folder, `id_${type}`), "-o", "IdentitiesOnly=yes", "-p", `${service().port}`];
  const known = ["-o", `UserKnownHostsFile=${service().knownHosts}`, "-o", "StrictHostKeyChecking=yes"];
  const ended = await ssh([...words, ...known, "-v", "hello-main@127.0.0.1", "echo in"]);
  expect(ended).toMatchObject({ exitCode: 0, stdout: "in\n" });
  expect(ended.stderr).toContain(`Server accepts key: ${join(folder, `id_${type}`)}`);
});

const agents: Running[] = [];

afterAll(async () => {
  for (const agent of agents) agent.kill();
  await Promise.all(agents.map(({ ended }) => ended));
});

/** An agent with `count` keys, of which the gateway knows the last alone. @returns its socket */
async function startAgentWith(count: number): Promise<string> {
  const bob = service().as("bob");
  const socket = join(bob.folder, `agent-${count}`);
  const env = { SSH_AUTH_SOCK: socket };
  agents.push(bob.start(["ssh-agent", "-D", "-a", socket]));
  await until("the agent", async () => (await bob.run(["ssh-add", "-l"], { env })).exitCode !== 2);
  const strange = Array.from({ length: count - 1 }, (_, at) => join(bob.folder, `strange-${count}-${at}`));
  for (const path of strange) await makeKey(path, "ed25519", "strange");
  await bob.run(["ssh-add", "-q", ...strange, bob.identityFile], { env });
  return socket;
}

test.for([
  { count: 7, exitCode: 0, told: "" },
  { count: 20, exitCode: 0, told: "" },
  { count: 21, exitCode: 255, told: "Too many keys tried, at most 20" },
])(
  "ssh offers $count keys of an agent, the right one last, and ends with $exitCode",
  async ({ count, exitCode, told }) => {
    const { ssh } = service().as("bob");
    const socket = await startAgentWith(count);
    const words = ["-F", "none", "-o", "IdentityFile=none", "-p", `${service().port}`, "-o", "BatchMode=yes"];
    const known = ["-o", `UserKnownHostsFile=${service().knownHosts}`, "-o", "StrictHostKeyChecking=yes"];
    const ended = await ssh([...words, ...known, "hello-main@127.0.0.1", "true"], { env: { SSH_AUTH_SOCK: socket } });
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stderr).toContain(told);
  },
);

test("ssh -o UpdateHostKeys=yes learns the next host key, and trusts it when it takes over", async () => {
  const { ssh, folder } = service().as("ada");
  const [known, old] = [join(folder, "known_hosts"), join(folder, "known_hosts_old")];
  for (const path of [known, old]) copyFileSync(service().knownHosts, path);
  const keyOf = (path: string): string[] => readFileSync(path, "utf8").match(/ssh-ed25519 \S+/g) ?? [];
  const connect = (path: string) => {
    const options = [`UserKnownHostsFile=${path}`, "UpdateHostKeys=yes", "HostKeyAlgorithms=ssh-ed25519"];
    return ssh([...options.flatMap((option) => ["-o", option]), MAIN, "sleep 0.3"]);
  };
  const before = new Set(keyOf(known));
  expect(await service().slip("hostkey", "rotate")).toMatch(/^announced\tSHA256:/);
  expect((await connect(known)).exitCode).toBe(0);
  const both = new Set(keyOf(known));
  expect(both.size).toBe(2);
  expect(await service().slip("hostkey", "rotate")).toMatch(/^retired\tSHA256:/);
  expect(await connect(known)).toMatchObject({ exitCode: 0, stderr: "" });
  const after = [...new Set(keyOf(known))];
  expect(after).toHaveLength(1);
  expect(before.has(after[0] ?? "")).toBe(false);
  const refused = await connect(old);
  expect(refused.exitCode).toBe(255);
  expect(refused.stderr).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
  await service().pinHostKeys();
});
