/**
 * A whole Slipway for tests and benchmarks: `slip serve` as a process of its own, with people, keys and repositories in
 * a temporary folder, and everything taken away at the end.
 *
 * Disposing destroys every environment through the lobby, stops the service, and throws when anything is left on the
 * machine, the service has logged an error, or the audit log does not verify.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { verifyAudit } from "../../src/gateway/audit/verify-audit.ts";
import { makeClient, readPublicKey, type Client, type KeyType } from "./client.ts";
import { freePort } from "./free-port.ts";
import { clearLeftovers, findLeftovers, type Traces } from "./leftovers.ts";
import type { OrdinaryUser } from "./ordinary-user.ts";
import { mustRun, start, type Running } from "./program.ts";
import { makeRepository, type RepositoryOptions } from "./repositories.ts";
import { until } from "./wait.ts";

const PROJECT = join(import.meta.dirname, "../..");
/** As `npm start` and the image of the gateway run it: docs/decisions/0015. */
const NODE = [process.execPath, "--max-semi-space-size=4"];
const PROGRAM = join(PROJECT, "src/cmd/slip.ts");
const UID_COUNT = 100;

/** Stands in the surroundings of every service; no environment may ever see it. */
export const HOST_SECRET = "slipway-test-secret-of-the-host";

export interface ServiceOptions {
  /** People at laptops whom the settings do not know: a forge may. */
  readonly strangers?: readonly string[];
  /** More of the settings file: whole sections, as they stand there. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** More variables of the service. */
  readonly env?: Readonly<Record<string, string>>;
  /** Name → what is special; the first is an administrator. @default ada and bob */
  readonly people?: Readonly<Record<string, { readonly keyTypes?: readonly KeyType[] }>>;
  /** @default hello, with the branches feature/greeting and other */
  readonly repositories?: Readonly<Record<string, RepositoryOptions>>;
  /** @default everybody may use everything */
  readonly grants?: readonly { readonly people: readonly string[]; readonly repositories: readonly string[] }[];
  /** As in the settings file. */
  readonly limits?: Readonly<Record<string, unknown>>;
  /** @default loopback, the fastest */
  readonly network?: "auto" | "nat" | "loopback";
  /** Of the root file system under environments. @default the machine's own */
  readonly root?: string;
  /** Beside its port on the loopback; as in the settings file. */
  readonly listen?: {
    readonly ssh?: readonly string[];
    readonly proxyProtocolFrom?: readonly string[];
    readonly webhooks?: string;
  };
  /** How long sessions may go on after it was told to stop. @default 0 */
  readonly drainMs?: number;
  /** An empty folder of the test's own, which stays. @default one below `folder` */
  readonly stateFolder?: string;
  /** Whom it runs as. @default whoever runs the tests */
  readonly user?: OrdinaryUser;
  /** Whether errors in the log are part of the test. @default false */
  readonly mayLogErrors?: boolean;
  /** @default debug */
  readonly logLevel?: "debug" | "info";
}

export interface TestService extends AsyncDisposable {
  /** Everything is below: `state`, `people/<name>`, `repositories/<name>.git`. */
  readonly folder: string;
  readonly stateFolder: string;
  readonly settingsFile: string;
  readonly knownHosts: string;
  readonly port: number;
  readonly httpPort: number;
  /** Process id of the service that runs now. */
  readonly pid: number;
  readonly isUp: boolean;
  /** Finds a person. */
  as(name: string): Client;
  /** Runs `slip` on the state folder, with the settings file where the command takes one. @returns standard output */
  slip(...words: readonly string[]): Promise<string>;
  /** Writes the host keys there are now into `known_hosts`. */
  pinHostKeys(): Promise<void>;
  /** What all services here have logged, oldest first: one JSON object a line. */
  log(): string;
  /** Events in the log, with their facts. */
  events(name: string): Readonly<Record<string, unknown>>[];
  /** Kills the service as a crash would. Environments go on. */
  kill9(): Promise<void>;
  /** Stops it in good order. @returns its exit code */
  stop(): Promise<number | null>;
  /** Starts it again on the same state and ports. */
  restart(): Promise<void>;
}

