/**
 * A sandbox runtime on this machine for tests: a folder of its own, a mirror, and a stock `ssh` that reaches the inner
 * sshd of an environment without a gateway. Everything is gone when its scope ends, also when the test failed.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { makeClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import type { EnvironmentSpec, Reach, Runtime, StartSpec } from "../../src/runtime/runtime.ts";
import { openSandbox, type SandboxOptions } from "../../src/runtime/sandbox/open-sandbox.ts";
import { makeKey } from "./client.ts";
import { freePort } from "./free-port.ts";
import { clearLeftovers, findLeftovers } from "./leftovers.ts";
import { mustRun, run, start, type Ended, type RunOptions, type Running } from "./program.ts";

export interface TestSandbox extends AsyncDisposable {
  readonly folder: string;
  readonly stateDir: string;
  readonly mirrorPath: string;
  readonly options: SandboxOptions;
  /** Replaced by `reopen`. */
  runtime: Runtime;
  /** Makes a specification with an id and user number of its own. */
  makeSpec(changes?: Partial<EnvironmentSpec>): EnvironmentSpec;
  /** Creates and starts an environment. */
  up(spec: EnvironmentSpec, changes?: Partial<StartSpec>): Promise<void>;
  /** Opens the same state folder again, as a service that was killed does. */
  reopen(): Promise<void>;
  /** Runs `ssh` to an environment; arguments after the login. */
  ssh(
    id: string,
    args: readonly string[],
    options?: RunOptions & { readonly sshOptions?: readonly string[] },
  ): Promise<Ended>;
  /** Starts `ssh`; standard input stays open. */
  startSsh(id: string, args: readonly string[], sshOptions?: readonly string[]): Promise<Running>;
  /** Options for `ssh`, `scp` and `sftp` that lead to an environment. */
  sshOptionsFor(id: string, env?: Readonly<Record<string, string>>): Promise<string[]>;
  /** Connections made by `ssh`, in order. */
  readonly reaches: Reach[];
  /** What is left on the machine of all environments; empty when nothing is. */
  findLeftovers(): Promise<string[]>;
}

export const START: StartSpec = {
  user: "dev",
  workspaceFolder: "/workspace/hello",
  containerEnv: {},
  runEnv: {},
  container: {
    manifests: [],
    podSecurity: "restricted",
    serviceAccountToken: false,
    tier: "lightweight",
    hostRequirements: {},
  },
};

/** A signal that never aborts, for what a test waits for. */
export const NEVER = new AbortController().signal;

/** Behind those of `service.ts`, which end at 1,500,000; the machine's own users are far below. */
const [FIRST_UID, UIDS_EACH] = [2_000_000, 50];

