/**
 * The toolbox in every kind of image, spoken to by stock clients, without a cluster.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  CALLS,
  CALLS_SOCKET,
  FEED,
  GIT_CREDENTIAL,
  PUT,
  RUN,
  RUN_COMMAND,
  STATE,
  WORKSPACE,
} from "../../../src/runtime/kubernetes/inside.ts";
import { mustRun, run, start } from "../../harness/program.ts";
import { until } from "../../harness/wait.ts";
import { openBox, USER, type Box } from "./open-box.ts";
import { whyNoBox } from "./why-no-images.ts";

const lacks = whyNoBox();

const KINDS = [
  { image: "sample", uid: 1000, shell: "/bin/bash" },
  { image: "sample", uid: 12_345, shell: "/bin/bash" },
  { image: "sample-root", uid: 0, shell: "/bin/bash" },
  { image: "sample-alpine-like", uid: 12_345, shell: "/bin/sh" },
  { image: "sample-distroless", uid: 65_532, shell: "/opt/slipway/bin/bash" },
  { image: "sample-distroless", uid: 0, shell: "/opt/slipway/bin/bash" },
] as const;

function line(text: string): string {
  return `${Buffer.from(text).toString("base64")}\n`;
}

describe.each(KINDS)("in $image as $uid", ({ image, uid, shell }) => {
  let box: Box;
  let laptop: string;
  beforeEach((ctx) => {
    if (lacks !== undefined) ctx.skip(lacks);
  });
  beforeAll(async () => {
    if (lacks !== undefined) return;
    laptop = mkdtempSync(join(tmpdir(), "slipway-laptop-"));
    const env = { ODD: `it's "odd"\nand long`, PATH: "/only/here:/usr/bin:/bin", LD_LIBRARY_PATH: "/lib" };
    box = await openBox({ image, uid, env, sessionEnv: { GREETING: "of the session" } });
  }, 300_000);
  afterAll(async () => {
    if (lacks !== undefined) return;
    await box[Symbol.asyncDispose]();
    rmSync(laptop, { recursive: true });
  });
  const ssh = (...words: readonly string[]) => box.ssh(["box", ...words]);

  test("door gives a command's exit code, its two outputs apart, and its input", async () => {
    const ended = await box.ssh(["box", "cat; echo no >&2; exit 7"], { input: "yes\n" });
    expect({ ...ended, bytes: undefined, ms: 0 }).toMatchObject({ exitCode: 7, stdout: "yes\n" });
    expect(ended.stderr).toContain("no\n");
  });

  test("door gives sessions the user, the folder and the variables of the container, and the session's over them", async () => {
    const { stdout } = await ssh(`id -u; pwd; echo "$HOME $USER $SHELL"; echo "$GREETING"; echo "$ODD"; echo "$PATH"`);
    expect(stdout).toBe(
      `${uid}\n${WORKSPACE}\n/home/${USER} ${USER} ${shell}\nof the session\nit's "odd"\nand long\n` +
        "/only/here:/usr/bin:/bin:/opt/slipway/bin:/opt/slipway/applets\n",
    );
  });

  test("door leaves no capability to a session", async () => {
    const { stdout } = await ssh("grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status");
    expect(stdout).toBe("CapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
  });

  test("door gives a terminal to a login shell that finds the toolbox", async () => {
    const ended = await box.ssh(["-tt", "box"], { input: "tty; command -v rsync; stty -echo; exit 3\n" });
    expect(ended.stdout).toContain("/dev/pts/0");
    expect(ended.stdout).toContain("/opt/slipway/bin/rsync");
    expect(ended.exitCode).toBe(3);
  });

  test("door serves sftp, scp of both kinds and rsync", async () => {
    const bytes = Buffer.alloc(300_000, "slipway");
    writeFileSync(join(laptop, "one"), bytes);
    const sftp = await run(["sftp", "-F", box.sshConfig, "-b", "-", "box"], {
      input: `put ${laptop}/one by-sftp\nget by-sftp ${laptop}/back\n`,
    });
    expect(sftp.exitCode, sftp.stderr).toBe(0);
    expect(readFileSync(join(laptop, "back"))).toEqual(bytes);
    await mustRun(["scp", "-F", box.sshConfig, join(laptop, "one"), "box:by-scp"]);
    await mustRun(["scp", "-O", "-F", box.sshConfig, join(laptop, "one"), "box:by-old-scp"]);
    await mustRun(["rsync", "-a", "-e", `ssh -F ${box.sshConfig}`, join(laptop, "one"), "box:by-rsync"]);
    for (const name of ["by-sftp", "by-scp", "by-old-scp", "by-rsync"])
      expect(readFileSync(join(box.workspace, name)), name).toEqual(bytes);
  });

  test("door serves git, and git inside does what people do with it", async () => {
    const made = await ssh(
      "git init -q -b main there && cd there && git config user.name A && git config user.email a@b && echo 1 >f && " +
        "git add f && git commit -q -m one && git config receive.denyCurrentBranch updateInstead && " +
        "git bundle create -q ../there.bundle main && git clone -q -b main ../there.bundle ../again && git status --short",
    );
    expect(made).toMatchObject({ exitCode: 0, stdout: "" });
    const env = { GIT_SSH_COMMAND: `ssh -F ${box.sshConfig}` };
    const clone = join(laptop, "clone");
    await mustRun(["git", "clone", "-q", `box:${WORKSPACE}/there`, clone], { env });
    const author = ["-c", "user.name=A", "-c", "user.email=a@b"];
    await mustRun(["git", "-C", clone, ...author, "commit", "-q", "--allow-empty", "-m", "two"]);
    await mustRun(["git", "-C", clone, "push", "-q"], { env });
    expect((await ssh("git -C there log --format=%s")).stdout).toBe("two\none\n");
  });

  test("git asks credential helpers in an image without a shell", async () => {
    const helper = `!f() { echo username=u; echo password=p; }; f`;
    const asked = await ssh(
      `printf 'protocol=https\\nhost=h\\n\\n' | git -c credential.helper='${helper}' credential fill; git ls-remote https://127.0.0.1:1/x`,
    );
    expect(asked.stdout).toContain("password=p");
    expect(asked.stderr).toContain("Failed to connect to 127.0.0.1 port 1");
  });

  test("git-credential asks whoever takes calls, passes on what that answers and tells, and stores nothing", async () => {
    const running = box.startInside([CALLS, "serve", CALLS_SOCKET]);
    const about = "protocol=https\nhost=h\npath=a/b.git\n";
    const git = (act: string, words: string): string =>
      `printf '${words.replaceAll("\n", "\\n")}\\n' | GIT_TERMINAL_PROMPT=0 git -c credential.helper=${GIT_CREDENTIAL} -c credential.useHttpPath=true credential ${act}`;
    const asking = ssh(git("fill", about));
    const [, question = ""] = await running.untilOutput(/^([0-9a-f]+)\n$/);
    expect(Buffer.from(question, "hex").toString()).toMatch(new RegExp(`^git-credential\n(?:.*\n)*${about}`));
    const answer = "username=u\npassword=p %s\\n\ntold=slipway: well\n";
    running.stdin.write(`${Buffer.from(answer).toString("hex")}\n`);
    const asked = await asking;
    expect([asked.exitCode, asked.stderr]).toEqual([0, expect.stringMatching(/^slipway: well$/m)]);
    expect(asked.stdout).toContain("username=u\npassword=p %s\\n\n");
    const store = await ssh(git("approve", `${about}username=u\npassword=p\n`));
    expect(store).toMatchObject({ exitCode: 0, stdout: "" });
    expect((await ssh(`stat -c '%a %F' ${CALLS_SOCKET}`)).stdout).toBe("600 socket\n");
    running.stdin.end();
    expect((await running.ended).stdout).toBe(`${question}\n`);
    const alone = await ssh(git("fill", about));
    expect(alone.exitCode).toBe(128);
    expect(alone.stderr).not.toContain("calls");
    expect(alone.stderr).toMatch(/^fatal: could not read Username for '[^']*': terminal prompts disabled$/m);
  });

  test("ssh inside knows who it is without an entry in the image", async () => {
    expect((await ssh("/opt/slipway/bin/ssh -G anywhere | grep '^user '")).stdout).toBe(`user ${USER}\n`);
  });

  test("door forwards an agent, ports and sockets, with nothing written to the image", async () => {
    const agent = start(["ssh-agent", "-D", "-a", join(laptop, "agent")]);
    try {
      await until("the agent", () => existsSync(join(laptop, "agent")));
      const env = { SSH_AUTH_SOCK: join(laptop, "agent") };
      const listed = await box.ssh(["-A", "box", "/opt/slipway/bin/ssh-add -l; echo $SSH_AUTH_SOCK"], { env });
      expect(listed.stdout, listed.stderr).toMatch(
        /^The agent has no identities.\n\/run\/slipway\/\w{6}\/agent\.\d+\n$/,
      );
    } finally {
      agent.kill();
      await agent.ended;
    }
    const local = join(laptop, "local");
    const remote = `${RUN}/remote`;
    const forward = ["-o", "ExitOnForwardFailure=yes", "-L", `${local}:${remote}`, "-R", `${remote}:${local}-end`];
    const server = start(["python3", "-c", SERVER, `${local}-end`]);
    const session = start(["ssh", "-F", box.sshConfig, ...forward, "box", "echo up; cat"]);
    try {
      await session.untilOutput(/up/);
      await server.untilOutput(/up/);
      expect(await mustRun(["python3", "-c", CLIENT, local])).toBe("seen");
    } finally {
      session.kill();
      server.kill();
      await Promise.all([session.ended, server.ended]);
    }
  });

  test("sessions end with their connection: what runs on its terminal is hung up on", async () => {
    const session = start(["ssh", "-F", box.sshConfig, "-tt", "box", "echo up; exec sleep 12345"]);
    await session.untilOutput(/up/);
    session.kill("SIGKILL");
    await session.ended;
    await until("the end of the program", async () => {
      const { stdout } = await box.runInside(["/opt/slipway/applets/ps", "-o", "args"]);
      return !stdout.includes("sleep 12345");
    });
  });

  test("run keeps output or logs it, and says how the command ended", async () => {
    const text = `echo out; echo err >&2; (sleep 300 &); exit 4`;
    const kept = await box.runInside([RUN_COMMAND, "out"], { input: line(text) });
    expect(kept.stdout).toMatch(/^(4 4\nout\n|137 \d\n)/); // its input ended at once, maybe before the command
    const running = box.startInside([RUN_COMMAND, "out"]);
    running.stdin.write(line(text));
    await running.untilOutput(/^4 4\nout\n$/);
    running.stdin.end("\n");
    expect(await running.ended).toMatchObject({ exitCode: 0, stderr: "err\n" });
    const logged = box.startInside([RUN_COMMAND, "log"]);
    logged.stdin.write(line("echo of-the-log; exit 5"));
    await logged.untilOutput(/^5 0\n$/);
    logged.stdin.end();
    expect((await logged.ended).exitCode).toBe(0);
    expect(box.log()).toContain("of-the-log\n");
  });

  test("run kills the command's session when its input ends, also what made a group of its own", async () => {
    const running = box.startInside([RUN_COMMAND, "log"]);
    running.stdin.write(line("set -m; sleep 54321 & echo begun >>/run/slipway-state/log; wait"));
    await until("the command", () => box.log().includes("begun"));
    running.stdin.end();
    await running.ended;
    const { stdout } = await box.runInside(["/opt/slipway/applets/ps", "-o", "args"]);
    expect(stdout).not.toContain("sleep 54321");
  });

  test("run keeps 8 MiB at most and lets the command write more", async () => {
    const running = box.startInside([RUN_COMMAND, "out"]);
    running.stdin.write(line("head -c 9000000 /dev/zero; exit 6"));
    await running.untilOutput(/^6 8388608\n/);
    running.stdin.end();
    expect((await running.ended).bytes.length).toBe(8_388_608 + "6 8388608\n".length);
  });

  test("put writes a whole file or none", async () => {
    const bytes = Buffer.alloc(100_000, "put");
    const first = Buffer.from(line(`${bytes.length} 640 ${WORKSPACE}/new folder/ä file`));
    const put = await box.runInside([PUT], { input: Buffer.concat([first, bytes]) });
    expect(put).toMatchObject({ exitCode: 0, stdout: "ok\n" });
    expect(readFileSync(join(box.workspace, "new folder/ä file"))).toEqual(bytes);
    const short = await box.runInside([PUT], { input: Buffer.concat([first, bytes.subarray(1)]) });
    expect(short).toMatchObject({ exitCode: 1, stdout: "", stderr: "Cannot put a file: the input ended early\n" });
    expect((await ssh("ls -A 'new folder' | wc -l; wc -c <'new folder/ä file'")).stdout).toBe(`1\n${bytes.length}\n`);
  });

  test("feed runs a command on the rest of its input, and passes on how it ended", async () => {
    const fed = await box.runInside([FEED], { input: `${line("wc -c; exit 9")}${"x".repeat(200_000)}` });
    expect(fed).toMatchObject({ exitCode: 9, stdout: "200000\n" });
    const cut = await box.runInside([FEED], { input: `${line(`tar -x -C ${WORKSPACE}`)}${"x".repeat(2_000)}` });
    expect(cut.exitCode).not.toBe(0);
  });

  test("init keeps the service command running, and looks for it again on SIGHUP", async () => {
    const put = async (text: string): Promise<void> => {
      const input = `${line(`${text.length} 755 ${RUN}/service`)}${text}`;
      expect((await box.runInside([PUT], { input })).stdout).toBe("ok\n");
    };
    await put('echo "round of $$"; exit 2');
    await box.signal("HUP");
    await until("two rounds", () => [...box.log().matchAll(/round of/g)].length >= 2);
    expect(box.log()).toContain("slipway: the service command ended with code 2 and starts again in 1 s\n");
    await put("echo stays; exec sleep 600");
    await until("the other service", () => box.log().includes("stays\n"));
    await box.signal("HUP");
    expect([...box.log().matchAll(/stays/g)]).toHaveLength(1);
  });

  test("init reaps what is orphaned, and rests", async () => {
    await ssh("for i in 1 2 3 4 5; do (sleep 0.05 &) ; done");
    await until("no orphan", async () => {
      const { stdout } = await box.runInside(["/opt/slipway/applets/ps", "-o", "stat,args"]);
      return !/^Z/m.test(stdout) && !stdout.includes("sleep 0.05");
    });
    const used = async (): Promise<string> => (await ssh("cut -d' ' -f14,15 /proc/1/stat")).stdout;
    const before = await used();
    await ssh("sleep 1");
    expect(await used()).toBe(before);
  });

  // The last one: nothing is left after it.
  test("init ends everything within 2 s on SIGTERM, and gives programs the time to write something down", async () => {
    // Its shell says that "sleep" was ended, which nobody hears any more.
    const goodbye = `trap '' HUP; trap 'echo goodbye >>${STATE}/log; exit' TERM`;
    const polite = `${goodbye}; echo here; exec 2>/dev/null; while :; do sleep 0.1; done`;
    const session = start(["ssh", "-F", box.sshConfig, "box", polite]);
    await session.untilOutput(/here/);
    const stubborn = start([
      "ssh",
      "-F",
      box.sshConfig,
      "box",
      "trap '' TERM HUP; echo here; while :; do sleep 1; done",
    ]);
    await stubborn.untilOutput(/here/);
    await box.signal("TERM");
    await box.untilEnded(2_500);
    await Promise.all([session.ended, stubborn.ended]);
    expect(box.log()).toContain("goodbye\n");
  });
});

const SERVER = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print("up", flush=True)
c, _ = s.accept(); c.sendall(b"seen"); c.close()`;

const CLIENT = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9).decode(), end="")`;
