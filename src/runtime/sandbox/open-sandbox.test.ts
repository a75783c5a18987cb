import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { mustRun, run } from "../../../test/harness/program.ts";
import { NEVER, openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";
import { until } from "../../../test/harness/wait.ts";
import type { Command, EnvironmentSpec } from "../runtime.ts";

const why = whyNoService();

let sandbox: TestSandbox;
/** An environment that is up, and that no test changes for others. */
let shared: EnvironmentSpec;

beforeAll(async () => {
  if (why !== undefined) return;
  sandbox = await openTestSandbox();
  shared = sandbox.makeSpec({ limits: { memoryBytes: 512 * 1024 * 1024, processCount: 200, cpuCount: 1 } });
  await sandbox.up(shared, { containerEnv: { GREETING: `it's "so" $HOME \\ #1` } });
});

afterAll(async () => {
  if (why === undefined) await sandbox[Symbol.asyncDispose]();
});

beforeEach((ctx) => {
  if (why !== undefined) ctx.skip(why);
});

/** Runs a shell line inside and returns what it said, which has to be no complaint. */
async function say(id: string, line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await sandbox.ssh(id, [line]);
  expect([line, exitCode, stderr]).toEqual([line, 0, ""]);
  return stdout.trimEnd();
}

const hostPaths = (id: string) => join(sandbox.stateDir, "environments", id);

test("connect() reaches a shell in the workspace folder, as the environment's user, with a home elsewhere", async () => {
  const said = await say(shared.id, "pwd; id -u; id -un; id -Gn; hostname; echo $HOME $SHELL $0; cd ~; pwd; umask");
  expect(said.split("\n")).toEqual([
    ...["/workspace/hello", String(shared.uid), "dev", "dev", "hello-main", "/home/dev /bin/bash /bin/bash"],
    ...["/home/dev", "0022"],
  ]);
});

test("connect() gives a login shell with a terminal of its own when none is named a command", async () => {
  const ssh = await sandbox.startSsh(shared.id, [], ["-tt"]);
  await ssh.untilOutput(/\$ $/);
  ssh.stdin.write("shopt login_shell; pwd; tty; echo PATH=$PATH; stty size; exit 7\n");
  const { exitCode, stdout } = await ssh.ended;
  expect(exitCode).toBe(7);
  expect(stdout).toMatch(/login_shell\s+on\r\n\/workspace\/hello\r\n\/dev\/pts\/\d+\r\n/);
  expect(stdout).toMatch(/PATH=\/usr\/local\/bin:\/usr\/bin:\/bin:.*:\/opt\/slipway\/bin\r\n/);
});

test("connect() carries the variables of definition and session byte for byte, the session's first", async () => {
  const env = { SESSION: `two  words 'x' "y" \\ $A`, GIT_AUTHOR_NAME: "Ünï" };
  const options = await sandbox.sshOptionsFor(shared.id, env);
  const { stdout } = await run(["ssh", ...options, "inside", "env"]);
  const lines = stdout.split("\n");
  expect(lines).toContain(`GREETING=it's "so" $HOME \\ #1`);
  for (const [name, value] of Object.entries(env)) expect(lines).toContain(`${name}=${value}`);
  expect(lines.filter((line) => /SLIPWAY_PASSED|NODE_|npm_/.test(line))).toEqual([]);
  await sandbox.sshOptionsFor(shared.id, {});
});

test("connect() lets no key in but the gateway's, and proves the host key it told", async () => {
  const other = join(sandbox.folder, "other");
  await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other]);
  const options = (await sandbox.sshOptionsFor(shared.id)).map((word) => (word.endsWith("/id") ? other : word));
  const refused = await run(["ssh", ...options, "inside", "true"]);
  expect([refused.exitCode, refused.stderr]).toEqual([255, expect.stringContaining("Permission denied (publickey)")]);
  const reach = await sandbox.runtime.connect(shared.id, { sessionId: "key", env: {} }, NEVER);
  const [, blob = ""] = readFileSync(join(hostPaths(shared.id), "inside/ssh/host_ed25519.pub"), "utf8").split(" ");
  expect(reach.hostKey.toString("base64")).toBe(blob);
  expect(reach.user).toBe("dev");
  await reach.end();
  await reach.end();
});

