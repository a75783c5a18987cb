import { expect, test } from "vitest";
import { Fault } from "../../base/fault.ts";
import { makeLog } from "../../base/log.ts";
import { message } from "../../ssh/numbers.ts";
import { WireReader, WireWriter } from "../../ssh/wire.ts";
import { EnvironmentRow, PoolExplanation, PoolRow, WhoRow } from "../../wire/lobby.ts";
import type { Person } from "../../wire/person.ts";
import { Sessions, type Session } from "../sessions.ts";
import type { LobbyEnvironments, LobbyPools } from "./commands.ts";
import { makeLobby, type LobbyDeps } from "./lobby.ts";

const named = (name: string, admin = false): Person => ({ id: name, name, fullName: name, email: "", admin });

/** Everybody's key is in the settings but that of ivy, who is of a forge. */
const directory: LobbyDeps["directory"] = {
  known: ({ person }) =>
    person === "ivy"
      ? {
          person: named("ivy"),
          keyFrom: "github",
          account: {
            forge: "github",
            login: "ivy",
            state: "active",
            stateVerifiedAt: undefined,
            keysVerifiedAt: 1_000,
          },
          repositories: [{ name: "acme/shop", role: "write", verifiedAt: 2_000 }],
        }
      : { person: named(person), keyFrom: "settings", repositories: [{ name: "hello" }] },
};

const row: EnvironmentRow = {
  login: "hello-main",
  person: "ada",
  repository: "hello",
  branch: "main",
  phase: "idle",
  power: "running",
  sessionCount: 0,
  createdAt: "2026-01-01T00:00:00.000Z",
  lastActiveAt: "2026-01-02T00:00:00.000Z",
  ports: [3000],
};

/** What was put to sleep. */
const slept: string[] = [];

const environments: LobbyEnvironments = {
  list: async (person) => (person === undefined || person === "ada" ? [row] : []),
  create: async (request, report) => {
    report(`slipway: making ${request.repository} from ${request.from ?? "itself"}`);
    return `${request.repository}-${request.branch}`;
  },
  remove: async (ref, { force, by }) => {
    if (!force)
      throw new Fault("environment.unsaved", "Cannot remove", { told: `${ref.login} has work; ${by}\n  a.txt` });
  },
  sleep: async (ref, { by }) => {
    slept.push(`${ref.person} ${ref.login} by ${by}`);
  },
  readLog: async () => "x".repeat(5_000),
  migrate: async (ref, { to, by, report }) => {
    report(`slipway: moving files of ${ref.person} for ${by}`);
    if (to === "north") throw new Fault("usage.wrong", "Cannot move", { told: "there is no cluster north" });
    return 812.4;
  },
};

const pool: PoolRow = {
  name: "hello",
  repository: "hello",
  wanted: 5,
  ready: 4,
  filling: 1,
  failed: 0,
  hitRatio: 0.905,
};

const explanation: PoolExplanation = {
  ...pool,
  ...{ version: "0a1b2c3", madeFrom: "image=1", image: "debian", failed: 1, pausedBecause: "it crashes" },
  pausedUntil: "2026-01-01T00:10:00.000Z",
  failedMember: { id: "m1", cluster: "east", reason: "it crashes" },
  sinceStart: { hits: 0, misses: 0 },
  lastDay: { hits: 19, misses: 2, hitRatio: 19 / 21 },
  missesBecause: { "pool empty": 2 },
  refillP50Ms: 1_840,
  ...{ idleUsd: 1.5, idleUsdPerHour: 0.0401 },
  members: [
    { id: "m1", cluster: "east", state: "failed", createdAt: "2026-01-01T00:00:00.000Z", reason: "it crashes" },
  ],
};

const pools: LobbyPools = {
  list: async () => [pool],
  explain: async (name) => {
    if (name === "hello") return explanation;
    throw new Fault("usage.wrong", "Cannot explain", { told: `there is no pool "${name}"` });
  },
};

interface Answer {
  stdout: string;
  stderr: string;
  status: number | undefined;
  /** Numbers of the messages behind the data, in order. */
  ending: number[];
}

