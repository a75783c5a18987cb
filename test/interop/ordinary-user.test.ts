/**
 * A whole service that is not root, and stock clients that use what it makes; and `npm start` as such a user.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../harness/free-port.ts";
import { clearLeftovers } from "../harness/leftovers.ts";
import { whyNoOrdinaryService, whyNoService } from "../harness/needs.ts";
import { openOrdinaryUser, type Account, type OrdinaryUser } from "../harness/ordinary-user.ts";
import { run, type Ended } from "../harness/program.ts";
import { openTestService, type TestService } from "../harness/service.ts";
import { sshOnTerminal } from "../harness/terminal.ts";
import { until } from "../harness/wait.ts";

const lacks = whyNoOrdinaryService();
const MAIN = "hello-main@slipway";

describe("slip serve", () => {
  let user: OrdinaryUser;
  let service: TestService;

  beforeAll(async () => {
    if (lacks !== undefined) return;
    user = openOrdinaryUser();
    service = await openTestService({ user });
  });

  afterAll(async () => {
    if (lacks !== undefined) return;
    try {
      await service[Symbol.asyncDispose](); // throws when a process of the user's is left
    } finally {
      user[Symbol.dispose]();
    }
  });

  beforeEach((ctx) => {
    if (lacks !== undefined) ctx.skip(lacks);
  });

  test("a shell on a terminal is the user's own number and nobody else, with every size and the exit code told", async () => {
    const terminal = sshOnTerminal(service.as("ada"), [MAIN]);
    await terminal.untilOutput(/\$ $/);
    terminal.type("PS1='PRO''MPT '; tty; id -u; id -un; pwd; stty size\r");
    await terminal.untilOutput(
      new RegExp(String.raw`/dev/pts/\d+\r\n${user.uid}\r\ndev\r\n/workspace/hello\r\n24 80\r\n`),
    );
    terminal.resize(30, 100);
    terminal.type("stty size; echo $(cat /proc/self/uid_map)\r");
    await terminal.untilOutput(new RegExp(String.raw`30 100\r\n${user.uid} \d+ 1\r\n`));
    terminal.type("sh -c 'echo sleep''ing; exec sleep 100'\r");
    await terminal.untilOutput(/sleeping/);
    terminal.type("\x03");
    terminal.type("exit 9\r");
    expect((await terminal.ended).exitCode).toBe(9);
  });

  test("exit codes, signals, both output streams and input pass", async () => {
    const { ssh } = service.as("ada");
    for (const code of [0, 1, 126, 255]) {
      expect((await ssh([MAIN, `exit ${code}`])).exitCode).toBe(code);
    }
    expect((await ssh([MAIN, "kill -KILL $$"])).exitCode).toBe(255); // ssh has no other number for a signal
    const both = await ssh([MAIN, "cat; echo aside >&2"], { input: "through\n" });
    expect(both).toMatchObject({ exitCode: 0, stdout: "through\n", stderr: "aside\n" });
  });

  test("SFTP writes files that belong to the user inside and out", async () => {
    const ada = service.as("ada");
    const local = join(ada.folder, "up");
    writeFileSync(local, "by sftp\n");
    expect(
      await ada.sftp("hello-main", [`put ${local} put.txt`, "chmod 640 put.txt", "rename put.txt kept.txt"]),
    ).toMatchObject({
      exitCode: 0,
    });
    const { stdout } = await ada.ssh([MAIN, "stat -c '%a %u' kept.txt; cat kept.txt"]);
    expect(stdout).toBe(`640 ${user.uid}\nby sftp\n`);
    const down = join(ada.folder, "down");
    expect(await ada.sftp("hello-main", [`get kept.txt ${down}`])).toMatchObject({ exitCode: 0 });
    expect(readFileSync(down, "utf8")).toBe("by sftp\n");
  });

  test("ssh -L reaches the service command inside, and a port of the machine cannot be reached from there", async () => {
    const ada = service.as("ada");
    const port = await freePort();
    const forward = ada.startSsh([
      "-N",
      "-v",
      "-o",
      "ExitOnForwardFailure=yes",
      "-L",
      `127.0.0.1:${port}:localhost:3000`,
      MAIN,
    ]);
    await forward.untilError(/Entering interactive session/);
    expect(await until("the page", () => readPage(port).catch(() => undefined))).toContain("Hello");
    forward.kill();
    await forward.ended;
    const { stdout } = await ada.ssh([MAIN, `(exec 3<>/dev/tcp/127.0.0.1/${service.port}) 2>/dev/null || echo apart`]);
    expect(stdout).toBe("apart\n");
  });

  test("a second connection shares the environment, another person's is another, and neither sees the other", async () => {
    const [ada, bob] = [service.as("ada"), service.as("bob")];
    const first = ada.startSsh([MAIN, "echo up; exec -a of-ada cat"]);
    await first.untilOutput(/up/);
    const look = "pgrep -f ^of-ada >/dev/null && echo sees; cat /tmp/mark 2>/dev/null; true";
    await ada.ssh([MAIN, "echo mark >/tmp/mark"]);
    expect((await ada.ssh([MAIN, look])).stdout).toBe("sees\nmark\n");
    expect((await bob.ssh([MAIN, look])).stdout).toBe("");
    first.stdin.end();
    expect((await first.ended).exitCode).toBe(0);
  });

  test("what nohup started outlives its connection, what is in the foreground does not", async () => {
    const { ssh, startSsh } = service.as("ada");
    await ssh([MAIN, "nohup bash -c 'exec -a stays sleep 1000' >/dev/null 2>&1 </dev/null &"]);
    const running = startSsh([MAIN, "echo up; bash -c 'exec -a goes sleep 1000'; echo over"]);
    await running.untilOutput(/up/);
    const count = async (name: string): Promise<string> =>
      (await ssh([MAIN, `pgrep -cf '^${name}'; true`])).stdout.trim();
    await until("both", async () => (await count("(stays|goes)")) === "2");
    running.kill("SIGKILL");
    await running.ended;
    await until("the end of one", async () => (await count("goes")) === "0");
    expect(await count("stays")).toBe("1");
  });

  test("environments outlive a service that is killed, and the next one has them", async () => {
    const { ssh } = service.as("ada");
    await ssh([MAIN, "nohup bash -c 'exec -a survivor sleep 1000' >/dev/null 2>&1 </dev/null &"]);
    await service.kill9();
    await service.restart();
    expect((await ssh([MAIN, "pgrep -cf ^survivor"])).stdout).toBe("1\n");
  });

  test("rm refuses while there is work that was not pushed, and leaves nothing with --force", async () => {
    const { ssh, lobby } = service.as("ada");
    await ssh([MAIN, "echo work >unsaved.txt; mkdir -p closed/in; touch closed/in/file; chmod 0 closed"]);
    const refused = await lobby("rm", "hello-main");
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("unsaved.txt")]);
    expect(await lobby("rm", "hello-main", "--force")).toMatchObject({ exitCode: 0, stdout: "removed hello-main\n" });
    expect((await lobby("ls")).stdout).not.toContain("hello-main");
    expect((await ssh([MAIN, "ls"])).stdout).not.toContain("unsaved.txt");
  });
});

describe("npm start", () => {
  test.for([
    { account: "whole", lack: /^(?!.*layer)/s },
    { account: "mounted", lack: /no layer of their own .*: \/etc\/group is mounted below them/ },
  ] as const)(
    "shows that all works as an ordinary user, account $account, and what is lacking",
    async ({ account, lack }, ctx) => {
      // A bug of ours: with /etc/passwd mounted, as in containers, no environment of an ordinary user could be made, since
      // its kernel refuses a bind that would show what is beneath a mount.
      const why = account === "whole" ? lacks : whyNoService();
      if (why !== undefined) ctx.skip(why);
      const first = await startOnce(account);
      expect(first).toMatchObject({ exitCode: 0, stderr: "" });
      expect(first.stdout.match(/^ {2}ok /gm)).toHaveLength(6);
      expect(first.stdout).toContain("note: no network beyond its own loopback: an ordinary user cannot make it");
      expect(first.stdout).toMatch(lack);
    },
  );

  test("says that ssh needs an account where there is none", async (ctx) => {
    const why = whyNoService();
    if (why !== undefined) ctx.skip(why);
    const { exitCode, stdout, stderr } = await startOnce("none");
    expect([exitCode, stdout]).toEqual([71, ""]);
    expect(stderr).toMatch(/user number \d+ has no account on this machine, which ssh and ssh-keygen need/);
  });
});

const START = join(import.meta.dirname, "../../src/cmd/start.ts");

/** Runs the tour of `npm start` on a state folder in their home. */
async function startOnce(account: Account): Promise<Ended> {
  using user = openOrdinaryUser(account);
  const state = join(user.home, "state");
  const env = { HOME: user.home, SLIPWAY_HOME: state };
  try {
    return await run([...user.words, process.execPath, START, "--once"], { env, timeoutMs: 60_000 });
  } finally {
    await clearLeftovers({ folder: user.folder, ...user.uids, environments: [] });
  }
}

async function readPage(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get({ port, host: "127.0.0.1" }, (answer) => {
    void answer
      .setEncoding("utf8")
      .toArray()
      .then((chunks) => resolve(chunks.join("")), reject);
  }).on("error", reject);
  return promise;
}
