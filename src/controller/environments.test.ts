import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { hang, makeWorld, never, type World } from "../../test/fakes/controller-world.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { NOTHING_UNSAVED, type RuntimeMethod } from "../../test/fakes/fake-runtime.ts";
import { SOON } from "../../test/harness/wait.ts";
import { makeClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Environments } from "./environments.ts";

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const silent = (): void => undefined;
const main = { person: "ada", login: "hello-main" };
const define = (definition: object): void => {
  world.runtime.sources.set(".devcontainer.json", JSON.stringify(definition));
};
const enter = (service: Environments, ref = main, report: (line: string) => void = silent) =>
  service.enter(by(ref), report, never);
/** What the gateway asks with: the person with the key that they proved. */
const by = <Request extends { person: string }>({ person, ...request }: Request) => ({
  ...request,
  who: { person, key: "" },
});
const shellLines = (): string[] =>
  world.runtime.commands.map(({ command }) => ("shell" in command ? command.shell : command.argv.join(" ")));
const recordOf = async (login: string, person = "ada") => world.store.environments.findByLogin(person, login);

test("tell() shows a line in the environments that somebody is connected to, and in no other", async () => {
  const service = world.serve();
  const connected = await enter(service);
  const left = await enter(service, { person: "bob", login: "hello-main" });
  connected.attached("s-1");
  left.attached("s-2")();
  await service.tell("going down");
  const told = world.runtime.commands.filter(({ env }) => env["SLIPWAY_TELL"] !== undefined);
  expect(told).toMatchObject([{ id: connected.id, env: { SLIPWAY_TELL: "going down" } }]);
});

