/**
 * A session channel that this process serves itself (RFC 4254 section 6): enough of one to run a command of the lobby,
 * print its output within the client's window and return its exit status.
 *
 * Called by `lobby.ts`.
 *
 * @module
 */
import { message } from "../../ssh/numbers.ts";
import type { WireReader } from "../../ssh/wire.ts";
import { WireWriter } from "../../ssh/wire.ts";

/** Runs one command line. @returns the exit status */
export type RunCommand = (
  line: string,
  io: { print: (line: string) => void; tell: (line: string) => void },
  signal: AbortSignal,
) => Promise<number>;

export interface ChannelOptions {
  /** The client's side: its number, its window and its longest packet, in bytes. */
  readonly id: number;
  readonly window: number;
  readonly packetBytes: number;
  readonly send: (payload: Buffer) => void;
  /** Whether the client's connection takes nothing more for now; `flush` when it does again. */
  readonly isHeld: () => boolean;
  readonly run: RunCommand;
}

/** What we let the client send ahead: it has nothing to say but a few requests. */
export const LOBBY_WINDOW_BYTES = 32_768;
const STDERR = 1;

interface Output {
  readonly bytes: Buffer;
  readonly isError: boolean;
}

export class SessionChannel {
  readonly #options: ChannelOptions;
  readonly #stop = new AbortController();
  #window: number;
  #waiting: Output[] = [];
  #hasTerminal = false;
  #isRunning = false;
  /** Set when the command has ended; sent behind the last output. */
  #exitStatus: number | undefined;
  #hasClosed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#window = options.window;
  }

  addWindow(bytes: number): void {
    this.#window += bytes;
    this.flush();
  }

  /** Sends what waits, as far as the client takes it. */
  flush(): void {
    if (this.#hasClosed) return;
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const length = Math.min(head.bytes.length, this.#window, this.#options.packetBytes);
      if (length === 0 || this.#options.isHeld()) return;
      this.#sendData(head.bytes.subarray(0, length), head.isError);
      if (length === head.bytes.length) this.#waiting.shift();
      else this.#waiting[0] = { bytes: head.bytes.subarray(length), isError: head.isError };
    }
    if (this.#exitStatus !== undefined) this.#finish(this.#exitStatus);
  }

  /** Takes a channel request; `reader` stands behind the request's name. */
  takeRequest(name: string, reader: WireReader): void {
    if (this.#hasClosed) return; // on its way when we closed: an answer behind CLOSE would break the protocol
    const wantsReply = reader.boolean();
    const isTaken = this.#accept(name);
    if (wantsReply) this.#sendBare(isTaken ? message.channelSuccess : message.channelFailure);
    if (!isTaken) return;
    if (name === "exec" || name === "shell") this.#start(name === "exec" ? reader.text() : "help");
    else if (name === "subsystem") this.#refuse(reader.text());
  }

  /** Ends the command, if one runs, and the channel. */
  close(): void {
    this.#stop.abort();
    if (this.#hasClosed) return;
    this.#hasClosed = true;
    this.#sendBare(message.channelClose);
  }

  #accept(name: string): boolean {
    switch (name) {
      case "pty-req":
        this.#hasTerminal = true;
        return true;
      case "env":
      case "window-change":
        return true;
      case "exec":
      case "shell":
      case "subsystem":
        return !this.#isRunning;
      default:
        return false;
    }
  }

  #start(line: string): void {
    this.#isRunning = true;
    const io = {
      print: (text: string): void => {
        this.#write(`${text}\n`, false);
      },
      tell: (text: string): void => {
        this.#write(`${text}\n`, true);
      },
    };
    void this.#options.run(line, io, this.#stop.signal).then((status) => {
      this.#exitStatus = status;
      this.flush();
    });
  }

  /** Ends like a command that failed: after a bare failure `sftp` would not print what was said before it. */
  #refuse(subsystem: string): void {
    this.#isRunning = true;
    this.#exitStatus = 1;
    this.#write(
      `slipway: the lobby has no ${JSON.stringify(subsystem.slice(0, 40))}; use an environment's login\n`,
      true,
    );
  }

  #write(text: string, isError: boolean): void {
    if (this.#hasClosed) return;
    // Without a terminal line discipline on our side, a raw terminal needs its own carriage returns.
    const shown = this.#hasTerminal ? text.replaceAll("\n", "\r\n") : text;
    if (shown !== "") this.#waiting.push({ bytes: Buffer.from(shown), isError });
    this.flush();
  }

  #sendData(bytes: Buffer, isError: boolean): void {
    this.#window -= bytes.length;
    const writer = new WireWriter().byte(isError ? message.channelExtendedData : message.channelData);
    writer.uint32(this.#options.id);
    if (isError) writer.uint32(STDERR);
    this.#options.send(writer.string(bytes).done());
  }

  /** Order is law: exit-status, EOF, CLOSE (RFC 4254 section 6.10). */
  #finish(status: number): void {
    this.#options.send(
      new WireWriter()
        .byte(message.channelRequest)
        .uint32(this.#options.id)
        .string("exit-status")
        .boolean(false)
        .uint32(status)
        .done(),
    );
    this.#sendBare(message.channelEof);
    this.close();
  }

  #sendBare(number: number): void {
    this.#options.send(new WireWriter().byte(number).uint32(this.#options.id).done());
  }
}
