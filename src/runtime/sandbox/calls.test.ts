/** Calls from inside: first the socket by itself, then real environments with git in them. */
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { whyNoService } from "../../../test/harness/needs.ts";
import { run } from "../../../test/harness/program.ts";
import { openTestSandbox, type TestSandbox } from "../../../test/harness/sandbox.ts";
import { until } from "../../../test/harness/wait.ts";
import { makeLog } from "../../base/log.ts";
import { type Calls, makeCalls } from "./calls.ts";
import { makePlace, type Place } from "./layout.ts";

describe("the socket", () => {
  const identity = { mode: "user", uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 } as const;
  const spec = { uid: 0 };
  let folder: string;
  let place: Place;
  let clock: HandClock;
  let calls: Calls;
  const clients: Socket[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "slipway-calls-"));
    place = placeIn(folder);
    clock = new HandClock();
    calls = makeCalls({ clock, log: makeLog("silent"), machine: { identity } });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await calls.close(place.id);
    rmSync(folder, { recursive: true });
  });

  function placeIn(stateDir: string): Place {
    const made = makePlace(stateDir, "abcd");
    mkdirSync(made.inside, { recursive: true });
    return made;
  }

  async function call(): Promise<Socket> {
    const client = connect(join(place.inside, "calls.sock"));
    clients.push(client);
    client.on("error", () => undefined);
    await once(client, "connect");
    return client;
  }

  test("listen() takes calls in the stead of a service that was killed, and leaves nothing when closed", async () => {
    const stale = createServer().listen(join(place.inside, "calls.sock"));
    await once(stale, "listening");
    const listening = await calls.listen({ place, spec }, (stream) => void stream.end("new"));
    expect(String(await (await call()).toArray())).toBe("new");
    expect(statSync(join(place.inside, "calls.sock")).mode & 0o777).toBe(0o600);
    await listening.close();
    await listening.close();
    expect(readdirSync(place.inside)).toEqual([]);
    stale.close();
  });

  test("listen() replaces an earlier listener, whose end is then nobody's", async () => {
    const first = await calls.listen({ place, spec }, (stream) => void stream.end("first"));
    await calls.listen({ place, spec }, (stream) => void stream.end("second"));
    await first.close();
    expect(String(await (await call()).toArray())).toBe("second");
  });

  test("listen() takes calls in a state folder whose path is longer than that of a socket can be", async () => {
    const deep = placeIn(join(folder, "d".repeat(100), "e".repeat(100)));
    await calls.listen({ place: deep, spec }, (stream) => void stream.end("deep"));
    const script = `require("net").connect("calls.sock").pipe(process.stdout)`;
    const client = await run(["sh", "-c", `cd "$1" && exec node -e '${script}'`, "sh", deep.inside]);
    expect(client.stdout).toBe("deep");
    await calls.close(deep.id);
  });

  test("listen() hangs up on the ninth at once, and on each after 10 s", async () => {
    const taken: Duplex[] = [];
    await calls.listen({ place, spec }, (stream) => void taken.push(stream));
    const first = await Promise.all(Array.from({ length: 8 }, () => call()));
    await until("eight calls", () => taken.length === 8);
    const ninth = await call();
    await once(ninth.resume(), "close");
    expect(taken).toHaveLength(8);
    await clock.advance(9_999);
    expect(first.every(({ destroyed }) => !destroyed)).toBe(true);
    const ended = Promise.all(first.map((client) => once(client.resume(), "close")));
    await clock.advance(1);
    await ended;
    await until("the calls to be forgotten", () => clock.pendingCount === 0);
    await call();
    await until("another call", () => taken.length === 9);
  });

  test("close() hangs up on who calls just then", async () => {
    await calls.listen({ place, spec }, () => undefined);
    const client = await call();
    const closed = once(client.resume(), "close");
    await calls.close(place.id);
    await closed;
    expect(existsSync(join(place.inside, "calls.sock"))).toBe(false);
  });
});

const why = whyNoService();