describe("enter()", () => {
  test("makes the environment of a branch, tells each step with its time, and records it", async () => {
    const lines: string[] = [];
    const environment = await enter(world.serve(), main, (line) => lines.push(line));
    expect(environment).toMatchObject({ login: "hello-main", repository: "hello", branch: "main" });
    expect(lines.map((line) => line.replace(/\d+ ms$/, "N ms"))).toEqual([
      "slipway: fetching hello … N ms",
      "slipway: checking out main … N ms",
      "slipway: starting … N ms",
    ]);
    expect(lines[1]).toBe("slipway: checking out main … 38 ms");
    expect(await recordOf("hello-main")).toMatchObject({
      id: environment.id,
      power: "running",
      operation: undefined,
      hostname: "hello-main",
      uid: 200_000,
      inventory: [{ type: "sandbox", id: environment.id, state: "present" }],
      conditions: [{ type: "CheckedOut", status: "true" }],
    });
    expect(environment.id).toMatch(/^[a-z0-9]{16}$/);
    expect(world.runtime.environments.get(environment.id)?.spec).toEqual({
      id: environment.id,
      hostname: "hello-main",
      uid: 200_000,
      source: {
        repository: "hello",
        mirrorPath: "/mirrors/hello.git",
        originUrl: "https://git.example.com/hello",
        branch: "main",
      },
      author: { name: "Full ada", email: "ada@example.com" },
      limits: { diskBytes: 5_000 },
      cluster: "local",
      generation: 1,
      owner: { person: "ada", login: "hello-main" },
    });
    expect(world.audited).toEqual([
      { type: "environment.created", environment: environment.id, person: "ada", repository: "hello", branch: "main" },
    ]);
  });

  test("writes the inventory before it makes anything", async () => {
    const service = world.serve();
    let before: unknown;
    world.runtime.before("create", async (id) => {
      before = (await world.store.environments.find(id))?.inventory;
    });
    const { id } = await enter(service);
    expect(before).toEqual([{ type: "sandbox", id, state: "intended" }]);
  });

  test("enters the same environment again without asking runtime or origin", async () => {
    const service = world.serve();
    const first = await enter(service);
    const calls = world.runtime.calls.length;
    const fetches = world.refreshed.length;
    expect((await enter(service)).id).toBe(first.id);
    expect(world.runtime.calls).toHaveLength(calls);
    expect(world.refreshed).toHaveLength(fetches);
  });

  test("does it once for all who ask at the same time, and tells each of them everything", async () => {
    const service = world.serve();
    const lines: string[][] = [];
    const entered = await Promise.all(
      Array.from({ length: 12 }, (_, index) => enter(service, main, (line) => (lines[index] ??= []).push(line))),
    );
    expect(new Set(entered.map(({ id }) => id)).size).toBe(1);
    expect(world.runtime.countOf("create")).toBe(1);
    expect(world.runtime.countOf("start")).toBe(1);
    expect(world.runtime.environments.size).toBe(1);
    for (const told of lines) expect(told).toHaveLength(3);
  });

  test("goes on when one who waits leaves, and finishes when the last one has", async () => {
    const service = world.serve();
    const gate = Promise.withResolvers<undefined>();
    world.runtime.before("start", () => gate.promise);
    const stop = new AbortController();
    const leaving = service.enter(by(main), silent, stop.signal);
    const staying = enter(service);
    while (world.runtime.countOf("start") === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(leaving).rejects.toThrow("aborted");
    gate.resolve(undefined);
    await staying;
    const second = Promise.withResolvers<undefined>();
    world.runtime.before("start", () => second.promise);
    const alone = new AbortController();
    const gone = service.enter(by({ ...main, login: "tools-trunk" }), silent, alone.signal);
    while (world.runtime.countOf("start") < 2) await new Promise((resolve) => setImmediate(resolve));
    alone.abort();
    await expect(gone).rejects.toThrow("aborted");
    second.resolve(undefined);
    while ((await recordOf("tools-trunk"))?.power !== "running") await new Promise((resolve) => setImmediate(resolve));
  });

  test("gives each person, repository and branch an environment of its own", async () => {
    const service = world.serve();
    const ids = new Set<string>();
    for (const [person, login] of [
      ["ada", "hello-main"],
      ["ada", "hello-feature-x"],
      ["ada", "tools-trunk"],
      ["bob", "hello-main"],
    ] as const) {
      ids.add((await enter(service, { person, login })).id);
    }
    expect(ids.size).toBe(4);
    const uids = (await world.store.environments.list()).map(({ uid }) => uid);
    expect(new Set(uids).size).toBe(4);
  });

  test.each([
    [
      "an unknown branch",
      "ada",
      "hello-mian",
      "no repository and branch of yours fits hello-mian; nearest: hello-main",
    ],
    ["a repository without a grant", "bob", "tools-trunk", "no repository and branch of yours fits tools-trunk"],
    ["a repository that does not exist", "bob", "toolz-trunk", "no repository and branch of yours fits toolz-trunk"],
    [
      "an environment of somebody else",
      "bob",
      "hello+main+@ada",
      "no repository and branch of yours fits hello+main+@ada",
    ],
  ])("refuses %s and says no more than the person may know", async (_, person, login, told) => {
    const service = world.serve();
    await enter(service); // ada's, which must not show
    const refusal: unknown = await enter(service, { person, login }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "login.unknown" });
    expect((refusal as { told: string }).told.startsWith(told)).toBe(true);
    if (person === "bob") expect((refusal as { told: string }).told).not.toContain("trunk, ");
  });

  test("looks up nothing for a repository without a grant", async () => {
    const service = world.serve();
    await enter(service, { person: "bob", login: "tools-trunk" }).catch(silent);
    expect(world.refreshed).toEqual([]);
  });

  test("refuses an ambiguous login with the choices, and takes the unambiguous ones", async () => {
    world.origins.set("hello", ["a-b", "a/b"]);
    const service = world.serve();
    await expect(enter(service, { person: "ada", login: "hello-a-b" })).rejects.toMatchObject({
      code: "login.ambiguous",
      told: expect.stringMatching(
        /^hello-a-b fits several branches; type one of: .*\(branch a-b\).*\(branch a\/b\)$/,
      ) as string,
    });
    const one = await enter(service, { person: "ada", login: "hello+a-b" });
    expect(one.branch).toBe("a-b");
  });

  test("finds an environment by its login although a branch came that fits too", async () => {
    const service = world.serve();
    const first = await enter(service, { person: "ada", login: "hello-feature-x" });
    world.origins.set("hello", ["main", "feature/x", "feature-x"]);
    const again = await enter(service, { person: "ada", login: "hello-feature-x" });
    expect(again.id).toBe(first.id);
    const other = await enter(service, { person: "ada", login: "hello+feature-x" });
    expect(other).toMatchObject({ branch: "feature/x" });
  });

  test("does not let in a person whose grant is gone, although their environment runs", async () => {
    const service = world.serve();
    await enter(service);
    world.grants.set("ada", ["tools"]);
    await expect(enter(service)).rejects.toMatchObject({ code: "login.unknown" });
  });

  test("refuses a malformed login", async () => {
    await expect(enter(world.serve(), { person: "ada", login: "../etc" })).rejects.toMatchObject({
      code: "login.malformed",
    });
  });

  test("refuses one environment too many and names what could go, longest unused first", async () => {
    world.origins.set("hello", ["a", "b", "c", "d"]);
    const service = world.serve();
    for (const branch of ["a", "b", "c"]) await enter(service, { person: "ada", login: `hello-${branch}` });
    (await enter(service, { person: "ada", login: "hello-a" })).attached("s1")();
    await expect(enter(service, { person: "ada", login: "hello-d" })).rejects.toMatchObject({
      code: "environment.limit",
      told:
        'you have 3 environments, as many as are allowed; remove one in the lobby, as in "rm hello-b"' +
        " (longest unused: hello-b, hello-c, hello-a)",
    });
    await enter(service, { person: "bob", login: "hello-a" });
  });

  test("uses what it knows when the origin is away, and says so", async () => {
    const service = world.serve();
    await enter(service);
    world.isAway = true;
    const lines: string[] = [];
    await enter(service, { person: "ada", login: "hello-feature-x" }, (line) => lines.push(line));
    expect(lines[1]).toMatch(/^slipway: the origin of hello cannot be reached; this is the state of \d{4}-/);
  });

  test("leaves nothing of an environment whose making failed, and makes it at the next try", async () => {
    const service = world.serve();
    world.runtime.after("create", () => {
      throw new Error("Cannot write: the disk is full");
    });
    await expect(enter(service)).rejects.toThrow("disk is full");
    expect(await world.store.environments.list()).toEqual([]);
    expect(world.runtime.environments.size).toBe(0);
    world.runtime.heal();
    await enter(service);
    expect(world.runtime.environments.size).toBe(1);
  });

  test("keeps the files of an environment whose waking failed, and wakes it at the next try", async () => {
    const first = await enter(world.serve());
    world.runtime.environments.get(first.id)!.power = "sleeping";
    const service = world.serve();
    await service.adopt();
    world.runtime.before("start", () => {
      throw new Error("Cannot start: no memory");
    });
    await expect(enter(service)).rejects.toThrow("no memory");
    expect(await recordOf("hello-main")).toMatchObject({ id: first.id, power: "sleeping", operation: undefined });
    world.runtime.heal();
    expect((await enter(service)).id).toBe(first.id);
    expect(await recordOf("hello-main")).toMatchObject({ power: "running" });
    expect(world.runtime.countOf("create")).toBe(1);
  });

  test("lets somebody into an environment whose definition is broken, and says what is wrong with it", async () => {
    world.runtime.sources.set(".devcontainer.json", '{ "forwardPorts": "many" }');
    const lines: string[] = [];
    await enter(world.serve(), main, (line) => lines.push(line));
    expect(lines).toContain("slipway: .devcontainer.json cannot be used, so this environment is as without it:");
    expect(lines.some((line) => line.includes("forwardPorts"))).toBe(true);
  });

  test("prefers .devcontainer/devcontainer.json, warns of what cannot hold, and starts as defined", async () => {
    define({ remoteUser: "wrong" });
    world.runtime.sources.set(
      ".devcontainer/devcontainer.json",
      JSON.stringify({
        image: "debian:12",
        remoteUser: "ann",
        containerEnv: { A: "1" },
        forwardPorts: [3000],
        customizations: { slipway: { run: "npm start", ports: [8080] } },
      }),
    );
    world.runtime.lacks.push("no network: this is a test");
    const lines: string[] = [];
    const environment = await enter(world.serve(), main, (line) => lines.push(line));
    expect(lines.filter((line) => line.includes("image"))).toHaveLength(1);
    expect(lines).toContain("slipway: no network: this is a test");
    expect(environment.ports).toEqual([8080, 3000]);
    expect(world.runtime.environments.get(environment.id)?.start).toMatchObject({
      user: "ann",
      run: "npm start",
      workspaceFolder: "/workspace/hello",
      containerEnv: { A: "1" },
    });
  });
});