test("connect() begins SFTP and scp in the workspace folder, like a shell", async () => {
  const options = await sandbox.sshOptionsFor(shared.id);
  const local = join(sandbox.folder, "sent");
  writeFileSync(local, "sent\n");
  const sftp = await run(["sftp", "-b", "-", ...options, "inside"], { input: `pwd\nput ${local} by-sftp\n` });
  expect([sftp.exitCode, sftp.stdout]).toEqual([0, expect.stringContaining("/workspace/hello")]);
  await mustRun(["scp", ...options, local, "inside:by-scp"]);
  await mustRun(["scp", "-O", ...options, local, "inside:by-old-scp"]);
  await mustRun(["scp", "-O", ...options, local, "inside:~/at-home"]);
  expect(await say(shared.id, "cat by-sftp by-scp by-old-scp ~/at-home; rm by-* ~/at-home")).toBe(
    "sent\nsent\nsent\nsent",
  );
});

test("connect() holds a dozen connections at once", async () => {
  const ends = await Promise.all(Array.from({ length: 12 }, (_, at) => sandbox.ssh(shared.id, [`echo ${at}`])));
  expect(ends.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 12 }, (_, at) => String(at)));
});

test("connect() carries much data both ways at once, and the end of input before the end of output", async () => {
  const bytes = randomBytes(24 * 1024 * 1024);
  const { exitCode, bytes: echoed } = await sandbox.ssh(shared.id, ["cat; echo end"], { input: bytes });
  expect(exitCode).toBe(0);
  expect(echoed.subarray(0, -4).equals(bytes)).toBe(true);
  expect(echoed.subarray(-4).toString()).toBe("end\n");
});

test("connect() refuses an environment that sleeps or is none", async () => {
  const spec = sandbox.makeSpec();
  const session = { sessionId: "x", env: {} };
  await expect(sandbox.runtime.connect(spec.id, session, NEVER)).rejects.toMatchObject({ code: "environment.absent" });
  await sandbox.runtime.create(spec, () => {}, NEVER);
  await expect(sandbox.runtime.connect(spec.id, session, NEVER)).rejects.toMatchObject({ code: "environment.gone" });
});

test("create() makes a checkout that git takes for a clone, offline", async () => {
  const said = await say(
    shared.id,
    [
      "git status --porcelain=v2 --branch | grep -v oid; git log --format=%s; git remote get-url origin; git branch -r",
      "git tag; git config user.name; git config user.email; git fsck --no-progress; git diff v1 origin/feature/x --stat",
      "git -c core.quotePath=no ls-files; stat -c %U .git/index README.md; ls -A /workspace",
    ].join(";"),
  );
  expect(said.split("\n")).toEqual([
    ...["# branch.head main", "# branch.upstream origin/main", "# branch.ab +0 -0", "first"],
    ...["https://forge.example/hello.git", "  origin/HEAD -> origin/main", "  origin/feature/x", "  origin/main", "v1"],
    ...['Ada "the" Lovelace', "ada@example.org", " extra.txt | 1 +", " 1 file changed, 1 insertion(+)"],
    ...[".gitignore", "README.md", "dev", "dev", "hello"],
  ]);
});

test("create() begins a branch that the forge has not at another, ready to be pushed", async () => {
  const source = { ...shared.source, branch: "topic/new", fromBranch: "feature/x" };
  const spec = sandbox.makeSpec({ source });
  await sandbox.up(spec);
  const forge = "git init -q --bare ~/forge && git remote set-url origin ~/forge";
  const said = await say(
    spec.id,
    `git branch --show-current; git log -1 --format=%s; ${forge}; git push -q; git branch -vv`,
  );
  expect(said).toMatch(/^topic\/new\nsecond\n\* topic\/new [0-9a-f]+ \[origin\/topic\/new\] second$/);
});

test("create() names a branch that the mirror has not, and leaves nothing that counts as checked out", async () => {
  const spec = sandbox.makeSpec({ source: { ...shared.source, branch: "nowhere" } });
  await expect(sandbox.runtime.create(spec, () => {}, NEVER)).rejects.toMatchObject({
    code: "repository.unreached",
    told: 'hello has no branch "nowhere" to begin at',
  });
  expect(await sandbox.runtime.observe(spec.id)).toMatchObject({ power: "sleeping", checkedOut: false });
  expect(await sandbox.runtime.list()).toContain(spec.id);
});

