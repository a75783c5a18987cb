/**
 * The lobby, `ssh slip@host …`: a far side in this process, so that the relay treats it like any other.
 *
 * Called by `admit.ts` through `ports.ts`.
 *
 * @module
 */
import { Fault, faults, toldOf } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import type { Directory } from "../../forge/directory.ts";
import { payloadOf } from "../../ssh/ciphers.ts";
import { message, openFailure } from "../../ssh/numbers.ts";
import { WireReader, WireWriter } from "../../ssh/wire.ts";
import type { Lobby, LobbySession } from "../ports.ts";
import type { Sessions } from "../sessions.ts";
import { readCommand, type LobbyEnvironments, type LobbyPools } from "./commands.ts";
import { LOBBY_WINDOW_BYTES, SessionChannel, type RunCommand } from "./session-channel.ts";
import { splitWords } from "./words.ts";

export interface LobbyDeps {
  readonly environments: LobbyEnvironments;
  /** Absent where there are none. */
  readonly pools?: LobbyPools | undefined;
  readonly sessions: Sessions;
  readonly directory: Pick<Directory, "known">;
  readonly log: Log;
}

/** Makes the lobby. */
export function makeLobby(deps: LobbyDeps): Lobby {
  return {
    isLobby: (login) => login.toLowerCase() === "slip",
    open: (session) => {
      const run = makeRunner(deps, session, deps.log.with({ session: session.id, person: session.person.name }));
      return new LobbySide(session.toClient, run);
    },
  };
}

/** Makes control characters visible, as "^[" for escape: what one person's programs print must not drive another's terminal. */
function visible(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (character) => {
    const code = character.charCodeAt(0);
    return code < 32 ? `^${String.fromCharCode(code + 64)}` : "\ufffd";
  });
}

function makeRunner(deps: LobbyDeps, session: LobbySession, log: Log): RunCommand {
  const { person, keyBlob } = session;
  const who = { person: person.id, key: keyBlob.toString("base64") };
  return async (line, output, signal) => {
    const io = {
      print: (text: string): void => {
        output.print(visible(text));
      },
      tell: (text: string): void => {
        output.tell(visible(text));
      },
    };
    try {
      const { command, args, options } = readCommand(splitWords(line));
      log.info("lobby.command", { command: command.name });
      await command.run({ ...deps, ...io, person, who, args, options, signal });
      return 0;
    } catch (error) {
      if (error instanceof Fault) log.info("lobby.refused", { code: error.code, reason: error.message });
      else log.error("lobby.failed", error);
      io.tell(`slipway: ${toldOf(error)}`);
      return error instanceof Fault ? faults[error.code].exit : 70; // EX_SOFTWARE
    }
  };
}

/** Commands of one connection at once; each may hold a log of 256 KiB (guess). */
const CHANNELS_MAX = 16;

class LobbySide {
  /** It reads nothing of what it is sent. */
  readonly isFull = false;
  readonly #toClient: (payload: Buffer) => void;
  readonly #run: RunCommand;
  /** By the number that the relay gave them, which is ours as well. */
  readonly #channels = new Map<number, SessionChannel>();
  #isPaused = false;

  constructor(toClient: (payload: Buffer) => void, run: RunCommand) {
    this.#toClient = toClient;
    this.#run = run;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    for (const channel of this.#channels.values()) channel.flush();
  }

  forward(body: Buffer): void {
    this.send(payloadOf(body));
  }

  /** Takes a message that the relay has checked: its channel exists and is ours. */
  send(payload: Buffer): void {
    const reader = new WireReader(payload, 1);
    switch (payload[0]) {
      case message.globalRequest:
        reader.string();
        if (reader.boolean()) this.#toClient(Buffer.of(message.requestFailure));
        return;
      case message.channelOpen:
        this.#open(reader);
        return;
      case message.channelWindowAdjust:
        this.#channels.get(reader.uint32())?.addWindow(reader.uint32());
        return;
      case message.channelRequest:
        this.#channels.get(reader.uint32())?.takeRequest(reader.text(), reader);
        return;
      case message.channelData:
        this.#skip(reader.uint32(), reader.string().length);
        return;
      case message.channelClose:
        this.#close(reader.uint32());
        return;
      default: // EOF and extended data say nothing to a command that reads nothing
    }
  }

  end(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #open(reader: WireReader): void {
    reader.string();
    const id = reader.uint32();
    const window = reader.uint32();
    const packetBytes = reader.uint32();
    if (this.#channels.size >= CHANNELS_MAX) {
      const refusal = new WireWriter().byte(message.channelOpenFailure).uint32(id).uint32(openFailure.resourceShortage);
      this.#toClient(refusal.string(`the lobby runs ${CHANNELS_MAX} commands at once`).string("").done());
      return;
    }
    const isHeld = (): boolean => this.#isPaused;
    const channel = new SessionChannel({ id, window, packetBytes, isHeld, send: this.#toClient, run: this.#run });
    this.#channels.set(id, channel);
    const confirmation = new WireWriter().byte(message.channelOpenConfirmation).uint32(id).uint32(id);
    this.#toClient(confirmation.uint32(LOBBY_WINDOW_BYTES).uint32(LOBBY_WINDOW_BYTES).done());
  }

  #skip(id: number, bytes: number): void {
    this.#toClient(new WireWriter().byte(message.channelWindowAdjust).uint32(id).uint32(bytes).done());
  }

  #close(id: number): void {
    this.#channels.get(id)?.close();
    this.#channels.delete(id);
  }
}