describe("lifecycle commands", () => {
  const all = {
    onCreateCommand: "one",
    updateContentCommand: ["two", "2"],
    postCreateCommand: { a: "three-a", b: ["three-b"] },
    postStartCommand: "four",
    postAttachCommand: "five",
  };

  test("run in their order, those of an object at the same time, and once each", async () => {
    define({ ...all, waitFor: "postStartCommand" });
    let together = 0;
    let most = 0;
    world.runtime.onCommand = async () => {
      most = Math.max(most, ++together);
      await new Promise((resolve) => setImmediate(resolve));
      together--;
      return 0;
    };
    const service = world.serve();
    const lines: string[] = [];
    const { id } = await enter(service, main, (line) => lines.push(line));
    expect(shellLines()).toEqual(["one", "two 2", "three-a", "three-b", "four"]);
    expect(most).toBe(2);
    expect(lines.filter((line) => line.includes("running")).map((line) => line.replace(/ \d+ ms/, ""))).toEqual([
      "slipway: running onCreateCommand …",
      "slipway: running updateContentCommand …",
      "slipway: running postCreateCommand …",
      "slipway: running postStartCommand …",
    ]);
    await enter(service);
    expect(shellLines()).toHaveLength(5);
    // After a sleep only the command of the start runs again.
    world.runtime.environments.get(id)!.power = "sleeping";
    const next = world.serve();
    await next.adopt();
    await enter(next);
    expect(shellLines().slice(5)).toEqual(["four"]);
  });

  test("are not waited for after the one that waitFor names, and their failure is told at the next connection", async () => {
    define({ ...all, waitFor: "onCreateCommand" });
    const gate = Promise.withResolvers<undefined>();
    world.runtime.onCommand = async (command) => {
      if ("argv" in command) await gate.promise;
      return "argv" in command ? 3 : 0;
    };
    const service = world.serve();
    const environment = await enter(service);
    expect(shellLines()).toEqual(["one", "two 2"]);
    expect(environment.warnings).toEqual([]);
    gate.resolve(undefined);
    while ((await recordOf("hello-main"))?.conditions.length !== 3)
      await new Promise((resolve) => setImmediate(resolve));
    const lines: string[] = [];
    await enter(service, main, (line) => lines.push(line));
    expect(lines).toEqual([
      'slipway: updateContentCommand failed with exit code 3; "log hello-main" in the lobby shows what it printed',
    ]);
    expect(shellLines()).toEqual(["one", "two 2"]);
  });

  test("stop at one that fails, let the person in all the same, and run again at the next start", async () => {
    define({ ...all, waitFor: "postStartCommand" });
    world.runtime.onCommand = (command) => ("shell" in command && command.shell === "three-a" ? 7 : 0);
    const lines: string[] = [];
    const service = world.serve();
    const environment = await enter(service, main, (line) => lines.push(line));
    expect(lines.at(-1)).toBe(
      'slipway: postCreateCommand "a" failed with exit code 7; "log hello-main" in the lobby shows what it printed',
    );
    expect(shellLines()).toEqual(["one", "two 2", "three-a", "three-b"]);
    expect(await service.readLog(main)).toMatch(
      /^slipway: postCreateCommand "a" failed with exit code 7 \(\d+ ms\)\n$/,
    );
    world.runtime.onCommand = () => 0;
    world.runtime.environments.get(environment.id)!.power = "sleeping";
    const next = world.serve();
    await next.adopt();
    await enter(next);
    expect(shellLines().slice(4)).toEqual(["three-a", "three-b", "four"]);
  });

  test("of a connection run beside each connection", async () => {
    define(all);
    const service = world.serve();
    const environment = await enter(service);
    await environment.connect({ sessionId: "s1", login: "hello-main" }, never);
    await environment.connect({ sessionId: "s2", login: "hello-main" }, never);
    while (shellLines().length < 7) await new Promise((resolve) => setImmediate(resolve));
    expect(shellLines()).toEqual(["one", "two 2", "three-a", "three-b", "four", "five", "five"]);
  });

  test("that a killed service was running are run again by the next, from the unfinished one on", async () => {
    define({ ...all, waitFor: "postStartCommand" });
    world.runtime.onCommand = (command) => ("argv" in command ? hang() : 0);
    void enter(world.serve()).catch(silent);
    while (shellLines().length < 2) await new Promise((resolve) => setImmediate(resolve));
    world.runtime.onCommand = () => 0;
    const next = world.serve();
    await next.adopt();
    await enter(next);
    expect(shellLines()).toEqual(["one", "two 2", "two 2", "three-a", "three-b", "four"]);
    expect(world.runtime.countOf("create")).toBe(1);
    expect(world.runtime.countOf("start")).toBe(1);
  });

  test("get who and where they are, and what remoteEnv says", async () => {
    define({ onCreateCommand: "one", containerEnv: { A: "1" }, remoteEnv: { B: "${containerEnv:A}2" } });
    await enter(world.serve());
    expect(world.runtime.commands[0]?.env).toMatchObject({
      B: "12",
      SLIPWAY_LOGIN: "hello-main",
      SLIPWAY_PERSON: "ada",
      GIT_AUTHOR_NAME: "Full ada",
    });
  });
});

