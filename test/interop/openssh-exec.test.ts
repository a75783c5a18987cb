/**
 * `ssh` of OpenSSH running commands: streams, ends, variables.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { place } from "./place.ts";
import { useService } from "./use-service.ts";

const service = useService({
  repositories: { hello: { branches: ["cold-1", "cold-2", "cold-3", "cold-4", "cold-5", "cold-6"] } },
});

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const MAIN = "hello-main@slipway";

test("ssh runs a command in the checkout, as an unprivileged user", async () => {
  const ended = await service().as("ada").ssh([MAIN, "pwd; hostname; git branch --show-current; id -u; echo $HOME"]);
  const [folder, hostname, branch, uid, home] = ended.stdout.split("\n");
  expect({ folder, hostname, branch }).toEqual({ folder: "/workspace/hello", hostname: "hello-main", branch: "main" });
  expect(place().isUid(Number(uid))).toBe(true);
  expect(home).toMatch(/^\/home\/[a-z]+$/);
  expect(ended.exitCode).toBe(0);
});

test("ssh puts the progress of a cold start on standard error, and not a byte of it on standard output", async () => {
  const ended = await service().as("ada").ssh(["hello-cold-1@slipway", "printf made"]);
  expect(ended.stdout).toBe("made");
  expect(ended.stderr.replace(/\d+ ms/g, "N ms").split("\r\n")).toEqual([
    ...place()
      .progress("cold-1")
      .map((line) => `slipway: ${line}`),
    "",
  ]);
  const again = await service().as("ada").ssh(["hello-cold-1@slipway", "cat .made"]);
  expect(again.stdout).toMatch(/^made on \d{4}-\d\d-\d\d\n$/);
  expect(again.stderr).toBe("");
});

test("ssh loses no byte that is sent, with its end, before the environment exists", async () => {
  // RFC 4254 section 5.2 lets a client send as soon as the channel is open: success may not be said too early.
  const big = randomBytes(8 * 1024 * 1024);
  const small = await service().as("ada").ssh(["hello-cold-2@slipway", "cat"], { input: "x\n" });
  expect([small.exitCode, small.stdout]).toEqual([0, "x\n"]);
  const large = await service().as("ada").ssh(["hello-cold-3@slipway", "sha256sum"], { input: big });
  expect(large.stdout).toBe(`${sha256(big)}  -\n`);
});

test("ssh connections that come at once, before the environment exists, share one", async () => {
  const { ssh } = service().as("ada");
  const command = "hostname; readlink /proc/self/ns/net; echo $$ >>/tmp/seen; sleep 0.3; wc -l </tmp/seen";
  const both = await Promise.all([1, 2].map(() => ssh(["hello-cold-4@slipway", command])));
  expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect(both[0]?.stdout).toBe(both[1]?.stdout);
  expect(both[0]?.stdout).toMatch(/^hello-cold-4\nnet:\[\d+\]\n2\n$/);
});

test("ssh hands on every exit code from 0 to 255", async () => {
  const { ssh, folder, run } = service().as("ada");
  const path = `${folder}/exit-codes`;
  await ssh(["-M", "-S", path, "-f", "-N", MAIN]);
  const exit = async (code: number): Promise<number | null> =>
    (await run(["ssh", "-F", "none", "-S", path, MAIN, `exit ${code}`])).exitCode;
  const codes = Array.from({ length: 256 }, (_, code) => code);
  const got: (number | null)[] = [];
  const lanes = Array.from({ length: 8 }, async (_, lane) => {
    for (let code = lane; code < 256; code += 8) got[code] = await exit(code);
  });
  await Promise.all(lanes);
  await run(["ssh", "-F", "none", "-S", path, "-O", "exit", MAIN]);
  expect(got).toEqual(codes);
});

test("ssh keeps standard error apart from standard output while both overrun their windows", async () => {
  const { ssh, run, configFile, folder } = service().as("ada");
  const sides = { out: randomBytes(30_000_000), err: randomBytes(30_000_000) };
  for (const [name, bytes] of Object.entries(sides)) await ssh([MAIN, `cat >/tmp/${name}`], { input: bytes });
  const command = "cat /tmp/out & cat /tmp/err >&2 & wait; exit 7";
  // Into a file: standard error comes as text otherwise.
  const words = `ssh -F ${configFile} ${MAIN} "$1" 2>${folder}/err | sha256sum; echo \${PIPESTATUS[0]}; sha256sum <${folder}/err`;
  const ended = await run(["bash", "-c", words, "bash", command]);
  expect(ended.stdout).toBe(`${sha256(sides.out)}  -\n7\n${sha256(sides.err)}  -\n`);
});

test.for([
  { form: "-T", args: ["-T"], input: "in", stdout: "in|", tty: "not a tty" },
  { form: "-n", args: ["-n"], input: "in", stdout: "|", tty: "not a tty" },
  { form: "nothing special", args: [], input: "in", stdout: "in|", tty: "not a tty" },
  { form: "no input", args: [], input: "", stdout: "|", tty: "not a tty" },
])("ssh with $form gives a command its input to the end, and no terminal", async ({ args, input, stdout, tty }) => {
  const ended = await service()
    .as("ada")
    .ssh([...args, MAIN, "cat; printf '|'; tty"], { input });
  expect(ended).toMatchObject({ exitCode: 1, stdout: `${stdout}${tty}\n`, stderr: "" });
});

test("ssh < /dev/null ends a command that reads", async () => {
  const { run, configFile } = service().as("ada");
  const ended = await run(["sh", "-c", `exec ssh -F ${configFile} ${MAIN} 'cat; echo over' </dev/null`]);
  expect(ended).toMatchObject({ exitCode: 0, stdout: "over\n" });
});

test("ssh -T without a command gives a shell that reads its commands, with a clean standard output", async () => {
  const ended = await service().as("ada").ssh(["-T", MAIN], { input: "echo one\ncd /tmp\npwd\nexit 9\n" });
  expect(ended).toMatchObject({ exitCode: 9, stdout: "one\n/tmp\n", stderr: "" });
});

test("ssh tells by 255 that a signal ended the command, and says so nowhere else", async () => {
  const ended = await service().as("ada").ssh([MAIN, "echo before; kill -TERM $$; echo after"]);
  expect(ended).toMatchObject({ exitCode: 255, stdout: "before\n" });
});

test("ssh goes on reading what a command wrote before it ended", async () => {
  const ended = await service().as("ada").ssh([MAIN, "head -c 5000000 /dev/zero; exit 3"]);
  expect([ended.exitCode, ended.bytes.length]).toEqual([3, 5_000_000]);
});

test("ssh ends when the command closes its output and input is still open", async () => {
  const running = service().as("ada").startSsh([MAIN, "echo done"]);
  expect(await running.ended).toMatchObject({ exitCode: 0, stdout: "done\n" });
});

test("ssh -o SetEnv and SendEnv hand variables on, those with odd characters too", async () => {
  const { ssh } = service().as("ada");
  const odd = `a b  "c" 'd' $e \\ ü`;
  const args = ["-o", "SetEnv=FIRST=1", "-o", "SendEnv=ODD LC_*", MAIN, 'printf "%s|%s|%s" "$FIRST" "$ODD" "$LC_TIME"'];
  const ended = await ssh(args, { env: { ODD: odd, LC_TIME: "C" } });
  expect(ended.stdout).toBe(`1|${odd}|C`);
});

test("ssh hands on a variable of several lines as it is, and no second variable is made of it", async () => {
  const { ssh } = service().as("ada");
  const lines = "one\nSECOND=forged\n\nthree\n";
  const args = ["-o", "SendEnv=LINES_OF", MAIN, 'printf "%s" "$LINES_OF"; printf "|%s|" "$SECOND"'];
  expect((await ssh(args, { env: { LINES_OF: lines } })).stdout).toBe(`${lines}||`);
});

test("ssh hands on a command that is no UTF-8, byte for byte", async () => {
  const { run, configFile } = service().as("ada");
  // Not in words of ours: those would be UTF-8.
  const script = `exec ssh -F ${configFile} ${MAIN} "printf %s '"$'\\xff\\x80x\\xc0\\xaf'"' | od -An -tx1"`;
  expect(await run(["bash", "-c", script])).toMatchObject({ exitCode: 0, stdout: " ff 80 78 c0 af\n" });
});

test("ssh finds the variables that say whose session this is and where", async () => {
  const ended = await service().as("ada").ssh([MAIN, "env"]);
  const pairs = ended.stdout.split("\n").map((line) => [line.replace(/=.*/, ""), line.replace(/^[^=]*=/, "")]);
  const found: unknown = Object.fromEntries(pairs);
  expect(found).toMatchObject({
    SLIPWAY_LOGIN: "hello-main",
    SLIPWAY_PERSON: "ada",
    SLIPWAY_REPOSITORY: "hello",
    SLIPWAY_BRANCH: "main",
    SLIPWAY_ENVIRONMENT: expect.stringMatching(/^[a-z0-9]{16}$/) as unknown,
    SLIPWAY_SESSION: expect.stringMatching(/^s-[a-z0-9]{8}$/) as unknown,
    GIT_COMMITTER_NAME: "ada",
    GIT_AUTHOR_NAME: "ada",
    GIT_AUTHOR_EMAIL: "ada@localhost",
    GREETING: "Hello",
    EDITOR: "vi",
  });
});

test("ssh gives a service of the definition its output over the loopback of the environment", async () => {
  const fetchPage = `for i in $(seq 50); do { curl -sf localhost:3000 || wget -qO- localhost:3000; } 2>/dev/null && exit; sleep 0.1; done; exit 1`;
  const ended = await service().as("ada").ssh([MAIN, fetchPage]);
  expect(ended.stdout).toContain("<h1>Hello from an environment of your own</h1>");
});

test("ssh -C and -X are served without compression and X11, and say so where that matters", async () => {
  const ended = await service()
    .as("ada")
    .ssh(["-C", "-X", MAIN, 'echo "<$DISPLAY>"'], { env: { DISPLAY: "127.0.0.1:10" } });
  expect(ended).toMatchObject({ exitCode: 0, stdout: "<>\n" });
  expect(ended.stderr).toContain("X11 forwarding request failed on channel 0");
});

test("ssh -o ServerAliveInterval has its questions answered while nothing else happens", async () => {
  const options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
  const ended = await service()
    .as("ada")
    .ssh([...options, MAIN, "sleep 3.5; echo alive"]);
  expect(ended).toMatchObject({ exitCode: 0, stdout: "alive\n", stderr: "" });
});
