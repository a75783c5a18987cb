/**
 * Requests on a session channel that OpenSSH's own client makes seldom or never: a break, and whatever comes when its
 * input has ended already. Made by a client of our own transport, as `sshd` inside understands them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { connectRaw } from "../../bench/lib/raw-client.ts";
import { message } from "../../src/ssh/numbers.ts";
import type { Transport } from "../../src/ssh/transport.ts";
import { WireReader, WireWriter } from "../../src/ssh/wire.ts";
import { sshOnTerminal } from "../harness/terminal.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService();
const LOGIN = "hello-main";

/** One session channel, and all that came on it. */
interface RawSession {
  readonly transport: Transport;
  /** Numbers of the messages other than data, in order. */
  readonly numbers: number[];
  output(): string;
  exitStatus(): number | undefined;
  /** Sends a request that wants an answer. @returns whether it was granted */
  ask(type: string, details?: (writer: WireWriter) => WireWriter): Promise<boolean>;
  /** Sends a message that is about this channel and has no more to it. */
  say(number: number): void;
}

async function openRawSession(): Promise<RawSession> {
  const [, hostKey = ""] = / ssh-ed25519 (\S+)/.exec(readFileSync(service().knownHosts, "utf8")) ?? [];
  const { identityFile } = service().as("ada");
  const stop = new AbortController();
  const numbers: number[] = [];
  let [output, exitStatus, far]: [string, number | undefined, number] = ["", undefined, -1];
  const transport = await connectRaw(
    { port: service().port, user: LOGIN, hostKey, identityFile },
    {
      message: (payload) => {
        const reader = new WireReader(payload, 5);
        const number = payload[0] ?? 0;
        if (number === message.channelOpenConfirmation) far = reader.uint32();
        if (number === message.channelData) output += reader.text();
        else if (number === message.channelRequest && reader.text() === "exit-status") {
          reader.boolean();
          exitStatus = reader.uint32();
        }
        if (number >= message.channelOpenConfirmation && number !== message.channelData) numbers.push(number);
      },
      drained: () => {},
      ended: () => {},
    },
    stop.signal,
  );
  onTestFinished(() => transport.destroy("the test is over"));
  const open = new WireWriter().byte(message.channelOpen).string("session").uint32(0).uint32(2e6).uint32(32_768);
  transport.send(open.done());
  await until("the channel", () => far >= 0);
  return {
    ...{ transport, numbers },
    output: () => output,
    exitStatus: () => exitStatus,
    ask: async (type, details = (writer) => writer) => {
      const isAnswer = (number: number): boolean =>
        number === message.channelSuccess || number === message.channelFailure;
      const before = numbers.filter(isAnswer).length;
      const request = new WireWriter().byte(message.channelRequest).uint32(far).string(type).boolean(true);
      transport.send(details(request).done());
      const answer = await until(`an answer to ${type}`, () => numbers.filter(isAnswer)[before]);
      return answer === message.channelSuccess;
    },
    say: (number) => transport.send(new WireWriter().byte(number).uint32(far).done()),
  };
}

const PTY = (writer: WireWriter): WireWriter =>
  writer.string("xterm").uint32(80).uint32(24).uint32(0).uint32(0).string(Buffer.of(0));

test("a break on a terminal is granted, and refused where there is none; the session goes on (RFC 4335)", async () => {
  const session = await openRawSession();
  expect(await session.ask("break", (writer) => writer.uint32(1_000))).toBe(false);
  expect(await session.ask("pty-req", PTY)).toBe(true);
  expect(await session.ask("exec", (writer) => writer.string("echo up; read line; exit 4"))).toBe(true);
  await until("the command", () => session.output().includes("up"));
  expect(await session.ask("break", (writer) => writer.uint32(500))).toBe(true);
  session.transport.send(new WireWriter().byte(message.channelData).uint32(0).string("on\r").done());
  await until("its end", () => session.exitStatus() !== undefined);
  expect(session.exitStatus()).toBe(4);
});

test("ssh with ~B at a terminal sends a break, and goes on", async () => {
  const terminal = sshOnTerminal(service().as("ada"), [`${LOGIN}@slipway`]);
  await terminal.untilOutput(/\$ \S{0,4}$/);
  terminal.type("\r~B");
  await terminal.untilOutput(/~B\r\n/);
  terminal.type("echo still''here; exit 6\r");
  await terminal.untilOutput(/stillhere\r\n/);
  expect((await terminal.ended).exitCode).toBe(6);
});

/** RFC 4254 section 5.3: after EOF an end sends no more data; of requests it says nothing. */
test("requests that come after the client's EOF reach the command, and are answered", async () => {
  const session = await openRawSession();
  const command = 'trap "echo told; exit 5" TERM; cat; echo over; while :; do sleep 0.05; done';
  expect(await session.ask("exec", (writer) => writer.string(command))).toBe(true);
  session.say(message.channelEof);
  await until("the command to have read the end", () => session.output().includes("over"));
  expect(await session.ask("made-up@example.org")).toBe(false);
  expect(await session.ask("signal", (writer) => writer.string("TERM"))).toBe(true);
  await until("CLOSE", () => session.numbers.includes(message.channelClose));
  expect([session.output(), session.exitStatus()]).toEqual(["over\ntold\n", 5]);
});

/** That its input would never end is sshd's doing: 9.2 forgets an EOF that comes before the command, without us as well. */
test("a command that is asked for after the client's EOF runs, and tells how it ended", async () => {
  const session = await openRawSession();
  session.say(message.channelEof);
  expect(await session.ask("env", (writer) => writer.string("LATE").string("1"))).toBe(true);
  expect(await session.ask("exec", (writer) => writer.string("echo late=$LATE; exit 3"))).toBe(true);
  await until("its end", () => session.exitStatus() !== undefined);
  expect([session.output(), session.exitStatus()]).toEqual(["late=1\n", 3]);
});