describe("connect()", () => {
  test("wakes an environment that died unnoticed", async () => {
    const service = world.serve();
    const environment = await enter(service);
    world.runtime.environments.get(environment.id)!.power = "sleeping";
    const reach = await environment.connect({ sessionId: "s1", login: "hello-main" }, never);
    expect(reach.user).toBe("dev");
    expect(world.runtime.countOf("start")).toBe(2);
    expect(await recordOf("hello-main")).toMatchObject({ power: "running", operation: undefined });
  });

  // On a cluster it slept on a branch that was merged and deleted: woken, it was as if it had no definition at all.
  test("wakes it as it was when its definition cannot be read any more", async () => {
    world.runtime.sources.set(".devcontainer.json", JSON.stringify({ containerEnv: { A: "1" } }));
    const service = world.serve();
    const environment = await enter(service);
    const there = world.runtime.environments.get(environment.id)!;
    there.power = "sleeping";
    delete there.start;
    world.runtime.before("readSource", () => {
      throw new Fault("repository.unreached", "Cannot find main: it has no such branch");
    });
    await environment.connect({ sessionId: "s1", login: "hello-main" }, never);
    expect(world.runtime.environments.get(environment.id)?.start?.containerEnv).toMatchObject({ A: "1" });
  });

  test("wakes it once for all who connect at the same time", async () => {
    const service = world.serve();
    const environment = await enter(service);
    world.runtime.environments.get(environment.id)!.power = "sleeping";
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        environment.connect({ sessionId: `s${index}`, login: "hello-main" }, never),
      ),
    );
    expect(world.runtime.countOf("start")).toBe(2);
  });

  test("throws what the runtime says when the environment runs", async () => {
    const environment = await enter(world.serve());
    world.runtime.before("connect", () => {
      throw new Error("Cannot connect: too many");
    });
    await expect(environment.connect({ sessionId: "s1", login: "hello-main" }, never)).rejects.toThrow("too many");
    expect(world.runtime.countOf("start")).toBe(1);
  });
});

describe("judge()", () => {
  test("lets a client reach the loopback of the environment and its name, and nothing else", async () => {
    const environment = await enter(world.serve());
    const to = (host: string) => environment.judge({ type: "direct-tcpip", host, port: 80 }).allowed;
    expect([to("localhost"), to("hello-main"), to("192.0.2.1"), to("example.com")]).toEqual([true, true, false, false]);
  });
});

