/**
 * The live sessions of this process: who is in, and how to end one.
 *
 * Written by `connection.ts`; read by the lobby, the metrics and shutdown.
 *
 * @module
 */
import { randomBytes } from "node:crypto";

/** One admitted SSH connection, as others may see it. Times are epoch ms. */
export interface Session {
  readonly id: string;
  /** What the person is called. */
  readonly person: string;
  /** Whose it is, whatever they are called. */
  readonly personId: string;
  readonly login: string;
  /** Address of the client. */
  readonly from: string;
  /** `SHA256:…` of the key that was proved. */
  readonly fingerprint: string;
  /** Identification line of the client. */
  readonly client: string;
  readonly since: number;
  /** Environment id, once there is one; the lobby has none. */
  readonly environment: string | undefined;
  readonly lastInputAt: number;
  readonly bytesFromClient: number;
  readonly bytesToClient: number;
  readonly channelCount: number;
  /** Cuts it: the client is told `reason`, one sentence without full stop. */
  end(reason: string): void;
}

/** A session id: short enough to say on the telephone, random enough not to meet again. */
export function makeSessionId(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  return `s-${Array.from(randomBytes(8), (byte) => letters[byte % letters.length]).join("")}`;
}

export class Sessions {
  readonly #byId = new Map<string, Session>();
  #onEmpty: (() => void)[] = [];

  add(session: Session): void {
    this.#byId.set(session.id, session);
  }

  remove(session: Session): void {
    this.#byId.delete(session.id);
    if (this.#byId.size === 0) for (const tell of this.#onEmpty.splice(0)) tell();
  }

  get count(): number {
    return this.#byId.size;
  }

  countOf(personId: string): number {
    return this.all().filter((session) => session.personId === personId).length;
  }

  all(): Session[] {
    return [...this.#byId.values()];
  }

  find(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  /** Ends every session that `isMeant`. @returns how many there were */
  endAll(reason: string, isMeant: (session: Session) => boolean = () => true): number {
    const meant = this.all().filter(isMeant);
    for (const session of meant) session.end(reason);
    return meant.length;
  }

  /** Resolves once no session is left. */
  async untilEmpty(): Promise<void> {
    if (this.#byId.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty.push(resolve);
    });
  }
}
