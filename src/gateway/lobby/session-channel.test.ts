import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { message } from "../../ssh/numbers.ts";
import { WireReader, WireWriter } from "../../ssh/wire.ts";
import { SessionChannel, type ChannelOptions } from "./session-channel.ts";

function request(channel: SessionChannel, name: string, argument = ""): void {
  const details = new WireWriter().boolean(true).string(argument).done();
  channel.takeRequest(name, new WireReader(details));
}

function openChannel(options: Partial<ChannelOptions> = {}): { channel: SessionChannel; sent: number[] } {
  const sent: number[] = [];
  const channel = new SessionChannel({
    id: 0,
    window: 1_000,
    packetBytes: 1_000,
    send: (payload) => sent.push(payload[0] ?? 0),
    isHeld: () => false,
    run: async (_line, io) => {
      io.print("done");
      return 0;
    },
    ...options,
  });
  return { channel, sent };
}

const whole = [99, message.channelData, message.channelRequest, message.channelEof, message.channelClose];

/** Issue 2: PuTTY asks `winadj@putty…` for each piece of data; the answer behind our CLOSE cut the whole connection. */
test("SessionChannel answers nothing behind its CLOSE (RFC 4254 section 5.3)", async () => {
  const { channel, sent } = openChannel();
  request(channel, "exec", "ls");
  await turn();
  expect(sent).toEqual(whole);
  request(channel, "winadj@putty.projects.tartarus.org");
  request(channel, "exec", "ls");
  channel.addWindow(1_000);
  channel.close();
  await turn();
  expect(sent).toEqual(whole);
});

test("SessionChannel does not turn in circles for a client that takes packets of 0 bytes, or has no window", async () => {
  for (const options of [{ packetBytes: 0 }, { window: 0 }]) {
    const { channel, sent } = openChannel(options);
    request(channel, "exec", "ls");
    await turn();
    expect(sent).toEqual([99]);
    channel.close();
    expect(sent).toEqual([99, message.channelClose]);
  }
});

test("SessionChannel runs one command, and refuses a second while it runs and after", async () => {
  const isOver = Promise.withResolvers<number>();
  const { channel, sent } = openChannel({ run: () => isOver.promise });
  request(channel, "exec", "ls");
  request(channel, "shell");
  expect(sent).toEqual([99, 100]);
  isOver.resolve(3);
  await turn();
  expect(sent.slice(2)).toEqual([message.channelRequest, message.channelEof, message.channelClose]);
});