describe("list()", () => {
  test("shows phase, power, sessions, disk and ports of one person's or of all", async () => {
    define({ forwardPorts: [3000] });
    const service = world.serve();
    const environment = await enter(service);
    await enter(service, { person: "bob", login: "hello-main" });
    expect(await service.list("ada")).toMatchObject([
      {
        login: "hello-main",
        person: "ada",
        branch: "main",
        phase: "ready",
        power: "running",
        sessionCount: 0,
        ports: [3000],
      },
    ]);
    const detach = environment.attached("s1");
    expect(await service.list("ada")).toMatchObject([{ phase: "active", sessionCount: 1 }]);
    detach();
    detach();
    expect(await service.list("ada")).toMatchObject([{ phase: "active", sessionCount: 0 }]);
    const later = makeClock();
    const tomorrow = world.serve({ clock: { ...later, now: () => later.now() + 86_400_000 } });
    expect(await tomorrow.list("ada")).toMatchObject([{ phase: "idle", sessionCount: 0 }]);
    expect((await service.list(undefined)).map(({ person }) => person)).toEqual(["ada", "bob"]);
  });
});

describe("create()", () => {
  const request = { person: "ada", repository: "hello", branch: "topic/new" };

  test("makes an environment of a branch that does not exist yet, from the default branch or another", async () => {
    const service = world.serve();
    expect(await service.create(by(request), silent, never)).toBe("hello-topic-new");
    expect(await recordOf("hello-topic-new")).toMatchObject({ branch: "topic/new", fromBranch: "main" });
    await service.create(by({ ...request, branch: "other", from: "feature/x" }), silent, never);
    const other = await recordOf("hello-other");
    expect(other?.fromBranch).toBe("feature/x");
    expect(world.runtime.environments.get(other!.id)?.spec?.source).toMatchObject({
      branch: "other",
      fromBranch: "feature/x",
    });
    // And then its login leads there, although no origin has the branch.
    expect((await enter(service, { person: "ada", login: "hello+topic-new" })).branch).toBe("topic/new");
  });

  test("makes an environment of a branch that exists, and returns the one that is there", async () => {
    const service = world.serve();
    expect(await service.create(by({ ...request, branch: "main" }), silent, never)).toBe("hello-main");
    expect(await service.create(by({ ...request, branch: "main" }), silent, never)).toBe("hello-main");
    expect((await recordOf("hello-main"))?.fromBranch).toBeUndefined();
    expect(world.runtime.environments.size).toBe(1);
  });

  test.each([
    [
      "a repository of others",
      { person: "bob", repository: "tools" },
      "login.unknown",
      "there is no repository of yours called",
    ],
    ["a bad name", { branch: "a..b" }, "usage.wrong", '"a..b" is no name for a branch'],
    ["an option for a name", { branch: "--force" }, "usage.wrong", "is no name for a branch"],
    ["an unknown start", { from: "mian" }, "login.unknown", 'there is no branch of hello called "mian"; nearest: main'],
    [
      "a start for a branch that exists",
      { branch: "main", from: "main" },
      "usage.wrong",
      "hello has a branch main already",
    ],
  ])("refuses %s", async (_, changes, code, told) => {
    const refusal: unknown = await world
      .serve()
      .create(by({ ...request, ...changes }), silent, never)
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code });
    expect((refusal as { told: string }).told).toContain(told);
    expect(await world.store.environments.list()).toEqual([]);
  });
});

// Law: removed "from a repository … refused". Whoever had made an environment of a private repository went on reading what its
// service printed, and had it moved.
test("what tells of a repository, or goes on with it, asks the right to it; removing and listing do not", async () => {
  const service = world.serve();
  await enter(service);
  const own = { ...main, who: { person: "ada", key: "" } };
  await service.readLog(own);
  world.grants.set("ada", []);
  const refusal = { code: "grant.absent", told: "no grant for hello" };
  await expect(service.readLog(own)).rejects.toMatchObject(refusal);
  await expect(service.sleep(own, { by: "ada" })).rejects.toMatchObject(refusal);
  const move = { to: "north", by: "ada", force: false, report: () => undefined };
  await expect(service.migrate(own, move, never)).rejects.toMatchObject(refusal);
  // An administrator asks for somebody else.
  await service.readLog(main);
  expect(await service.list("ada")).toHaveLength(1);
  await service.remove(own, { force: true, by: "ada" });
  expect(await service.list("ada")).toEqual([]);
});

describe("sleep()", () => {
  test("ends what runs, cuts the sessions with a sentence, and the next who enters wakes it", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    const reasons: string[] = [];
    service.onGone(id, (reason) => reasons.push(reason));
    await service.sleep({ person: "ada", login: "HELLO+main" }, { by: "eve" });
    expect(reasons).toEqual(["hello-main was put to sleep by eve"]);
    expect(world.runtime.environments.get(id)).toMatchObject({ power: "sleeping", checkedOut: true });
    expect(await recordOf("hello-main")).toMatchObject({ id, power: "sleeping", operation: undefined });
    await service.sleep(main, { by: "ada" });
    expect((await enter(service)).id).toBe(id);
    expect(await recordOf("hello-main")).toMatchObject({ power: "running" });
  });

  test("refuses what is not the person's", async () => {
    const service = world.serve();
    await enter(service);
    const refusal = service.sleep({ person: "bob", login: "hello-main" }, { by: "bob" });
    await expect(refusal).rejects.toMatchObject({ code: "environment.absent" });
    expect(world.runtime.countOf("sleep")).toBe(0);
  });
});

