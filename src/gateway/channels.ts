/**
 * The channels of one connection. Both sides number theirs as they like (RFC 4254 section 5.1); we stand between with a
 * number of our own, the same towards both, so that several far sides can serve one client.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import type { Side } from "./side.ts";

export type End = "client" | "far";

export interface Channel {
  /** Our number for it, towards both ends. */
  readonly id: number;
  readonly type: string;
  readonly far: Side;
  readonly openedBy: End;
  /** Each end's number for it; the opener's from the start, the other's once it has confirmed. */
  clientId: number;
  farId: number;
  isConfirmed: boolean;
  /** Which ends have sent CLOSE: after it an end may send nothing more (RFC 4254 section 5.3). */
  closedByClient: boolean;
  closedByFar: boolean;
}

/** Channels one connection may have at once; OpenSSH's `-D` under a browser reaches some hundreds. */
const CHANNELS_MAX = 1_024;

function violated(what: string): Fault {
  return new Fault("protocol.violated", `Cannot relay a channel: ${what}`);
}

export class Channels {
  readonly #byId = new Map<number, Channel>();
  #nextId = 0;

  get count(): number {
    return this.#byId.size;
  }

  get isFull(): boolean {
    return this.#byId.size >= CHANNELS_MAX;
  }

  /** Makes a channel that waits for the other end's confirmation. */
  open(openedBy: End, openerId: number, options: { type: string; far: Side }): Channel {
    const channel: Channel = {
      id: this.#nextId,
      type: options.type,
      far: options.far,
      openedBy,
      clientId: openedBy === "client" ? openerId : -1,
      farId: openedBy === "far" ? openerId : -1,
      isConfirmed: false,
      closedByClient: false,
      closedByFar: false,
    };
    this.#nextId = (this.#nextId + 1) >>> 0;
    this.#byId.set(channel.id, channel);
    return channel;
  }

  /**
   * Finds the channel that a message of `from` is about.
   *
   * @throws {Fault} `protocol.violated` when `from` may say nothing of it
   */
  find(id: number, from: End, side: Side | undefined): Channel {
    const channel = this.#byId.get(id);
    if (channel === undefined || (from === "far" && channel.far !== side)) throw violated(`no channel ${id}`);
    if (from === "client" ? channel.closedByClient : channel.closedByFar) throw violated(`channel ${id} was closed`);
    return channel;
  }

  /** Finds a channel that `from` may answer an open of. */
  findOpening(id: number, from: End, side: Side | undefined): Channel {
    const channel = this.find(id, from, side);
    if (channel.isConfirmed || channel.openedBy === from) throw violated(`channel ${id} is not being opened`);
    return channel;
  }

  /** Finds a channel in use. */
  findOpen(id: number, from: End, side: Side | undefined): Channel {
    const channel = this.find(id, from, side);
    if (!channel.isConfirmed) throw violated(`channel ${id} is not open yet`);
    return channel;
  }

  /**
   * Finds a channel whose other end can still use more window. Clients add window when their reader takes the last
   * bytes, even if both ends have closed by then; there is nobody to tell, and no harm (as OpenSSH has it).
   */
  findForWindow(id: number, from: End, side: Side | undefined): Channel | undefined {
    const channel = this.#byId.get(id);
    const hasClosed = from === "client" ? channel?.closedByClient : channel?.closedByFar;
    if (channel?.isConfirmed !== true || hasClosed === true || (from === "far" && channel.far !== side))
      return undefined;
    return channel;
  }

  remove(channel: Channel): void {
    this.#byId.delete(channel.id);
  }
}