/** Opens one. */
export async function openTestSandbox(changes: Partial<SandboxOptions> = {}): Promise<TestSandbox> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-sandbox-"));
  chmodSync(folder, 0o755);
  const key = join(folder, "id");
  await makeKey(key, "ed25519", "gateway");
  const mirrorPath = join(folder, "mirror.git");
  await makeMirror(mirrorPath);
  const options: SandboxOptions = {
    stateDir: join(folder, "state"),
    root: "/",
    gatewayKey: readFileSync(`${key}.pub`, "utf8"),
    network: "loopback",
    clock: makeClock(),
    log: makeLog("silent"),
    ...changes,
  };
  // By the port, which no other has: two sandboxes with the same numbers find each other's processes left.
  const firstUid = FIRST_UID + ((await freePort()) - 20_000) * UIDS_EACH;
  const environments: string[] = [];
  const servers = new Map<string, { server: Server; env: Readonly<Record<string, string>> }>();
  const traces = { folder, firstUid, uidCount: UIDS_EACH, environments };
  const stop = new AbortController();
  const reaches: Reach[] = [];
  const sandbox: TestSandbox = {
    ...{ folder, mirrorPath, options, reaches },
    stateDir: options.stateDir,
    runtime: await openSandbox(options, stop.signal),
    makeSpec: (given = {}) => {
      const id = `t${randomBytes(6).toString("hex")}`;
      environments.push(given.id ?? id);
      return { ...makeSpec(mirrorPath), id, uid: firstUid + environments.length - 1, ...given };
    },
    up: async (spec, given = {}) => {
      await sandbox.runtime.create(spec, () => {}, NEVER);
      await sandbox.runtime.start(spec, { ...START, ...given }, () => {}, NEVER);
    },
    reopen: async () => {
      sandbox.runtime = await openSandbox(options, stop.signal);
    },
    sshOptionsFor: async (id, env = {}) => {
      const known = servers.get(id);
      const server =
        known?.server ??
        (await openBridge(
          () => sandbox.runtime,
          id,
          reaches,
          () => servers.get(id)?.env ?? {},
        ));
      servers.set(id, { server, env });
      const hostKey = readFileSync(join(options.stateDir, "environments", id, "inside/ssh/host_ed25519.pub"), "utf8");
      const address = server.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      const knownHosts = join(folder, `known-${id}`);
      writeFileSync(knownHosts, `[127.0.0.1]:${port} ${hostKey}`);
      const words = ["IdentitiesOnly=yes", `UserKnownHostsFile=${knownHosts}`, "LogLevel=ERROR", "User=dev"];
      // The client's own default of an exchange costs 200 ms of processor here, and is not what is tested.
      const fast = ["KexAlgorithms=curve25519-sha256", "HostName=127.0.0.1", `Port=${port}`, "BatchMode=yes"];
      return ["-F", "none", "-i", key, ...[...words, ...fast].flatMap((word) => ["-o", word])];
    },
    ssh: async (id, args, { sshOptions = [], ...given } = {}) =>
      run(["ssh", ...(await sandbox.sshOptionsFor(id)), ...sshOptions, "inside", ...args], given),
    startSsh: async (id, args, sshOptions = []) =>
      start(["ssh", ...(await sandbox.sshOptionsFor(id)), ...sshOptions, "inside", ...args]),
    findLeftovers: () => findLeftovers({ ...traces, folder: options.stateDir }),
    [Symbol.asyncDispose]: async () => {
      for (const { server } of servers.values()) server.close();
      for (const reach of reaches) await reach.end();
      for (const id of environments) await sandbox.runtime.destroy(id).catch(() => {});
      stop.abort();
      await clearLeftovers(traces);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return sandbox;
}

function makeSpec(mirrorPath: string): Omit<EnvironmentSpec, "id" | "uid"> {
  return {
    hostname: "hello-main",
    source: { repository: "hello", mirrorPath, originUrl: "https://forge.example/hello.git", branch: "main" },
    author: { name: 'Ada "the" Lovelace', email: "ada@example.org" },
    limits: {},
    cluster: "local",
    generation: 1,
    owner: { person: "ada", login: "hello-main" },
  };
}

/** A mirror of a small repository with two branches and a tag. */
async function makeMirror(path: string): Promise<void> {
  const work = `${path}.work`;
  const git = (...words: string[]) =>
    mustRun(["git", "-c", "user.name=Tess", "-c", "user.email=tess@example.org", "-C", work, ...words]);
  await mustRun(["git", "init", "--quiet", "--initial-branch=main", work]);
  writeFileSync(join(work, "README.md"), "# hello\n");
  writeFileSync(join(work, ".gitignore"), "ignored\n");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  await git("tag", "v1");
  await git("switch", "--quiet", "--create", "feature/x");
  writeFileSync(join(work, "extra.txt"), "extra\n");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "second");
  await git("switch", "--quiet", "main");
  await mustRun(["git", "clone", "--quiet", "--mirror", work, path]);
  rmSync(work, { recursive: true });
}

/** Lets a stock client reach the inner sshd: a port of the loopback, each of its connections one `connect`. */
async function openBridge(
  runtime: () => Runtime,
  id: string,
  reaches: Reach[],
  env: () => Readonly<Record<string, string>>,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => {});
    void runtime()
      .connect(id, { sessionId: randomBytes(4).toString("hex"), env: env() }, NEVER)
      .then((reach) => {
        reaches.push(reach);
        socket.pipe(reach.stream).pipe(socket);
        socket.once("close", () => void reach.end());
        reach.stream.once("close", () => socket.destroy());
      })
      .catch(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
