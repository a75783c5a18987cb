/**
 * Clients with an SSH of their own: dropbear, PuTTY, paramiko, asyncssh, libssh, libssh2 (curl). Each is told the host
 * key beforehand.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test, type TestContext } from "vitest";
import { whyNot } from "../harness/needs.ts";
import type { Ended } from "../harness/program.ts";
import { startHalfCloseServer } from "./half-close.ts";
import { useService } from "./use-service.ts";

const service = useService({ people: { ada: { keyTypes: ["ed25519", "ecdsa-256", "rsa-2048"] } } });
const LOGIN = "hello-main";
const FORWARD_PORT = 4500;
const PROGRAMS = join(import.meta.dirname, "programs");
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

beforeAll(async () => {
  await startHalfCloseServer(service().as("ada"), `${LOGIN}@slipway`, FORWARD_PORT);
});

function needs(ctx: TestContext, ...what: readonly string[]): void {
  const lacks = whyNot(...what);
  if (lacks !== undefined) ctx.skip(lacks);
}

/** Public host key, as `ssh-ed25519 AAAA…`. */
function hostKeyLine(): string {
  return /ssh-ed25519 \S+/.exec(readFileSync(service().knownHosts, "utf8"))?.[0] ?? "";
}

function hostKeyHash(): Buffer {
  return createHash("sha256")
    .update(Buffer.from(hostKeyLine().split(" ")[1] ?? "", "base64"))
    .digest();
}

/** Where every client is to go, and by which key. */
function target(keyType = "ed25519"): string[] {
  const { folder } = service().as("ada");
  return ["127.0.0.1", String(service().port), LOGIN, join(folder, `id_${keyType}`)];
}

async function python(program: string, ...words: readonly string[]): Promise<unknown> {
  const ended = await service()
    .as("ada")
    .run(["/usr/bin/python3", join(PROGRAMS, program), ...words]);
  if (ended.exitCode !== 0) throw new Error(`Cannot go on: ${program} failed: ${ended.stderr}`);
  return JSON.parse(ended.stdout);
}

test("paramiko runs commands, moves files while keys change, and forwards both ways", async (ctx) => {
  needs(ctx, "py:paramiko");
  const seen = await python("paramiko-client.py", ...target(), hostKeyLine(), String(FORWARD_PORT));
  expect(seen).toEqual({
    cipher: expect.stringMatching(/^aes/) as unknown,
    echoed: true,
    error: "error\n",
    exit: 37,
    terminal: "Linux\r\nerror\r\n43 132\r\n",
    terminalExit: 0,
    sftp: true,
    size: 8_000_000,
    forward: "4",
    refused: 1,
    reverse: "from here",
    signal: -1,
  });
});

test.for(["ed25519", "ecdsa-256", "rsa-2048"])("asyncssh with a key of %s does all that it can", async (type, ctx) => {
  needs(ctx, "py:asyncssh");
  const seen = await python("asyncssh-client.py", ...target(type), service().knownHosts, String(FORWARD_PORT));
  expect(seen).toEqual({
    banners: 0,
    mac: expect.any(String) as unknown,
    run: ["out\n", "error\n", 41],
    signal: [-1, "TERM"],
    parallel: true,
    sent: ["caught\n", 3],
    terminal: [true, true, 7],
    sftp: true,
    forward: "4",
    refused: [1, expect.stringContaining('"10.0.0.1" is not of this environment')],
    reverse: "from here",
  });
});

test("a client by libssh runs a command, writes a file, and forwards", async (ctx) => {
  needs(ctx, "gcc", "/usr/include/libssh/libssh.h");
  const { run, folder } = service().as("ada");
  const program = join(folder, "libssh-client");
  const compiled = await run(["gcc", "-O1", "-Wall", "-o", program, join(PROGRAMS, "libssh-client.c"), "-lssh"]);
  expect(compiled).toMatchObject({ exitCode: 0, stderr: "" });
  const ended = await run([program, ...target(), hostKeyHash().toString("hex"), String(FORWARD_PORT)]);
  expect(ended).toMatchObject({ stderr: "", stdout: "exec 1000000 3000000 40\nsftp hello\nforward 4\n", exitCode: 0 });
});

test("curl by libssh2 puts and gets a file", async (ctx) => {
  needs(ctx, "curl");
  const { run, folder } = service().as("ada");
  if (!(await run(["curl", "-V"])).stdout.includes("sftp")) ctx.skip("curl here has no sftp");
  const url = `sftp://${LOGIN}@127.0.0.1:${service().port}/tmp/by-curl`;
  const hash = hostKeyHash().toString("base64");
  const data = randomBytes(5_000_000);
  const file = join(folder, "curled");
  writeFileSync(file, data);
  // Its SSH speaks of an RSA key with SHA-1 alone, so the key is of a newer kind.
  const key = join(folder, "id_ecdsa-256");
  const words = ["curl", "-sS", "--key", key, "--pubkey", `${key}.pub`, "--hostpubsha256", hash];
  expect(await run([...words, "-T", file, url])).toMatchObject({ exitCode: 0, stderr: "" });
  const got = await run([...words, url]);
  expect([got.exitCode, sha256(got.bytes)]).toEqual([0, sha256(data)]);
  const wrong = await run([...words.slice(0, -1), Buffer.alloc(32).toString("base64"), url]);
  expect(wrong.exitCode).toBe(60);
});