describe("remove()", () => {
  const plainly = { force: false, by: "ada" };

  test("cuts the sessions with a sentence, destroys everything, and only then deletes the record", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    const reasons: string[] = [];
    service.onGone(id, (reason) => reasons.push(reason));
    service.onGone(id, (reason) => reasons.push(reason))();
    let there: unknown;
    world.runtime.after("destroy", async () => {
      there = await world.store.environments.find(id);
    });
    await service.remove(main, plainly);
    expect(reasons).toEqual(["hello-main was removed by ada"]);
    expect(there).toMatchObject({ desired: "absent", operation: "destroying" });
    expect(world.runtime.environments.size).toBe(0);
    expect(await world.store.environments.list()).toEqual([]);
    expect(world.audited.at(-1)).toEqual({
      type: "environment.destroyed",
      environment: id,
      person: "ada",
      by: "ada",
      forced: false,
    });
    expect((await enter(service)).id).not.toBe(id);
  });

  test("refuses while work is not pushed and lists it, unless told to give it up", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    world.runtime.environments.get(id)!.unsaved = {
      changedPaths: ["src/a.ts", "evil\u001b[2Jname"],
      changedCount: 22,
      commits: ["main: fix it"],
      commitCount: 1,
    };
    await expect(service.remove(main, plainly)).rejects.toMatchObject({
      code: "environment.unsaved",
      told: [
        "hello-main has work that is not pushed:",
        "  changed src/a.ts",
        "  changed evil?[2Jname",
        "  … and 20 more",
        "  commit  main: fix it",
        "nothing was removed; push it, or give it up with: rm hello-main --force (home and ignored files go too)",
      ].join("\n"),
    });
    expect(await recordOf("hello-main")).toMatchObject({ power: "running", desired: "present", operation: undefined });
    expect((await enter(service)).id).toBe(id);
    await service.remove(main, { ...plainly, force: true });
    expect(world.runtime.environments.size).toBe(0);
  });

  test("refuses when work appears after the first look, and the environment can be entered again", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    world.runtime.after("sleep", () => {
      world.runtime.environments.get(id)!.unsaved = { ...NOTHING_UNSAVED, changedPaths: ["late"], changedCount: 1 };
    });
    await expect(service.remove(main, plainly)).rejects.toMatchObject({ code: "environment.unsaved" });
    expect(await recordOf("hello-main")).toMatchObject({ id, power: "sleeping", desired: "present" });
    expect((await enter(service)).id).toBe(id);
  });

  test("refuses while something could not be looked at, and says what", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    world.runtime.environments.get(id)!.unsaved = { ...NOTHING_UNSAVED, doubts: ["its checkout is none"] };
    const refusal = service.remove(main, plainly);
    await expect(refusal).rejects.toMatchObject({ code: "environment.unsaved" });
    await expect(refusal).rejects.toHaveProperty(
      "told",
      expect.stringMatching(/^hello-main may have work that is not pushed:\n  unclear its checkout is none\n/),
    );
    expect(world.runtime.countOf("sleep")).toBe(0);
  });

  test("looks again asleep when it cannot look awake, and fails only when that fails too", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    const reasons: string[] = [];
    service.onGone(id, (reason) => reasons.push(reason));
    const fail = () => {
      throw new Error("Cannot fork");
    };
    world.runtime.before("unsaved", fail);
    await expect(service.remove(main, plainly)).rejects.toThrow("Cannot fork");
    expect(reasons).toEqual(["hello-main was put to sleep to look for work that is not pushed"]);
    expect(await recordOf("hello-main")).toMatchObject({ power: "sleeping", desired: "present", operation: undefined });
    await enter(service);
    world.runtime.before("unsaved", (at) => {
      if (world.runtime.environments.get(at)?.power === "running") fail();
    });
    await service.remove(main, plainly);
    expect(world.runtime.environments.size).toBe(0);
  });

  test("ends a start that is under way, whose waiters are told why", async () => {
    define({ onCreateCommand: "for ever" });
    world.runtime.onCommand = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    const service = world.serve();
    const waiting = expect(enter(service)).rejects.toMatchObject({ told: "hello-main was removed by ada" });
    while (shellLines().length === 0) await new Promise((resolve) => setImmediate(resolve));
    await service.remove(main, { ...plainly, force: true });
    await waiting;
    expect(world.runtime.environments.size).toBe(0);
    expect(await world.store.environments.list()).toEqual([]);
  });

  test("makes whoever enters meanwhile wait, and gives them a new one", async () => {
    const service = world.serve();
    const { id } = await enter(service);
    const gate = Promise.withResolvers<undefined>();
    world.runtime.before("destroy", () => gate.promise);
    const removing = service.remove(main, plainly);
    while (world.runtime.countOf("destroy") === 0) await new Promise((resolve) => setImmediate(resolve));
    const entering = enter(service);
    gate.resolve(undefined);
    await removing;
    expect((await entering).id).not.toBe(id);
    expect(world.runtime.environments.size).toBe(1);
  });

  test("is done once for two who ask at the same time", async () => {
    const service = world.serve();
    await enter(service);
    await Promise.all([service.remove(main, plainly), service.remove(main, plainly)]);
    expect(world.runtime.countOf("destroy")).toBe(1);
    await expect(service.remove(main, plainly)).rejects.toMatchObject({
      code: "environment.absent",
      told: "there is no environment hello-main",
    });
  });

  test("takes every spelling of a login, a branch deleted at the origin, and a grant that is gone", async () => {
    const service = world.serve();
    await enter(service, { person: "ada", login: "hello-feature-x" });
    world.origins.set("hello", []);
    world.grants.set("ada", []);
    await service.remove({ person: "ada", login: "HELLO+feature-x" }, plainly);
    expect(await world.store.environments.list()).toEqual([]);
  });

  test("names the nearest login when there is none like it", async () => {
    const service = world.serve();
    await enter(service);
    await expect(service.readLog({ person: "ada", login: "hello-mian" })).rejects.toMatchObject({
      code: "environment.absent",
      told: "there is no environment hello-mian; nearest: hello-main",
    });
    await expect(service.readLog({ person: "bob", login: "hello-main" })).rejects.toMatchObject({
      told: "there is no environment hello-main",
    });
  });
});

