/**
 * Global requests of a connection and their answers (RFC 4254 section 4). Answers carry no number: they come in the
 * order of the requests. Some are answered here and some by the far side, so every request of the client takes a place
 * in one queue, and answers leave only from its head.
 *
 * @module
 */
import type { Target, Verdict } from "../policy/forward.ts";
import { Fault } from "../base/fault.ts";
import { message } from "../ssh/numbers.ts";
import { WireReader, WireWriter } from "../ssh/wire.ts";
import type { Forwards } from "./forwards.ts";
import type { RelayOptions } from "./relay-options.ts";
import type { Side } from "./side.ts";

interface Place {
  /** Once known. */
  answer: Buffer | undefined;
  /** Called when the far side granted the request. */
  onGranted: (answer: WireReader) => void;
}

/** Unanswered requests one client may have (guess: clients wait for one after the other). */
const WAITING_MAX = 1_024;
/** Proofs of host keys one connection gets: OpenSSH asks for one. Each is some signatures; RSA takes 2 ms for one. */
const PROOFS_MAX = 8;
/** Sent to the client to learn whether it is there; any answer will do. */
const PROBE = "keepalive@openssh.com";

export class GlobalRequests {
  readonly #options: RelayOptions & { readonly forwards: Forwards };
  readonly #waiting: Place[] = [];
  #probesOpen = 0;
  #proofs = 0;

  constructor(options: RelayOptions & { readonly forwards: Forwards }) {
    this.#options = options;
  }

  probeClient(): number {
    const unanswered = this.#probesOpen;
    this.#probesOpen++;
    this.#options.client.send(new WireWriter().byte(message.globalRequest).string(PROBE).boolean(true).done());
    return unanswered;
  }

  fromClient(payload: Buffer): void {
    if (payload[0] === message.globalRequest) {
      this.#request(payload);
    } else if (this.#probesOpen > 0 && isAnswer(payload)) {
      this.#probesOpen--;
    } else {
      throw new Fault("protocol.violated", `Cannot relay message ${payload[0]}: nothing was asked`);
    }
  }

  fromFar(far: Side, payload: Buffer): void {
    if (payload[0] === message.globalRequest) {
      // The far side's own affairs, its host keys first of all, do not concern the client.
      const reader = new WireReader(payload, 1);
      reader.string();
      if (reader.boolean()) far.send(Buffer.of(message.requestFailure));
      return;
    }
    const place = this.#waiting.find((candidate) => candidate.answer === undefined);
    if (place === undefined || !isAnswer(payload)) {
      throw new Fault("protocol.violated", `Cannot relay message ${payload[0]}: nothing was asked`);
    }
    place.answer = Buffer.from(payload);
    if (payload[0] === message.requestSuccess) place.onGranted(new WireReader(payload, 1));
    this.#flush();
  }

  #request(payload: Buffer): void {
    const reader = new WireReader(payload, 1);
    const name = reader.text();
    const wantsReply = reader.boolean();
    switch (name) {
      case "hostkeys-prove-00@openssh.com":
        this.#proofs++;
        this.#answer(wantsReply, this.#proofs > PROOFS_MAX ? undefined : this.#options.proveHostKeys(reader.rest()));
        return;
      case "tcpip-forward":
      case "cancel-tcpip-forward":
      case "streamlocal-forward@openssh.com":
      case "cancel-streamlocal-forward@openssh.com":
        this.#forward(name, reader, wantsReply, payload);
        return;
      case PROBE:
      case "no-more-sessions@openssh.com":
        this.#relay(payload, wantsReply);
        return;
      default:
        this.#answer(wantsReply, undefined);
    }
  }

  #forward(name: string, reader: WireReader, wantsReply: boolean, payload: Buffer): void {
    const wanted: Target = name.includes("streamlocal")
      ? { type: name, path: reader.text() }
      : { type: name, host: reader.text(), port: reader.uint32() };
    const isCancel = name.startsWith("cancel-");
    if (!isCancel) {
      const verdict: Verdict = this.#options.forwards.isFull
        ? { allowed: false, reason: "this connection has too many forwards" }
        : this.#options.judge(wanted);
      this.#options.onOpened(wanted, verdict);
      if (!verdict.allowed) {
        this.#explain(verdict.reason);
        this.#answer(wantsReply, undefined);
        return;
      }
    }
    // Noted before the far side answers: it may open the first connection right behind its answer.
    this.#relay(payload, wantsReply, noteForward(this.#options.forwards, wanted, isCancel));
  }

  /** A refused request has no place for a reason; DEBUG has (RFC 4253 section 11.3), and `ssh -v` shows it. */
  #explain(reason: string): void {
    const text = `slipway: ${reason}`;
    this.#options.client.send(new WireWriter().byte(message.debug).boolean(true).string(text).string("").done());
  }

  #relay(payload: Buffer, wantsReply: boolean, onGranted: (answer: WireReader) => void = () => {}): void {
    if (wantsReply) this.#take({ answer: undefined, onGranted });
    this.#options.far.send(payload);
  }

  #answer(wantsReply: boolean, success: Buffer | undefined): void {
    if (!wantsReply) return;
    const answer =
      success === undefined
        ? Buffer.of(message.requestFailure)
        : new WireWriter().byte(message.requestSuccess).bytes(success).done();
    this.#take({ answer, onGranted: () => {} });
    this.#flush();
  }

  #take(place: Place): void {
    if (this.#waiting.length >= WAITING_MAX) {
      throw new Fault("protocol.violated", `Cannot take a global request: ${WAITING_MAX} are unanswered`);
    }
    this.#waiting.push(place);
  }

  #flush(): void {
    let head = this.#waiting[0];
    while (head?.answer !== undefined) {
      this.#options.client.send(head.answer);
      this.#waiting.shift();
      head = this.#waiting[0];
    }
  }
}

function isAnswer(payload: Buffer): boolean {
  return payload[0] === message.requestSuccess || payload[0] === message.requestFailure;
}

/** Keeps the list of what the client asked for; the port of a request for port 0 is in the answer. */
function noteForward(forwards: Forwards, wanted: Target, isCancel: boolean): (answer: WireReader) => void {
  const { path, port } = wanted;
  if (path !== undefined) {
    if (isCancel) forwards.removePath(path);
    else forwards.addPath(path);
  } else if (port !== undefined && port !== 0) {
    if (isCancel) forwards.removePort(port);
    else forwards.addPort(port);
  } else if (!isCancel) {
    return (answer) => {
      forwards.addPort(answer.uint32());
    };
  }
  return () => {};
}
