/**
 * `ssh` of OpenSSH with a terminal at both ends.
 *
 * @module
 */
import { expect, test } from "vitest";
import { sshOnTerminal, type Terminal } from "../harness/terminal.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";

/** Logs in on a terminal; the prompt is a word that nothing else writes. BusyBox asks after it where the cursor is. */
async function logIn(args: readonly string[] = []): Promise<Terminal> {
  const terminal = sshOnTerminal(service().as("ada"), [...args, MAIN]);
  await terminal.untilOutput(/\$ \S{0,4}$/);
  terminal.type("PS1='PRO''MPT '\r");
  await terminal.untilOutput(/PROMPT \S{0,4}$/);
  return terminal;
}

test("ssh without a command gives a login shell on a terminal, in the checkout", async () => {
  // Only login shells read it, of whatever kind they are.
  await service().as("ada").ssh([MAIN, "echo 'export PROFILE=read' >>~/.profile"]);
  const terminal = await logIn();
  terminal.type("tty; pwd; echo term=$TERM; echo profile=$PROFILE; stty size; exit 5\r");
  await terminal.untilOutput(
    /\/dev\/pts\/\d+\r\n\/workspace\/hello\r\nterm=xterm-256color\r\nprofile=read\r\n24 80\r\n/,
  );
  expect((await terminal.ended).exitCode).toBe(5);
});

test("ssh tells the far terminal each new size, after a storm of them the last", async () => {
  const terminal = await logIn();
  // Not in the login shell itself, which attends to a trap only when a key is pressed.
  terminal.type("bash -c 'trap \"stty size\" WINCH; echo wait''ing; while :; do sleep 0.05; done'\r");
  await terminal.untilOutput(/waiting/);
  terminal.resize(30, 100);
  await terminal.untilOutput(/^30 100\r$/m);
  for (let step = 1; step <= 200; step++) terminal.resize(30 + (step % 50), 100 + step);
  terminal.resize(50, 132);
  // A signal that meets this client just before it waits for input is taken up at the next key: so keys are pressed.
  await until(
    "the last size",
    () => {
      terminal.type(" ");
      return /^ *50 132\r$/m.test(terminal.stdout());
    },
    25_000,
  );
  terminal.type("\x03");
  terminal.type("exit\r");
  await terminal.ended;
});

test("ssh sends Ctrl-C as an interrupt to what runs in the foreground, and Ctrl-D as the end", async () => {
  const terminal = await logIn();
  // It says so itself that it is in the foreground: before, the shell would take the key.
  terminal.type("sh -c 'echo o''n; exec sleep 1000'\r");
  await terminal.untilOutput(/^on\r$/m);
  terminal.type("\x03");
  await terminal.untilOutput(/\^C[^]*PROMPT \S{0,4}$/);
  terminal.type("echo rc=$?; cat; echo rc=$?\r");
  await terminal.untilOutput(/rc=130/);
  terminal.type("\x04");
  await terminal.untilOutput(/rc=0\r\n[^]*PROMPT \S{0,4}$/);
  terminal.type("\x04");
  expect((await terminal.ended).exitCode).toBe(0);
});

test("ssh -t puts a command on a terminal", async () => {
  const terminal = sshOnTerminal(service().as("ada"), ["-t", MAIN, "stty size; echo error >&2; exit 4"]);
  expect(await terminal.ended).toMatchObject({
    exitCode: 4,
    stdout: expect.stringMatching(/^24 80\r\nerror\r\n/) as unknown,
  });
});

test("ssh -tt puts a command on a terminal that the client itself has not", async () => {
  const running = service().as("ada").startSsh(["-tt", MAIN, "sh -c 'tty; exec sleep 1000'; echo rc=$?; exit 6"]);
  await running.untilOutput(/^\/dev\/pts\/\d+\r\n/);
  running.stdin.write("\x03");
  expect(await running.ended).toMatchObject({ exitCode: 255, stdout: expect.not.stringContaining("rc=") as unknown });
});

test("ssh ends by its escape ~. while the far side says nothing", async () => {
  const terminal = await logIn();
  terminal.type("sleep 1000\r");
  await terminal.untilOutput(/sleep 1000\r\n/);
  terminal.type("\r~.");
  expect((await terminal.ended).exitCode).toBe(255);
});

test("ssh hands on a flood of output that is stopped and let go again", async () => {
  const terminal = await logIn();
  terminal.type("seq 200000 | sed 's/^/line /'; echo all''done\r");
  await terminal.untilOutput(/line 100\r\n/);
  terminal.type("\x13");
  terminal.type("\x11");
  await terminal.untilOutput(/line 200000\r\nalldone/);
  terminal.type("exit\r");
  const { stdout } = await terminal.ended;
  expect(stdout.match(/^line \d+\r$/gm)).toHaveLength(200_000);
});