test("create() reads a mirror that was fetched with a strict umask", async () => {
  const mirrorPath = join(sandbox.folder, "strict.git");
  await mustRun(["sh", "-c", `umask 077; git clone --quiet --mirror ${sandbox.mirrorPath} ${mirrorPath}`]);
  chmodSync(join(mirrorPath, "objects"), 0o700);
  const spec = sandbox.makeSpec({ source: { ...shared.source, mirrorPath } });
  await sandbox.up(spec);
  expect(await say(spec.id, "git log --format=%s; git status --short")).toBe("first");
});

test("create() can be given up at any moment and finished later", async () => {
  const spec = sandbox.makeSpec();
  for (const waitMs of [0, 1, 5, 10, 15, 25, 40]) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), waitMs);
    await sandbox.runtime
      .create(spec, () => {}, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });
    expect(existsSync(join(hostPaths(spec.id), "state.json"))).toBe(false);
  }
  await sandbox.up(spec);
  expect(await say(spec.id, "git status --short; cat README.md")).toBe("# hello");
});

test("start() can be given up at any moment and done again, and leaves nothing running", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.runtime.create(spec, () => {}, NEVER);
  for (const waitMs of [0, 2, 6, 10, 14, 20, 30]) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), waitMs);
    const done = await sandbox.runtime
      .start(spec, START, () => {}, stop.signal)
      .then(
        () => true,
        () => false,
      );
    expect((await sandbox.runtime.observe(spec.id)).power).toBe(done ? "running" : "sleeping");
    await sandbox.runtime.sleep(spec.id);
  }
  await sandbox.up(spec);
  expect(await say(spec.id, "echo up")).toBe("up");
});

test("create() and start() do nothing to what is there and runs", async () => {
  const before = await say(shared.id, "echo kept > /tmp/kept; cut -d' ' -f22 /proc/1/stat");
  await sandbox.up(shared);
  expect(await say(shared.id, "cat /tmp/kept; cut -d' ' -f22 /proc/1/stat")).toBe(`kept\n${before}`);
});

test("start() shows the checkout where a definition wants it, and refuses a place that is taken", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec, { workspaceFolder: "/workspaces/hello" });
  expect(await say(spec.id, "pwd; pwd -P; git status --short")).toBe("/workspaces/hello\n/workspace/hello");
  await sandbox.runtime.sleep(spec.id);
  for (const workspaceFolder of [
    "/usr/src/x",
    "/tmp/x",
    "/home/dev/x",
    "/x",
    "relative",
    "/a/../b",
    "/proc/x",
    "/opt/slipway/x",
  ]) {
    const start = sandbox.runtime.start(spec, { ...START, workspaceFolder }, () => {}, NEVER);
    await expect(start, workspaceFolder).rejects.toMatchObject({ code: "environment.failed" });
  }
  await sandbox.up(spec, { workspaceFolder: "/workspace/hello/.git" });
  expect(await say(spec.id, "pwd")).toBe("/workspace/hello/.git");
});

test("start() refuses a user name that would be more than a name", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.runtime.create(spec, () => {}, NEVER);
  for (const user of ["", "a:b", "../x", "root\nx", "A"]) {
    const start = sandbox.runtime.start(spec, { ...START, user }, () => {}, NEVER);
    await expect(start).rejects.toMatchObject({ code: "environment.failed" });
  }
});

test("start() keeps the service command running, with its variables, and starts it again when it ends", async () => {
  const spec = sandbox.makeSpec();
  const run = `echo "here $PWD $PORT $0" >> ~/runs; sleep 0.2; echo said; exit 3`;
  await sandbox.up(spec, { run, runEnv: { PORT: "it's 80" } });
  await until("the second start", async () => (await sandbox.runtime.readLog(spec.id, 4096)).includes("again in 2 s"));
  const line = "here /workspace/hello it's 80 /bin/sh";
  expect((await say(spec.id, "cat ~/runs")).split("\n")).toEqual([line, line]);
  expect(await sandbox.runtime.readLog(spec.id, 4096)).toBe(
    [1, 2].map((s) => `said\nslipway: the service command ended with code 3 and starts again in ${s} s\n`).join(""),
  );
});