describe("adopt()", () => {
  test("takes up what runs without touching it", async () => {
    const { id } = await enter(world.serve());
    const next = world.serve();
    await next.adopt();
    expect((await enter(next)).id).toBe(id);
    expect(world.runtime.countOf("create")).toBe(1);
    expect(world.runtime.countOf("start")).toBe(1);
  });

  test("says of what a reboot ended that it sleeps, and wakes it when somebody comes", async () => {
    const { id } = await enter(world.serve());
    world.runtime.environments.get(id)!.power = "sleeping";
    const next = world.serve();
    await next.adopt();
    expect(await recordOf("hello-main")).toMatchObject({ power: "sleeping", operation: undefined });
    const lines: string[] = [];
    expect((await enter(next, main, (line) => lines.push(line))).id).toBe(id);
    expect(lines).toEqual(["slipway: starting … 7 ms"]);
  });

  test("makes anew what has lost its files", async () => {
    const { id } = await enter(world.serve());
    world.runtime.environments.delete(id);
    const next = world.serve();
    await next.adopt();
    expect((await enter(next)).id).toBe(id);
    expect(world.runtime.countOf("create")).toBe(2);
  });

  test("destroys what nobody recorded if it holds no work, and keeps the rest", async () => {
    await enter(world.serve());
    const blank = { power: "sleeping" as const, checkedOut: true, diskBytes: 0, unsaved: NOTHING_UNSAVED, log: "" };
    world.runtime.environments.set("clean", { ...blank });
    world.runtime.environments.set("half", { ...blank, checkedOut: false });
    world.runtime.environments.set("dirty", {
      ...blank,
      unsaved: { ...NOTHING_UNSAVED, commitCount: 1, commits: ["x"] },
    });
    await world.serve().adopt();
    expect([...world.runtime.environments.keys()].slice(1)).toEqual(["dirty"]);
  });

  test("destroys nothing when the database is empty: it may have been lost", async () => {
    const blank = { power: "sleeping" as const, checkedOut: true, diskBytes: 0, unsaved: NOTHING_UNSAVED, log: "" };
    world.runtime.environments.set("clean", { ...blank });
    await world.serve().adopt();
    expect(world.runtime.environments.size).toBe(1);
  });

  const points: [RuntimeMethod, "before" | "after"][] = (
    ["create", "readSource", "start", "run", "sleep", "destroy"] as const
  ).flatMap((method) => [
    [method, "before"],
    [method, "after"],
  ]);
  test.each(points)("reaches the same state after a kill at %s, %s its effect", async (method, when) => {
    define({ onCreateCommand: "one", postStartCommand: "two", waitFor: "postStartCommand" });
    const killed = world.serve();
    const isRemoval = method === "sleep" || method === "destroy";
    if (isRemoval) await enter(killed);
    const reached = Promise.withResolvers<undefined>();
    world.runtime[when](method, () => {
      reached.resolve(undefined);
      return hang();
    });
    void (isRemoval ? killed.remove(main, { force: false, by: "ada" }) : enter(killed)).catch(silent);
    await reached.promise;
    world.runtime.heal();
    const next = world.serve();
    await next.adopt();
    const { id } = await enter(next);
    expect([...world.runtime.environments.keys()]).toEqual([id]);
    expect(await world.store.environments.list()).toMatchObject([{ id, power: "running", operation: undefined }]);
    expect(world.runtime.environments.get(id)).toMatchObject({ power: "running", checkedOut: true });
    expect(
      (await world.store.environments.find(id))?.conditions.map(({ type, status }) => `${type} ${status}`).sort(),
    ).toEqual(["CheckedOut true", "onCreateCommand true", "postStartCommand true"]);
  });

  const kills = Array.from({ length: 12 }, (_, index) => index + 1).flatMap((write) => [
    [write, "before"] as const,
    [write, "after"] as const,
  ]);
  test.each(kills)("reaches the same state after a kill at write %i to the store, %s it", async (write, when) => {
    define({ onCreateCommand: "one" });
    const { store, killed: atWrite } = world.storeKilledAt(write, when);
    const killed = world.serve({ store });
    const work = enter(killed).then(() => killed.remove(main, { force: false, by: "ada" }));
    work.catch(silent); // what is closed after the test
    // Not after a time: one that has not come to its write by then works on beside the next.
    await Promise.race([atWrite, work]);
    const next = world.serve();
    await next.adopt();
    const { id } = await enter(next);
    expect([...world.runtime.environments.keys()]).toEqual([id]);
    expect(await world.store.environments.list()).toMatchObject([{ id, power: "running", operation: undefined }]);
  });
});

