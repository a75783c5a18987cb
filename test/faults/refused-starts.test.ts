/**
 * What keeps a service from starting: each is told in one go, with what to do about it and an exit code of its own, and
 * leaves everything as it was.
 *
 * @module
 */
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../harness/free-port.ts";
import { mustRun, run, type Ended } from "../harness/program.ts";
import { useService } from "../interop/use-service.ts";

const service = useService({ mayLogErrors: true });
const PROGRAM = join(import.meta.dirname, "../../src/cmd/slip.ts");

let copies = 0;

/** Path of a state folder that is not there yet. */
const newPath = (): string => join(service().folder, `state-${++copies}`);

/** Runs `slip` on a state folder to its end, which it is expected to find by itself. */
async function slip(state: string, ...words: readonly string[]): Promise<Ended> {
  const cache = join(import.meta.dirname, "../../node_modules/.cache/node");
  return run([process.execPath, PROGRAM, ...words], {
    env: { SLIPWAY_HOME: state, NODE_COMPILE_CACHE: cache },
    timeoutMs: 15_000,
  });
}

/** Writes settings like those of the service, with ports of their own. */
async function writeSettings(change: (settings: Settings) => void = () => {}): Promise<string> {
  const settings = JSON.parse(readFileSync(service().settingsFile, "utf8")) as Settings;
  settings.listen = { ssh: [`127.0.0.1:${await freePort()}`], http: null };
  change(settings);
  const path = join(service().folder, `settings-${++copies}.yaml`);
  writeFileSync(path, JSON.stringify(settings, undefined, 2));
  return path;
}

interface Settings {
  listen: { ssh: string[]; http: string | null };
}

/** A copy of the state that a service has left, with something done to it. */
async function spoil(act: (state: string) => void): Promise<Ended> {
  const state = newPath();
  if (!existsSync(template())) await makeTemplate();
  cpSync(template(), state, { recursive: true });
  act(state);
  const ended = await slip(state, "serve", "--settings", await writeSettings());
  rmSync(state, { recursive: true });
  return { ...ended, stderr: lastWords(ended).replaceAll(state, "STATE") };
}

const template = (): string => join(service().folder, "template");

async function makeTemplate(): Promise<void> {
  await service().as("ada").lobby("ls");
  await service().stop();
  cpSync(service().stateFolder, template(), { recursive: true });
  await service().restart();
}

/** What the process says besides its log. */
function lastWords({ stderr }: Pick<Ended, "stderr">): string {
  return stderr
    .split("\n")
    .filter((line) => !line.startsWith("{"))
    .join("\n");
}

test("slip serve names the process that has the state folder", async () => {
  const ended = await slip(service().stateFolder, "serve", "--settings", await writeSettings());
  expect([ended.exitCode, lastWords(ended)]).toEqual([
    75,
    `slip: Cannot open "${service().stateFolder}/slipway.db": process ${service().pid} has it open\n  because: database is locked\n`,
  ]);
  expect((await service().as("ada").lobby("ls")).exitCode).toBe(0);
});

test("slip serve names the address that it cannot listen on", async () => {
  const server = createServer();
  onTestFinished(() => void server.close());
  const port = await freePort();
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  for (const listen of [
    { ssh: [`127.0.0.1:${port}`], http: null },
    { ssh: ["127.0.0.1:0"], http: `127.0.0.1:${port}` },
  ]) {
    const ended = await slip(
      newPath(),
      "serve",
      "--settings",
      await writeSettings((settings) => (settings.listen = listen)),
    );
    const what = listen.http === null ? "" : " for HTTP";
    expect([ended.exitCode, lastWords(ended)]).toEqual([
      78,
      expect.stringContaining(
        `slip: Cannot listen on 127.0.0.1:${port}${what}: listen EADDRINUSE: address already in use`,
      ),
    ]);
  }
});