test("run() runs a shell line or a program in the workspace folder, and writes into the log", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec, { containerEnv: { A: "a" } });
  const run = (command: Command, env = {}) => sandbox.runtime.run(spec.id, command, env, NEVER);
  expect(await run({ shell: 'echo "$A $B" $PWD; exit 5' }, { B: "b" })).toEqual({ exitCode: 5 });
  expect(await run({ argv: ["echo", "$A", "it's"] })).toEqual({ exitCode: 0 });
  expect(await run({ argv: ["/no/such"] })).toEqual({ exitCode: 127 });
  const log = await sandbox.runtime.readLog(spec.id, 4096);
  expect(log).toContain('$ echo "$A $B" $PWD; exit 5\na b /workspace/hello\nslipway: the command ended with code 5\n');
  expect(log).toContain("$ echo '$A' 'it'\\''s'\n$A it's\n");
  await sandbox.runtime.note(spec.id, "slipway: noted");
  expect(await sandbox.runtime.readLog(spec.id, 15)).toBe("slipway: noted\n");
});

test("run() kills all of a command that is given up, and waits for nothing it left in the background", async () => {
  const { id } = shared;
  const stop = new AbortController();
  const running = sandbox.runtime.run(id, { shell: "sleep 4711 & sleep 4712; true" }, {}, stop.signal);
  await until("the command", async () => (await sandbox.ssh(id, ["pgrep -fc '^sleep 471[12]'"])).stdout.trim() === "2");
  stop.abort();
  await expect(running).rejects.toThrow();
  await until("its end", async () => (await sandbox.ssh(id, ["pgrep -fc '^sleep 471[12]'"])).stdout.trim() === "0");
  const left = await sandbox.runtime.run(id, { shell: "sleep 4713 & true" }, {}, NEVER);
  expect(left).toEqual({ exitCode: 0 });
  await say(id, "pkill -f '^sleep 4713'");
});

test("end() hangs up on what runs in the foreground, and leaves what was put into the background on purpose", async () => {
  const { id } = shared;
  const count = async (name: string) => (await sandbox.ssh(id, [`pgrep -fc '^sleep ${name}'`])).stdout.trim();
  const before = sandbox.reaches.length;
  const line = "sleep 5001 & nohup sleep 5002 >/dev/null 2>&1 & setsid sleep 5003 >/dev/null 2>&1 & sleep 5004";
  const ssh = await sandbox.startSsh(id, [`${line}; true`]);
  await until("the commands", async () => (await count("500[1-4]")) === "4");
  await sandbox.reaches[before]?.end();
  await until("the hang-up", async () => (await count("500[14]")) === "0");
  expect(await count("500[23]")).toBe("2");
  await ssh.ended;
  await say(id, "pkill -f '^sleep 500[23]'");
});

test("sleep() ends every process and keeps files; start() wakes it with an empty /tmp", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  await say(
    spec.id,
    "echo 1 > kept; echo 2 > ~/kept; echo 3 > /tmp/gone; echo 4 > /var/tmp/kept; setsid sleep 5005 >/dev/null 2>&1 &",
  );
  const reach = await sandbox.runtime.connect(spec.id, { sessionId: "s", env: {} }, NEVER);
  const ended = new Promise((resolve) => reach.stream.once("close", resolve));
  await sandbox.runtime.sleep(spec.id);
  reach.stream.resume().end();
  await ended;
  expect(await sandbox.runtime.observe(spec.id)).toMatchObject({ power: "sleeping", checkedOut: true });
  const left = await sandbox.findLeftovers();
  expect(left.filter((line) => line.includes(spec.id) || line.endsWith(": sleep 5005"))).toEqual([]);
  await sandbox.up(spec, { user: "other" });
  const options = (await sandbox.sshOptionsFor(spec.id)).map((word) => word.replace("User=dev", "User=other"));
  const said = await mustRun([
    "ssh",
    ...options,
    "inside",
    "cat kept ~/kept /var/tmp/kept; ls /tmp; pgrep -c sleep; echo ~",
  ]);
  expect(said).toBe("1\n2\n4\n1\n/home/other\n");
});

