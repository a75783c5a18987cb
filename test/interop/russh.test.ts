/**
 * russh, the client in Rust that editors and terminals such as Tabby carry: an implementation of ML-KEM in SSH that is
 * neither ours nor OpenSSH's, on every machine. Debian 12's own clients have none.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { AuthenticatedSSHClient, KeyPair, SSHClient, SshTransport, type Config } from "russh";
import { expect, onTestFinished, test } from "vitest";
import { useService } from "./use-service.ts";

const service = useService();
const LOGIN = "hello-main";
const MLKEM = "mlkem768x25519-sha256";
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

type Preferred = NonNullable<Config["preferred"]>;

/** Signs in as ada, who believes the host keys of `known_hosts` alone. */
async function signIn(preferred: Preferred): Promise<AuthenticatedSSHClient> {
  const known = readFileSync(service().knownHosts, "utf8");
  const transport = await SshTransport.newSocket(`127.0.0.1:${service().port}`);
  const client = await SSHClient.connect(transport, async (key) => known.includes(key.base64()), { preferred });
  const pair = await KeyPair.parse(readFileSync(service().as("ada").identityFile, "utf8"));
  const inside = await client.authenticateWithKeyPair(LOGIN, pair, null);
  if (!(inside instanceof AuthenticatedSSHClient)) throw new Error("Cannot sign in: the key was refused");
  onTestFinished(() => inside.disconnect());
  return inside;
}

/** Runs a command on the input and returns all of its output. */
async function run(client: AuthenticatedSSHClient, command: string, input: Buffer): Promise<Buffer> {
  const channel = await client.activateChannel(await client.openSessionChannel());
  const pieces: Uint8Array[] = [];
  const closed = Promise.withResolvers<undefined>();
  channel.data$.subscribe((data) => pieces.push(data));
  channel.closed$.subscribe(() => closed.resolve(undefined));
  await channel.requestExec(command);
  for (let at = 0; at < input.length; at += 32_768) await channel.write(input.subarray(at, at + 32_768));
  await channel.eof();
  await closed.promise;
  return Buffer.concat(pieces);
}

test.for<Preferred>([
  { kex: [MLKEM], ciphers: ["aes256-gcm@openssh.com"] },
  { kex: [MLKEM], ciphers: ["aes128-gcm@openssh.com"] },
  { kex: [MLKEM], ciphers: ["aes256-ctr"], mac: ["hmac-sha2-512-etm@openssh.com"] },
  { kex: [MLKEM], ciphers: ["aes128-ctr"], mac: ["hmac-sha2-256"] },
  { kex: ["curve25519-sha256"], ciphers: ["aes256-gcm@openssh.com"] },
  { kex: ["ecdh-sha2-nistp256"], ciphers: ["aes128-ctr"], mac: ["hmac-sha2-256-etm@openssh.com"] },
])("russh signs in with $kex and $ciphers, runs commands and moves 4 MB both ways", async (preferred) => {
  const client = await signIn(preferred);
  expect((await run(client, "pwd", Buffer.alloc(0))).toString()).toBe("/workspace/hello\n");
  const data = randomBytes(4_000_000);
  expect(sha256(await run(client, "cat", data))).toBe(sha256(data));
});

test("russh offers what it is told to and nothing else, so those were the ones agreed on", async () => {
  await expect(signIn({ kex: ["diffie-hellman-group14-sha256"] })).rejects.toThrow(/kex|key exchange|algorithm/i);
});

test("russh moves files by SFTP over the same connection as commands", async () => {
  const client = await signIn({ kex: [MLKEM] });
  const sftp = await client.activateSFTP(await client.openSessionChannel());
  const names = (await sftp.readDirectory(".")).map(({ name }) => name);
  expect(names).toContain("server.js");
  expect((await sftp.stat("server.js")).size).toBe(
    Number((await run(client, "stat -c %s server.js", Buffer.alloc(0))).toString()),
  );
});