test("slip serve tells every complaint about the settings at once, each with its line, and touches nothing", async () => {
  const path = join(service().folder, "broken.yaml");
  writeFileSync(path, 'version: 2\nlisten: { ssh: ["nope"] }\npeople: { ada: { keys: [x] } }\nstrange: 1\n');
  const state = newPath();
  const ended = await slip(state, "serve", "--settings", path);
  expect(ended.exitCode).toBe(78);
  expect(ended.stderr.split("\n").map((line) => line.split(/, (?:as|is) |; |" is no/)[0])).toEqual([
    "slip: Cannot use broken.yaml: 4 complaints",
    "broken.yaml:1: version: needs 1",
    "broken.yaml:2: listen.ssh[0]: needs host:port",
    'broken.yaml:3: people.ada.keys[0]: "x',
    "broken.yaml:4: strange: unknown key",
    "",
  ]);
  expect(existsSync(state)).toBe(false);
});

test("slip serve says of a damaged database which file it is", async () => {
  const overwrite = (state: string, at: number): void => {
    const bytes = readFileSync(join(state, "slipway.db"));
    bytes.fill(0xa5, at, at + 8_192);
    writeFileSync(join(state, "slipway.db"), bytes);
  };
  const head = await spoil((state) => overwrite(state, 0));
  expect([head.exitCode, head.stderr]).toEqual([
    74,
    'slip: Cannot open "STATE/slipway.db": file is not a database\n  because: file is not a database\n',
  ]);
  const page = await spoil((state) => overwrite(state, 4_096));
  expect([page.exitCode, page.stderr]).toEqual([
    74,
    expect.stringMatching(/^slip: Cannot (use|open) "STATE\/slipway.db": /),
  ]);
});

test("slip serve says of a damaged key which file it is and what to do", async () => {
  const hostKey = await spoil((state) => writeFileSync(join(state, "hostkeys/ed25519-1.pem"), "damaged"));
  expect([hostKey.exitCode, hostKey.stderr]).toEqual([
    74,
    expect.stringContaining(
      "slip: Cannot read the private key STATE/hostkeys/ed25519-1.pem: it is damaged; restore it, or remove it and every client has to accept a new one",
    ),
  ]);
  const gatewayKey = await spoil((state) => writeFileSync(join(state, "gateway-key.pem"), ""));
  expect([gatewayKey.exitCode, gatewayKey.stderr]).toEqual([
    74,
    expect.stringContaining(
      "slip: Cannot read the private key STATE/gateway-key.pem: it is damaged; restore it, or remove it and the next start makes another",
    ),
  ]);
});

test("slip serve does not continue an audit log whose end was changed", async () => {
  const ended = await spoil((state) => {
    const path = join(state, "audit.jsonl");
    writeFileSync(path, readFileSync(path, "utf8").replace(/asked to(?=[^\n]*\n$)/, "Asked to"));
  });
  expect([ended.exitCode, ended.stderr]).toEqual([
    1,
    'slip: Cannot append to "STATE/audit.jsonl": its last line was changed (its hash does not fit its content)\n',
  ]);
});

test("slip serve says of a state folder that it cannot write to why", async () => {
  const settings = await writeSettings();
  const [file, readOnly] = [newPath(), newPath()];
  writeFileSync(file, "");
  mkdirSync(readOnly);
  await mustRun(["mount", "-t", "tmpfs", "-o", "ro", "none", readOnly]);
  onTestFinished(async () => {
    await mustRun(["umount", readOnly]);
  });
  for (const [path, why] of [
    [file, `Cannot use ${file}: it is a file, needs a folder`],
    [readOnly, `EROFS: read-only file system, access '${readOnly}'`],
  ] as const) {
    const ended = await slip(path, "serve", "--settings", settings);
    expect([ended.exitCode, ended.stderr]).toEqual([
      73,
      `slip: Cannot keep state: the state folder ${path} cannot be used; SLIPWAY_HOME moves it\n  because: ${why}\n`,
    ]);
  }
});

test("slip audit verify names the line that was changed, and the file that is not there", async () => {
  const state = newPath();
  if (!existsSync(template())) await makeTemplate();
  cpSync(template(), state, { recursive: true });
  const path = join(state, "audit.jsonl");
  const sound = await slip(state, "audit", "verify");
  expect([sound.exitCode, sound.stdout]).toEqual([0, expect.stringMatching(/^sound\t\d+ records\t[0-9a-f]{64}\n$/)]);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace('"person":"ada"', '"person":"bob"'));
  const before = text.split("\n").findIndex((line) => line.includes('"person":"ada"'));
  const changed = await slip(state, "audit", "verify");
  expect([changed.exitCode, changed.stderr]).toEqual([
    1,
    `slip: Cannot vouch for the audit log: ${path}:${before + 1}: its hash does not fit its content; the ${before} records before it are sound\n`,
  ]);
  const absent = await slip(newPath(), "audit", "verify");
  expect([absent.exitCode, absent.stderr]).toEqual([
    2,
    expect.stringMatching(
      /^slip: there is no audit log .*\/audit.jsonl; SLIPWAY_HOME names the state folder it is in\n$/,
    ),
  ]);
});

test("a record that a crash cut short is moved aside and recorded, and the chain goes on", async () => {
  await service().kill9();
  appendFileSync(join(service().stateFolder, "audit.jsonl"), '{"at":"2026-');
  await service().restart();
  expect(service().events("audit.torn")).toMatchObject([
    { bytes: 12, movedTo: expect.stringMatching(/audit\.torn-\d+$/) as string },
  ]);
  expect(await service().slip("audit", "verify")).toMatch(/^sound\t/);
});

test("a file among the host keys that is none changes nothing for who connects", async () => {
  const path = join(service().stateFolder, "hostkeys/ed25519-9.pem");
  writeFileSync(path, "half writ");
  expect((await service().as("ada").lobby("ls")).exitCode).toBe(0);
  expect(service().events("hostkeys.unreadable").length).toBeGreaterThan(0);
  rmSync(path);
  expect((await service().as("ada").lobby("ls")).exitCode).toBe(0);
});