test("sleep() lets programs write something down before they end", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec, { run: `trap 'sleep 0.3; echo bye >> ~/bye; exit' TERM; while :; do sleep 0.1; done` });
  await until("the service", async () => (await sandbox.ssh(spec.id, ["pgrep -fc trap"])).stdout.trim() !== "0");
  await sandbox.runtime.sleep(spec.id);
  expect(readFileSync(join(hostPaths(spec.id), "home/bye"), "utf8")).toBe("bye\n");
});

test("sleep() ends what does not want to", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec, { run: `trap '' TERM HUP INT; while :; do sleep 0.1; done` });
  await until("the service", async () => (await sandbox.ssh(spec.id, ["pgrep -fc trap"])).stdout.trim() !== "0");
  await sandbox.runtime.sleep(spec.id);
  expect((await sandbox.runtime.observe(spec.id)).power).toBe("sleeping");
});

test("destroy() leaves nothing on the machine, whatever is in the files, and can be called again", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  const outside = join(sandbox.folder, "outside");
  mkdirSync(outside, { recursive: true });
  writeFileSync(join(outside, "kept"), "");
  await say(spec.id, `mkdir -p a/b && touch a/b/c && chmod 0 a/b a; ln -s ${outside} link; ln -s / ~/all; mkfifo pipe`);
  await sandbox.runtime.destroy(spec.id);
  expect(existsSync(hostPaths(spec.id))).toBe(false);
  expect(existsSync(join(outside, "kept"))).toBe(true);
  expect(await sandbox.runtime.list()).not.toContain(spec.id);
  expect(await sandbox.runtime.observe(spec.id)).toEqual({ power: "absent", checkedOut: false });
  const left = await sandbox.findLeftovers();
  expect(left.filter((line) => line.includes(spec.id))).toEqual([]);
  await sandbox.runtime.destroy(spec.id);
});

test("openSandbox() takes over what runs, and clears away what was starting", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  const began = await say(spec.id, "setsid sleep 5006 >/dev/null 2>&1 & cut -d' ' -f22 /proc/1/stat");
  const half = sandbox.makeSpec();
  await sandbox.runtime.create(half, () => {}, NEVER);
  writeFileSync(join(hostPaths(half.id), "state.json"), "{ damaged");
  await sandbox.reopen();
  expect((await sandbox.runtime.observe(spec.id)).power).toBe("running");
  expect(await say(spec.id, "cut -d' ' -f22 /proc/1/stat; pgrep -fc '^sleep 5006'")).toBe(`${began}\n1`);
  expect(await sandbox.runtime.observe(half.id)).toMatchObject({ power: "sleeping", checkedOut: true });
  await sandbox.runtime.sleep(spec.id);
  expect((await sandbox.runtime.observe(spec.id)).power).toBe("sleeping");
});

test("openSandbox() ends an environment whose state was damaged, by its control group", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  await say(spec.id, "setsid sleep 5007 >/dev/null 2>&1 &");
  writeFileSync(join(hostPaths(spec.id), "state.json"), "{}");
  await sandbox.reopen();
  expect(await sandbox.runtime.observe(spec.id)).toMatchObject({ power: "sleeping", checkedOut: true });
  const left = await sandbox.findLeftovers();
  expect(left.filter((line) => line.includes(spec.id) || line.endsWith(": sleep 5007"))).toEqual([]);
});

test("openSandbox() takes an environment of before a reboot for one that sleeps", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  await sandbox.runtime.sleep(spec.id);
  const holder = { pid: process.pid, startTime: 1, bootId: "another boot" };
  writeFileSync(join(hostPaths(spec.id), "state.json"), JSON.stringify({ phase: "running", holder, start: START }));
  expect((await sandbox.runtime.observe(spec.id)).power).toBe("sleeping");
  await sandbox.reopen();
  await sandbox.up(spec);
  expect(await say(spec.id, "echo up")).toBe("up");
});