/** Runs a command as a client would that has so much window, adding to it as it reads. */
async function call(
  line: string,
  options: {
    person?: Person;
    sessions?: Sessions;
    window?: number;
    pty?: boolean;
    rows?: EnvironmentRow[];
    hasPools?: boolean;
  } = {},
) {
  const { person = named("ada"), sessions = new Sessions(), window = 1_000, pty = false } = options;
  const { rows } = options;
  const lobby = makeLobby({
    ...{ directory, sessions, log: makeLog("silent") },
    environments: rows === undefined ? environments : { ...environments, list: async () => rows },
    pools: options.hasPools === false ? undefined : pools,
  });
  const answer: Answer = { stdout: "", stderr: "", status: undefined, ending: [] };
  const closed = Promise.withResolvers<undefined>();
  let windowLeft = window;
  const side = lobby.open({
    id: "s-1",
    person,
    keyBlob: Buffer.alloc(0),
    toClient: (payload) => {
      const reader = new WireReader(payload, 1);
      const number = payload[0] ?? 0;
      if (number === message.channelData || number === message.channelExtendedData) {
        reader.uint32();
        if (number === message.channelExtendedData) reader.uint32();
        const data = reader.string();
        windowLeft -= data.length;
        expect(windowLeft).toBeGreaterThanOrEqual(0);
        expect(data.length).toBeLessThanOrEqual(700);
        if (number === message.channelData) answer.stdout += data.toString();
        else answer.stderr += data.toString();
        windowLeft += data.length;
        queueMicrotask(() => {
          side.send(new WireWriter().byte(message.channelWindowAdjust).uint32(0).uint32(data.length).done());
        });
      } else if (number === message.channelRequest) {
        answer.status = new WireReader(payload, 5 + 4 + "exit-status".length + 1).uint32();
        answer.ending.push(number);
      } else if (number === message.channelEof || number === message.channelClose) {
        answer.ending.push(number);
        if (number === message.channelClose) closed.resolve(undefined);
      }
    },
  });
  const open = new WireWriter().byte(message.channelOpen).string("session").uint32(0).uint32(window).uint32(700);
  side.send(open.done());
  const request = (name: string): WireWriter =>
    new WireWriter().byte(message.channelRequest).uint32(0).string(name).boolean(true);
  if (pty) side.send(request("pty-req").string("xterm").done());
  side.send(request("exec").string(line).done());
  await closed.promise;
  return answer;
}

test("the lobby prints rows by tabs, and JSON that fits its schema", async () => {
  expect((await call("ls")).stdout).toBe("hello-main\tidle\trunning\t0\t2026-01-02T00:00:00.000Z\tada\n");
  const parsed: unknown = JSON.parse((await call("ls --json")).stdout);
  expect(EnvironmentRow.array().parse(parsed)).toEqual([row]);
});

test("the lobby lists clusters where there are some", async () => {
  const rows = [{ ...row, cluster: "east" }, row];
  const head = "hello-main\tidle\trunning\t0\t2026-01-02T00:00:00.000Z\tada";
  expect((await call("ls", { rows })).stdout).toBe(`${head}\teast\n${head}\t-\n`);
  expect(EnvironmentRow.array().parse(JSON.parse((await call("ls --json", { rows })).stdout))).toEqual(rows);
});

test("the lobby lists pools and tells of one, to everybody", async () => {
  expect((await call("pool ls")).stdout).toBe("hello\thello\tany\t4/5 ready\t1 filling\t0 failed\t91 %\n");
  expect(PoolRow.array().parse(JSON.parse((await call("pool ls --json")).stdout))).toEqual([pool]);
  expect((await call("pool explain hello")).stdout.split("\n")).toEqual([
    "pool\thello",
    "repository\thello",
    "cluster\tany",
    "members\t4 ready of 5 wanted, 1 filling, 1 failed",
    "version\t0a1b2c3",
    "image\tdebian",
    "paused\tuntil 2026-01-01T00:10:00.000Z: it crashes",
    "failed\tm1 on east: it crashes",
    "hits\tnone since the start, 19 of 21 (90 %) in the last day",
    "missed\t2: pool empty",
    "refill\t1.8 s, half of them",
    "idle cost\t1.50 USD in 30 days, 0.0401 USD an hour now",
    "",
  ]);
  expect(PoolExplanation.parse(JSON.parse((await call("pool explain hello --json")).stdout))).toEqual(explanation);
  expect(await call("pool explain nope")).toMatchObject({ stderr: 'slipway: there is no pool "nope"\n', status: 2 });
});