/** Starts a service and waits until it takes logins. */
export async function openTestService(options: ServiceOptions = {}): Promise<TestService> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-test-"));
  try {
    return await open(folder, options);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function open(folder: string, options: ServiceOptions): Promise<TestService> {
  const names = Object.keys(options.people ?? { ada: {}, bob: {} });
  const strangers = options.strangers ?? [];
  const [port, httpPort] = [await freePort(), await freePort()];
  const paths = pathsOf(folder, options);
  for (const path of [paths.home, paths.temporary, join(folder, "repositories")]) mkdirSync(path, { mode: 0o700 });
  const clients = new Map<string, Client>();
  for (const name of [...names, ...strangers]) {
    const keyTypes = options.people?.[name]?.keyTypes ?? ["ed25519"];
    const { knownHosts } = paths;
    clients.set(name, await makeClient({ name, folder: join(folder, "people", name), port, knownHosts, keyTypes }));
  }
  const repositories = options.repositories ?? { hello: { branches: ["feature/greeting", "other"] } };
  for (const [name, repository] of Object.entries(repositories)) {
    await makeRepository(join(folder, "repositories", `${name}.git`), repository);
  }
  const firstUid = 300_000 + (port - 20_000) * UID_COUNT;
  writeFileSync(
    paths.settings,
    settingsText(
      { ...options, repositories },
      { people: names.flatMap((name) => clients.get(name) ?? []), port, httpPort, firstUid },
    ),
  );
  options.user?.give(folder);
  const runner = makeRunner(paths, httpPort, options.drainMs ?? 0);
  await runner.start();
  const as = (name: string): Client => {
    const client = clients.get(name);
    if (client === undefined) throw new Error(`Cannot find ${name} among ${[...clients.keys()].join(", ")}`);
    return client;
  };
  const service: TestService = {
    ...{ folder, port, httpPort, as },
    stateFolder: paths.state,
    settingsFile: paths.settings,
    knownHosts: paths.knownHosts,
    get pid() {
      return runner.pid();
    },
    get isUp() {
      return runner.isUp();
    },
    slip: (...words) => mustRun([...paths.program, ...words], { env: paths.env, cwd: folder }),
    pinHostKeys: async () => {
      const keys = JSON.parse(await service.slip("hostkey", "list", "--json")) as { line: string }[];
      const hosts = `[127.0.0.1]:${port},[localhost]:${port}`;
      writeFileSync(paths.knownHosts, keys.map(({ line }) => `${hosts} ${line}\n`).join(""));
    },
    log: () => runner.log(),
    events: (name) => readEvents(runner.log()).filter(({ event }) => event === name),
    kill9: () => runner.kill9(),
    stop: () => runner.stop(),
    restart: () => runner.start(),
    [Symbol.asyncDispose]: async () => {
      const admin = as(names[0] ?? "");
      const uids = options.user?.uids ?? { firstUid, uidCount: UID_COUNT };
      const traces = (ids: readonly string[]): Traces => ({ folder, ...uids, environments: ids });
      const complaints = await takeDown({ runner, admin, traces, state: paths.state });
      complaints.push(...readdirSync(paths.temporary).map((name) => `temporary file ${name}`));
      if (options.mayLogErrors !== true) complaints.push(...errorsIn(runner.log()));
      rmSync(folder, { recursive: true, force: true });
      if (complaints.length > 0)
        throw new Error(`Cannot call this service gone in good order:\n${complaints.join("\n")}`);
    },
  };
  try {
    await service.pinHostKeys();
  } catch (error) {
    await runner.kill9();
    throw error;
  }
  return service;
}

interface Paths {
  readonly folder: string;
  readonly state: string;
  readonly settings: string;
  readonly knownHosts: string;
  readonly home: string;
  readonly temporary: string;
  /** Words that start `slip`. */
  readonly program: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function pathsOf(folder: string, options: ServiceOptions): Paths {
  const { stateFolder: state = join(folder, "state"), logLevel = "debug" } = options;
  const home = join(folder, "home");
  const temporary = join(folder, "tmp");
  return {
    ...{ folder, state, home, temporary },
    program: [...(options.user?.words ?? []), ...NODE, PROGRAM],
    settings: join(folder, "slipway.yaml"),
    knownHosts: join(folder, "known_hosts"),
    env: {
      SLIPWAY_HOME: state,
      SLIPWAY_LOG: logLevel,
      HOME: home,
      TMPDIR: temporary,
      NODE_COMPILE_CACHE: join(PROJECT, "node_modules/.cache/node"),
      HOST_SECRET,
      ...options.env,
    },
  };
}

interface Runner {
  pid(): number;
  log(): string;
  start(): Promise<void>;
  stop(): Promise<number | null>;
  kill9(): Promise<void>;
  isUp(): boolean;
}

function makeRunner(paths: Paths, httpPort: number, drainMs: number): Runner {
  const runs: Running[] = [];
  let up: Running | undefined;
  const need = (): Running => {
    if (up === undefined) throw new Error("Cannot use the service: it does not run");
    return up;
  };
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const running = need();
    up = undefined;
    running.kill(signal);
    return (await running.ended).exitCode;
  };
  return {
    pid: () => need().pid,
    isUp: () => up !== undefined,
    log: () => runs.map((running) => running.stderr()).join(""),
    start: async () => {
      if (up !== undefined) throw new Error("Cannot start the service: it runs already");
      const words = [...paths.program, "serve", "--settings", paths.settings, "--drain-ms", String(drainMs)];
      const running = start(words, { env: paths.env, cwd: paths.folder });
      runs.push(running);
      up = running;
      try {
        await running.untilError(/"event":"service\.started"/, 20_000);
        await until("/readyz", async () => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).status === 200);
      } catch (error) {
        up = undefined;
        running.kill("SIGKILL");
        throw error;
      }
    },
    stop: () => end("SIGTERM"),
    kill9: async () => {
      await end("SIGKILL");
    },
  };
}