test("lftp mirrors a tree over an ssh of its choice", async (ctx) => {
  needs(ctx, "lftp");
  const { run, folder, configFile } = service().as("ada");
  const tree = join(folder, "lftp");
  mkdirSync(join(tree, "deep"), { recursive: true });
  for (let at = 0; at < 60; at++) writeFileSync(join(tree, "deep", `file-${at}`), randomBytes(5_000));
  const commands = [
    `set sftp:connect-program "ssh -a -x -F ${configFile}"`,
    "set cmd:fail-exit yes",
    `open -u ${LOGIN},none -p ${service().port} sftp://127.0.0.1`,
    `mirror -R --parallel=4 ${tree} /tmp/by-lftp`,
    `mirror --parallel=4 /tmp/by-lftp ${tree}-back`,
    "mv /tmp/by-lftp/deep/file-1 /tmp/by-lftp/moved",
    "rm -r /tmp/by-lftp",
  ];
  expect(await run(["lftp", "-c", commands.join("; ")])).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await run(["diff", "-r", tree, `${tree}-back`])).toMatchObject({ exitCode: 0, stdout: "" });
});

/** Makes a key in PuTTY's own form. */
async function puttyKey(): Promise<string> {
  const { run, folder, identityFile } = service().as("ada");
  const path = join(folder, "id.ppk");
  const words = ["puttygen", identityFile, "-O", "private", "-o", path, "--new-passphrase", "/dev/null"];
  expect(await run(words)).toMatchObject({ exitCode: 0 });
  return path;
}

async function putty(program: string, words: readonly string[], input?: string | Buffer): Promise<Ended> {
  const fingerprint = `SHA256:${hostKeyHash().toString("base64").replace(/=+$/, "")}`;
  const known = ["-batch", "-hostkey", fingerprint, "-i", await puttyKey(), "-P", String(service().port)];
  return service()
    .as("ada")
    .run([program, ...known, ...words], input === undefined ? {} : { input });
}

test("plink runs commands and gives their exit code back, its streams apart", async (ctx) => {
  needs(ctx, "plink", "puttygen");
  const data = randomBytes(3_000_000);
  const ended = await putty("plink", [`${LOGIN}@127.0.0.1`, "cat; echo error >&2; exit 43"], data);
  expect([ended.exitCode, sha256(ended.bytes), ended.stderr]).toEqual([43, sha256(data), "error\n"]);
});

test("plink with a terminal has one", async (ctx) => {
  needs(ctx, "plink", "puttygen");
  const ended = await putty("plink", ["-t", `${LOGIN}@127.0.0.1`, "tty; exit 3"]);
  expect(ended).toMatchObject({ exitCode: 3, stdout: expect.stringMatching(/^\/dev\/pts\/\d+\r\n/) as unknown });
});

test("plink -nc is a pipe to a server inside", async (ctx) => {
  needs(ctx, "plink", "puttygen");
  const ended = await putty("plink", ["-nc", `localhost:${FORWARD_PORT}`, `${LOGIN}@127.0.0.1`], "Axyz");
  expect(ended.stdout).toMatch(/^4 [0-9a-f]{64}\n$/);
});

test("psftp and pscp move a file there and back", async (ctx) => {
  needs(ctx, "psftp", "pscp", "puttygen");
  const { folder } = service().as("ada");
  const data = randomBytes(4_000_000);
  const [file, batch] = [join(folder, "putty.bin"), join(folder, "batch")];
  writeFileSync(file, data);
  writeFileSync(batch, `put ${file} /tmp/by-psftp\nren /tmp/by-psftp /tmp/renamed\nget /tmp/renamed ${file}.1\nquit\n`);
  expect((await putty("psftp", ["-b", batch, `${LOGIN}@127.0.0.1`])).exitCode).toBe(0);
  expect((await putty("pscp", ["-q", `${LOGIN}@127.0.0.1:/tmp/renamed`, `${file}.2`])).exitCode).toBe(0);
  expect((await putty("pscp", ["-q", "-scp", `${LOGIN}@127.0.0.1:/tmp/renamed`, `${file}.3`])).exitCode).toBe(0);
  const hashes = [1, 2, 3].map((at) => sha256(readFileSync(`${file}.${at}`)));
  expect(new Set(hashes)).toEqual(new Set([sha256(data)]));
});

/** Runs dropbear's client, which knows the host by a file in its home. */
async function dbclient(words: readonly string[], input?: string | Buffer): Promise<Ended> {
  const { run, folder, identityFile } = service().as("ada");
  mkdirSync(join(folder, ".ssh"), { recursive: true });
  writeFileSync(
    join(folder, ".ssh/known_hosts"),
    `[127.0.0.1]:${service().port} ${hostKeyLine()}\n127.0.0.1 ${hostKeyLine()}\n`,
  );
  const key = join(folder, "id.dropbear");
  expect(await run(["dropbearconvert", "openssh", "dropbear", identityFile, key])).toMatchObject({ exitCode: 0 });
  const known = ["dbclient", "-i", key, "-p", String(service().port)];
  return run([...known, ...words], input === undefined ? {} : { input });
}

test("dbclient runs commands and gives their exit code back", async (ctx) => {
  needs(ctx, "dbclient", "dropbearconvert");
  const data = randomBytes(3_000_000);
  const ended = await dbclient([`${LOGIN}@127.0.0.1`, "cat; exit 44"], data);
  expect([ended.exitCode, sha256(ended.bytes)]).toEqual([44, sha256(data)]);
});

test("dbclient -B is a pipe to a server inside", async (ctx) => {
  needs(ctx, "dbclient", "dropbearconvert");
  const ended = await dbclient(["-B", `localhost:${FORWARD_PORT}`, `${LOGIN}@127.0.0.1`], "Axyz");
  expect(ended.stdout).toMatch(/^4 [0-9a-f]{64}\n$/);
});