test("the lobby says that there are no pools where there are none", async () => {
  expect(await call("pool ls --json", { hasPools: false })).toMatchObject({ stdout: "[]\n", status: 0 });
  expect(await call("pool explain hello", { hasPools: false })).toMatchObject({ status: 2 });
});

test("the lobby moves an environment to another cluster and tells for how long it was down", async () => {
  expect(await call("migrate hello-main --to west")).toEqual(
    expect.objectContaining({
      stdout: "hello-main is on west now; it was down for 812 ms\n",
      stderr: "slipway: moving files of ada for ada\n",
    }),
  );
  const { stdout } = await call("migrate hello-main --to west --json");
  expect(JSON.parse(stdout)).toEqual({ migrated: "hello-main", to: "west", downMs: 812 });
  expect(await call("migrate hello-main")).toMatchObject({
    stderr: "slipway: --to has to name a cluster\n",
    status: 2,
  });
  expect(await call("migrate hello-main --to north")).toMatchObject({ status: 2 });
  expect(await call("migrate --person bob hello-main --to west")).toMatchObject({ status: 77 });
  expect(await call("migrate --person bob hello-main --to west", { person: named("eve", true) })).toMatchObject({
    stderr: "slipway: moving files of bob for eve\n",
    status: 0,
  });
});

test("the lobby ends a command with exit-status, EOF and CLOSE, in this order (RFC 4254 section 6.10)", async () => {
  const answer = await call("ls");
  expect(answer.status).toBe(0);
  expect(answer.ending).toEqual([message.channelRequest, message.channelEof, message.channelClose]);
});

test("the lobby keeps to the client's window and packet size, and loses nothing", async () => {
  expect((await call("log hello-main", { window: 64 })).stdout).toBe(`${"x".repeat(5_000)}\n`);
});

test("the lobby tells a refusal on standard error, with the exit code of its fault", async () => {
  const answer = await call("rm hello-main");
  expect(answer).toMatchObject({ stdout: "", stderr: "slipway: hello-main has work; ada\n  a.txt\n", status: 1 });
  expect((await call("rm hello-main --force")).stdout).toBe("removed hello-main\n");
});

test("the lobby returns carriage only to a terminal", async () => {
  expect((await call("rm hello-main --force", { pty: true })).stdout).toBe("removed hello-main\r\n");
});

test.each([
  ["nope", 'slipway: there is no command "nope"; "help" lists them\n'],
  ["pool", 'slipway: there is no command "pool"; "help" lists them\n'],
  ["pool nope x", 'slipway: there is no command "pool nope"; "help" lists them\n'],
  ["rm", "slipway: usage: rm <login> [--force] [--person <name>] [--json]\n"],
  ["ls --bogus", "slipway: Unknown option '--bogus'; usage: ls [--all] [--json]\n"],
  ["'open", "slipway: the command cannot be read: the ' is not closed\n"],
])("the lobby refuses %j with exit code 2", async (line, stderr) => {
  expect(await call(line)).toMatchObject({ stderr, status: 2 });
});

test("the lobby lets only administrators see and touch what others have", async () => {
  expect(await call("ls --all")).toMatchObject({ status: 77 });
  expect(await call("rm --force --person bob hello-main")).toMatchObject({ status: 77 });
  expect(await call("ls --all", { person: named("eve", true) })).toMatchObject({ status: 0 });
});

test("the lobby tells somebody what is known of them, from where and since when", async () => {
  const { stdout } = await call("whoami --json", { person: named("ivy") });
  expect(WhoRow.parse(JSON.parse(stdout))).toMatchObject({
    name: "ivy",
    keyFrom: "github",
    account: {
      state: "active",
      keysVerifiedAt: "1970-01-01T00:00:01.000Z",
    },
    repositories: [{ repository: "acme/shop", role: "write", verifiedAt: "1970-01-01T00:00:02.000Z" }],
  });
  expect(stdout).not.toContain("stateVerifiedAt");
  expect((await call("whoami", { person: named("ivy") })).stdout).toContain(
    "\nrepository\tacme/shop\twrite\t1970-01-01T00:00:02.000Z\n",
  );
  const own = (await call("whoami")).stdout;
  expect(own).toContain("keyFrom\tsettings\n");
  expect(own).toContain("\nrepository\thello\tgranted\n");
});