/** A cluster that is busy takes its time to clear away. */
const REMOVE_MS = 180_000;

interface TakingDown {
  readonly runner: Runner;
  readonly admin: Client;
  readonly traces: (ids: readonly string[]) => Traces;
  readonly state: string;
}

/** @returns what was not as it should be */
async function takeDown({ runner, admin, traces, state }: TakingDown): Promise<string[]> {
  const complaints: string[] = [];
  const attempt = async (what: string, act: () => Promise<void>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      complaints.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  // Those that were removed before, too.
  const added = readEvents(runner.log()).filter(({ event }) => event === "environment.added");
  const ids = [...new Set([...listEnvironments(state), ...added.map(({ environment }) => String(environment))])];
  if (!runner.isUp()) await attempt("starting it once more", () => runner.start());
  if (runner.isUp()) {
    await attempt("removing every environment", () => removeEnvironments(admin));
    await attempt("stopping it", async () => {
      const exitCode = await runner.stop();
      if (exitCode !== 0) complaints.push(`its exit code is ${exitCode}, needs 0`);
    });
  }
  complaints.push(...listEnvironments(state).map((id) => `files of environment ${id}`));
  const audit = await verifyAudit(join(state, "audit.jsonl"));
  if (!audit.sound) complaints.push(`line ${audit.line} of the audit log: ${audit.why}`);
  complaints.push(...(await findLeftovers(traces(ids))).map((line) => `left: ${line}`));
  if (complaints.length > 0) await clearLeftovers(traces(ids));
  return complaints;
}

async function removeEnvironments(admin: Client): Promise<void> {
  const listed = await admin.lobby("ls", "--all", "--json");
  if (listed.exitCode !== 0) throw new Error(listed.stderr);
  const rows = JSON.parse(listed.stdout) as { login: string; person: string }[];
  // At the same time, since on a cluster each takes seconds.
  const removing = rows.map(async ({ login, person }) => {
    const words = ["slip@slipway", "rm", login, "--force", "--person", person];
    const removed = await admin.ssh(words, { timeoutMs: REMOVE_MS });
    if (removed.exitCode !== 0) throw new Error(`Cannot remove ${login} of ${person}: ${removed.stderr}`);
  });
  for (const result of await Promise.allSettled(removing)) if (result.status === "rejected") throw result.reason;
}

function listEnvironments(state: string): string[] {
  try {
    return readdirSync(join(state, "environments"));
  } catch {
    return [];
  }
}

function readEvents(log: string): Readonly<Record<string, unknown>>[] {
  return log
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

/** Whatever is logged as an error is a bug of ours, or of the machine. */
function errorsIn(log: string): string[] {
  const strays = log.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  const errors = readEvents(log).filter(({ level }) => level === "error");
  const lines = [...strays, ...errors.map((event) => JSON.stringify(event))];
  return lines.slice(0, 5).map((line) => `logged: ${line.slice(0, 1_000)}`);
}

interface SettingsFacts {
  readonly people: readonly Client[];
  readonly port: number;
  readonly httpPort: number;
  readonly firstUid: number;
}

/** JSON is YAML. */
function settingsText(options: ServiceOptions, { people: known, port, httpPort, firstUid }: SettingsFacts): string {
  const people = known.map(({ name, folder }, at) => {
    const keys = readdirSync(folder).filter((file) => file.endsWith(".pub"));
    return [name, { admin: at === 0, keys: keys.map((file) => readPublicKey(join(folder, file.slice(0, -4)))) }];
  });
  const repositories = Object.keys(options.repositories ?? {});
  const settings = {
    version: 1,
    listen: {
      ssh: [`127.0.0.1:${port}`, ...(options.listen?.ssh ?? [])],
      http: `127.0.0.1:${httpPort}`,
      proxyProtocolFrom: options.listen?.proxyProtocolFrom ?? [],
      webhooks: options.listen?.webhooks ?? null,
    },
    people: Object.fromEntries(people) as unknown,
    repositories: Object.fromEntries(
      repositories.map((name) => [name, { url: `./repositories/${name}.git` }]),
    ) as unknown,
    grants: options.grants ?? [{ people: "*", repositories: "*" }],
    limits: { sessionsPerPerson: 200, ...options.limits },
    sandbox: { firstUid, uidCount: UID_COUNT, network: options.network ?? "loopback", root: options.root ?? "/" },
    ...options.settings,
  };
  return `${JSON.stringify(settings, undefined, 2)}\n`;
}