describe("git inside", () => {
  const ASK = "GIT_TERMINAL_PROMPT=0 git credential fill";
  let sandbox: TestSandbox;

  beforeEach(async (ctx) => {
    if (why !== undefined) ctx.skip(why);
    sandbox = await openTestSandbox({ tools: { node: process.execPath } });
  });
  afterEach(async () => {
    if (why === undefined) await sandbox[Symbol.asyncDispose]();
  });

  async function upWithHelper(): Promise<string> {
    const spec = sandbox.makeSpec();
    await sandbox.up({ ...spec, source: { ...spec.source, credentialHost: "forge.example" } });
    return spec.id;
  }

  /** Answers every call of an environment with its own password; keeps what was asked. */
  async function answer(id: string, password: string): Promise<string[]> {
    const asked: string[] = [];
    await sandbox.runtime.listen(id, (stream) => {
      let question = "";
      stream.on("data", (chunk: unknown) => (question += String(chunk)));
      stream.once("end", () => {
        asked.push(question);
        stream.end(`username=app\npassword=${password}\npassword_expiry_utc=4000000000\ntold=slipway: well\n`);
      });
    });
    return asked;
  }

  const ask = (id: string, url: string) => sandbox.ssh(id, [`echo url=${url} | ${ASK}`]);

  test("gets the credential of its own environment, for the one host and with the path of the repository", async () => {
    const [ada, bob] = [await upWithHelper(), await upWithHelper()];
    const asked = await answer(ada, "of-ada");
    await answer(bob, "of-bob");
    const got = await ask(ada, "https://forge.example/acme/hello.git");
    expect(got).toMatchObject({ exitCode: 0, stderr: "slipway: well\n" });
    expect(got.stdout).toContain("username=app\npassword=of-ada\n");
    expect(asked[0]).toMatch(/^git-credential\n/);
    expect(asked[0]).toContain("protocol=https\nhost=forge.example\npath=acme/hello.git\n");
    expect((await ask(bob, "https://forge.example/acme/hello.git")).stdout).toContain("password=of-bob\n");
    expect(asked).toHaveLength(1);
    for (const url of ["https://other.example/acme/hello.git", "http://forge.example/acme/hello.git"]) {
      const refused = await ask(ada, url);
      expect([refused.exitCode, refused.stdout]).toEqual([128, ""]);
      expect(refused.stderr).toContain("could not read Username");
    }
    expect(asked).toHaveLength(1);
  });

  test("does without an answer, at once and quietly, when nobody takes the call", async () => {
    const id = await upWithHelper();
    const listening = await sandbox.runtime.listen(id, () => undefined);
    await listening.close();
    const begun = performance.now();
    const { exitCode, stdout, stderr } = await ask(id, "https://forge.example/acme/hello.git");
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect([exitCode, stdout]).toEqual([128, ""]);
    expect(stderr).toMatch(/^fatal: could not read Username for '[^']*': terminal prompts disabled\n$/);
  });

  test("stores nothing with the helper, which takes no notice of it", async () => {
    const id = await upWithHelper();
    const asked = await answer(id, "x");
    const words = ["protocol=https", "host=forge.example", "path=acme/hello.git", "username=a", "password=b"];
    const store = `printf '%s\\n' ${words.join(" ")} | git credential approve`;
    expect(await sandbox.ssh(id, [store])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(asked).toEqual([]);
  });

  test("finds one socket in the environment, of its user alone, whom nobody else on the machine can reach", async () => {
    const [ada, bob] = [await upWithHelper(), await upWithHelper()];
    await answer(ada, "of-ada");
    await answer(bob, "of-bob");
    const found = await sandbox.ssh(ada, [
      "find / -xdev -type s -name calls.sock 2>/dev/null; find /opt -type s; stat -c '%a %U' /opt/slipway/calls.sock",
    ]);
    expect(found.stdout).toBe("/opt/slipway/calls.sock\n600 dev\n");
    const socket = join(sandbox.stateDir, "environments", ada, "inside/calls.sock");
    chmodSync(sandbox.stateDir, 0o755);
    const script = `require("net").connect(process.argv[1]).on("error", (error) => console.log(error.code)).on("connect", () => console.log("connected"))`;
    const stranger = await run([
      "setpriv",
      "--reuid",
      "65533",
      "--regid",
      "65533",
      "--clear-groups",
      "node",
      "-e",
      script,
      socket,
    ]);
    expect(stranger.stdout).toBe("EACCES\n");
  });

  test("is answered by the next service in environments that go on", async () => {
    const id = await upWithHelper();
    await answer(id, "old");
    await sandbox.reopen();
    await answer(id, "new");
    expect((await ask(id, "https://forge.example/acme/hello.git")).stdout).toContain("password=new\n");
    await sandbox.runtime.sleep(id);
    expect(existsSync(join(sandbox.stateDir, "environments", id, "inside/calls.sock"))).toBe(false);
  });
});