test("the lobby puts a person's own environment to sleep, and everybody's for administrators", async () => {
  slept.length = 0;
  expect(await call("sleep hello-main")).toMatchObject({ stdout: "hello-main sleeps\n", status: 0 });
  expect(JSON.parse((await call("sleep hello-main --json")).stdout)).toEqual({ sleeping: "hello-main" });
  expect(await call("sleep --person bob hello-main")).toMatchObject({ status: 77 });
  const eve = named("eve", true);
  expect(await call("sleep --person bob hello-main", { person: eve })).toMatchObject({ status: 0 });
  expect(slept).toEqual(["ada hello-main by ada", "ada hello-main by ada", "bob hello-main by eve"]);
});

test("the lobby shows and ends a person's own sessions, and everybody's to administrators", async () => {
  const ended: string[] = [];
  const session = (id: string, person: string): Session => ({
    ...{
      id,
      person,
      personId: person,
      login: "hello-main",
      from: "::1",
      fingerprint: "SHA256:x",
      client: "SSH-2.0-x",
      since: 0,
    },
    ...{ environment: "e1", lastInputAt: 0, bytesFromClient: 1, bytesToClient: 2, channelCount: 1 },
    end: (reason) => {
      ended.push(`${id}: ${reason}`);
    },
  });
  const sessions = new Sessions();
  sessions.add(session("s-a", "ada"));
  sessions.add(session("s-b", "bob"));
  expect((await call("who", { sessions })).stdout.split("\n")).toHaveLength(2);
  expect(await call("kill s-b", { sessions })).toMatchObject({ status: 1 });
  expect(await call("kill s-a", { sessions })).toMatchObject({ status: 0 });
  expect(await call("kill s-b", { sessions, person: named("eve", true) })).toMatchObject({ status: 0 });
  expect(ended).toEqual(["s-a: this session was ended by ada", "s-b: this session was ended by eve"]);
});

test("the lobby tells progress of a new environment on standard error and its login on standard output", async () => {
  expect(await call("new hello idea --from main")).toMatchObject({
    stdout: "hello-idea\n",
    stderr: "slipway: making hello from main\n",
  });
});

test("the lobby makes control characters of others visible, so that they drive nobody's terminal", async () => {
  const login = "hello-\u001b[2Jmain\u009b";
  const session: Session = {
    ...{ id: "s-a", person: "ada", personId: "ada", login, from: "::1", fingerprint: "SHA256:x", since: 0 },
    ...{
      client: "SSH-2.0-x",
      environment: "e1",
      lastInputAt: 0,
      bytesFromClient: 1,
      bytesToClient: 2,
      channelCount: 1,
    },
    end: () => {},
  };
  const sessions = new Sessions();
  sessions.add(session);
  expect((await call("who", { sessions })).stdout.split("\t")[2]).toBe("hello-^[[2Jmain\ufffd");
  const { stdout } = await call("who --json", { sessions });
  expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  expect(JSON.parse(stdout)).toMatchObject([{ login }]);
});

test("the lobby holds its output while the client's connection is full, and runs so many commands at once", async () => {
  const sent: Buffer[] = [];
  const lobby = makeLobby({ environments, directory, sessions: new Sessions(), log: makeLog("silent") });
  const side = lobby.open({
    id: "s-1",
    person: named("ada"),
    keyBlob: Buffer.alloc(0),
    toClient: (payload) => {
      sent.push(payload);
      if (payload[0] === message.channelData) side.pause();
    },
  });
  const open = (id: number): void => {
    side.send(
      new WireWriter()
        .byte(message.channelOpen)
        .string("session")
        .uint32(id)
        .uint32(2 ** 31)
        .uint32(1_000)
        .done(),
    );
  };
  open(0);
  const exec = new WireWriter().byte(message.channelRequest).uint32(0).string("exec").boolean(false);
  side.send(exec.string("log hello-main").done());
  await new Promise((resolve) => setImmediate(resolve));
  const dataCount = (): number => sent.filter((payload) => payload[0] === message.channelData).length;
  expect(dataCount()).toBe(1);
  side.resume();
  expect(dataCount()).toBe(2);
  for (let id = 1; id <= 16; id++) open(id);
  expect(sent.filter((payload) => payload[0] === message.channelOpenFailure)).toHaveLength(1);
});