describe("the watch", () => {
  /** Lets the watch look once: it waits for its clock, which stands still. */
  const makeWatched = async () => {
    const clock = new HandClock(Date.now());
    const service = world.serve({ clock });
    await service.adopt();
    return { service, look: () => clock.advance(30_000) };
  };

  test("notices within 30 s that an environment died, and the next who comes wakes it", async () => {
    const { service, look } = await makeWatched();
    const { id } = await enter(service);
    world.runtime.environments.get(id)!.power = "sleeping";
    await look();
    expect(await recordOf("hello-main")).toMatchObject({ power: "sleeping" });
    await enter(service);
    expect(await recordOf("hello-main")).toMatchObject({ power: "running" });
    await service.close();
  });

  test("measures the disk, and its person is told at each connection once it is too much", async () => {
    const { service, look } = await makeWatched();
    const { id } = await enter(service);
    world.runtime.environments.get(id)!.diskBytes = 2 ** 30;
    await look();
    expect(await service.list("ada")).toMatchObject([{ diskBytes: 2 ** 30 }]);
    const lines: string[] = [];
    await enter(service, main, (line) => lines.push(line));
    expect(lines).toEqual(["slipway: this environment occupies 1.0 GiB of disk, more than the 0.0 GiB it should"]);
    await service.close();
  });

  test("tries again to destroy what could not be destroyed", async () => {
    const { service, look } = await makeWatched();
    await enter(service);
    world.runtime.before("destroy", () => {
      throw new Error("Cannot destroy: busy");
    });
    await expect(service.remove(main, { force: false, by: "ada" })).rejects.toThrow("busy");
    const fence = async () => (await world.store.environments.list()).map((record) => record.fence);
    const before = await fence();
    await look();
    // By its number another service is told from this one: it grew with each try, past what that one had written.
    expect(await fence()).toEqual(before);
    expect(world.runtime.environments.size).toBe(1);
    expect(await service.list("ada")).toMatchObject([{ phase: "expiring" }]);
    world.runtime.heal();
    await look();
    expect(world.runtime.environments.size).toBe(0);
    expect(await service.list("ada")).toEqual([]);
    await service.close();
  });

  test("leaves alone what is being brought up, however long that takes", async () => {
    const { service, look } = await makeWatched();
    const gate = Promise.withResolvers<undefined>();
    world.runtime.before("create", () => gate.promise);
    const entering = enter(service);
    while (world.runtime.countOf("create") === 0) await new Promise((resolve) => setImmediate(resolve));
    await look();
    gate.resolve(undefined);
    const { id } = await entering;
    await look();
    expect([...world.runtime.environments.keys()]).toEqual([id]);
    expect(world.runtime.countOf("destroy")).toBe(0);
    await service.close();
  });
});

describe("close()", () => {
  test("stops what is under way, refuses who comes, and the next service goes on", async () => {
    define({ onCreateCommand: "for ever" });
    world.runtime.onCommand = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    const service = world.serve();
    const waiting = expect(enter(service)).rejects.toMatchObject({ code: "shutdown.begun" });
    while (shellLines().length === 0) await new Promise((resolve) => setImmediate(resolve));
    await service.close();
    await waiting;
    await expect(enter(service)).rejects.toMatchObject({ code: "shutdown.begun" });
    world.runtime.onCommand = () => 0;
    const next = world.serve();
    await next.adopt();
    await enter(next);
    expect(shellLines()).toEqual(["for ever", "for ever"]);
  });

  // A namespace that does not go kept a service from stopping for as long as it was given, and it was killed then.
  test("waits ten seconds for what does not end", async () => {
    const clock = new HandClock(Date.now());
    const service = world.serve({ clock });
    await enter(service);
    world.runtime.before("sleep", hang);
    void service.sleep({ person: "ada", login: "hello-main" }, { by: "ada" });
    await vi.waitUntil(() => world.runtime.countOf("sleep") === 1, SOON);
    let hasClosed = false;
    const closing = service.close().then(() => {
      hasClosed = true;
    });
    await clock.advance(9_999);
    expect(hasClosed).toBe(false);
    await clock.advance(1);
    await closing;
  });
});