test("unsaved() finds changed files, commits and stashes, awake and asleep", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  expect(await sandbox.runtime.unsaved(spec.id)).toEqual({
    changedPaths: [],
    changedCount: 0,
    commits: [],
    commitCount: 0,
  });
  await say(
    spec.id,
    [
      "echo x >> README.md; git stash -q; echo y > tracked; git add tracked; git commit -qm 'my work'",
      "git switch -q -c side; echo z > z; git add z; git commit -qm aside; echo new > 'new file'; touch ignored",
    ].join(";"),
  );
  const seen = {
    changedPaths: ["new file"],
    changedCount: 1,
    commits: ["side: aside", "main: my work", expect.stringMatching(/^stash: WIP on main: /)],
    commitCount: 3,
  };
  const asSet = (list: readonly unknown[]) => [...list].sort();
  const awake = await sandbox.runtime.unsaved(spec.id);
  expect({ ...awake, commits: asSet(awake.commits) }).toMatchObject({ changedCount: 1, commitCount: 3 });
  expect(awake.changedPaths).toEqual(seen.changedPaths);
  await sandbox.runtime.sleep(spec.id);
  expect(await sandbox.runtime.unsaved(spec.id)).toEqual(awake);
  expect((await sandbox.runtime.observe(spec.id)).power).toBe("sleeping");
});

test("unsaved() runs what a hostile .git/config wants nowhere but inside", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  const hook = "{ id -u; hostname; ls -d /opt/slipway; ls -A /root /srv; } >> /var/tmp/hook 2>&1";
  await say(
    spec.id,
    [
      `printf '#!/bin/sh\\n${hook}\\n' > ~/hook; printf '#!/bin/sh\\necho unasked >> /var/tmp/hook\\n' > ~/unasked`,
      "chmod +x ~/hook ~/unasked; git config core.fsmonitor ~/unasked; git config core.pager ~/unasked",
      "git config filter.x.clean ~/hook; echo '* filter=x' > .git/info/attributes; echo '# hellO' > README.md",
    ].join("; "),
  );
  await sandbox.runtime.unsaved(spec.id);
  await sandbox.runtime.sleep(spec.id);
  await sandbox.runtime.unsaved(spec.id);
  const said = readFileSync(join(hostPaths(spec.id), "var-tmp/hook"), "utf8");
  const uids = said.match(/^[0-9]+$/gm) ?? [];
  expect(uids.length).toBeGreaterThanOrEqual(2);
  expect(new Set(uids)).toEqual(new Set([String(spec.uid)]));
  expect(new Set(said.match(/^hello-main$/gm))).toEqual(new Set(["hello-main"]));
  expect(said).not.toContain("unasked");
});

test("readSource() reads the checkout, awake or asleep, and nothing of the machine", async () => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  await say(spec.id, "ln -s /etc/passwd stolen; ln -s ../../spec.json spec; ln -s README.md link");
  for (const go of ["awake", "asleep"]) {
    expect([go, await sandbox.runtime.readSource(spec.id, "README.md")]).toEqual([go, "# hello\n"]);
    expect(await sandbox.runtime.readSource(spec.id, "link")).toBe("# hello\n");
    expect(await sandbox.runtime.readSource(spec.id, "stolen")).toBeUndefined();
    expect(await sandbox.runtime.readSource(spec.id, "spec")).toBeUndefined();
    expect(await sandbox.runtime.readSource(spec.id, ".devcontainer/devcontainer.json")).toBeUndefined();
    await sandbox.runtime.sleep(spec.id);
  }
});

test("observe() tells how much disk an environment takes, once it has been counted", async () => {
  const { id } = shared;
  const diskBytes = await until("the figure", async () => (await sandbox.runtime.observe(id)).diskBytes);
  expect(diskBytes).toBeGreaterThan(50_000);
  expect(diskBytes).toBeLessThan(100_000_000);
});

test("openSandbox() refuses a state folder that mount options cannot hold, and says so", async () => {
  await expect(openTestSandbox({ stateDir: join(sandbox.folder, "a,b") })).rejects.toMatchObject({
    code: "runtime.unable",
    told: `"${join(sandbox.folder, "a,b")}" cannot be used: an absolute path without comma, colon, quote or backslash is needed`,
  });
});

test("openSandbox() keeps its files from other users of the machine", () => {
  expect(statSync(join(sandbox.stateDir, "environments")).mode & 0o777).toBe(0o700);
  for (const id of readdirSync(join(sandbox.stateDir, "environments"))) {
    expect(statSync(hostPaths(id)).mode & 0o777).toBe(0o700);
  }
});
