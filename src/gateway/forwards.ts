/**
 * What a client has asked the far side to open back towards it. The programs of an environment are its person's, and
 * may be anyone's in effect (a bad package): without this list one of them could open `auth-agent@openssh.com` and use
 * the keys of a client that never asked for agent forwarding.
 *
 * @module
 */
import { WireReader } from "../ssh/wire.ts";

/** Ports and sockets one connection may have forwarded at once, granted by the far side or not (guess). */
const FORWARDS_MAX = 1_024;

export class Forwards {
  readonly #ports = new Map<number, number>();
  readonly #paths = new Set<string>();
  #hasAgent = false;

  get isFull(): boolean {
    return this.#ports.size + this.#paths.size >= FORWARDS_MAX;
  }

  askAgent(): void {
    this.#hasAgent = true;
  }

  addPort(port: number): void {
    this.#ports.set(port, (this.#ports.get(port) ?? 0) + 1);
  }

  removePort(port: number): void {
    const left = (this.#ports.get(port) ?? 0) - 1;
    if (left > 0) this.#ports.set(port, left);
    else this.#ports.delete(port);
  }

  addPath(path: string): void {
    this.#paths.add(path);
  }

  removePath(path: string): void {
    this.#paths.delete(path);
  }

  /** Says whether the client asked for what the far side now opens; `details` is the end of the CHANNEL_OPEN. */
  wasAsked(type: string, details: Buffer): boolean {
    const reader = new WireReader(details);
    switch (type) {
      case "auth-agent@openssh.com":
        return this.#hasAgent;
      case "forwarded-tcpip":
        reader.string();
        return this.#ports.has(reader.uint32());
      case "forwarded-streamlocal@openssh.com":
        return this.#paths.has(reader.text());
      default:
        return false;
    }
  }
}
