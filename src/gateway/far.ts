/**
 * The far leg of a session: our own client connection to the `sshd` inside an environment, over the byte stream that
 * the runtime gives.
 *
 * Called by `admit.ts`, and by the benchmarks as a client that costs little.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { isAuthenticated, sendAuthentication } from "../ssh/auth-client.ts";
import type { SigningKey } from "../ssh/private-keys.ts";
import { Transport, type Ending, type TransportOptions } from "../ssh/transport.ts";

/** The part of a runtime's reach that a relay uses (`runtime/runtime.ts` has the whole). */
export interface Reached {
  readonly stream: Duplex;
  /** The only host key to believe. */
  readonly hostKey: Buffer;
  readonly user: string;
  /** Sentence for the person on what kept its sshd from letting anybody in, where that can be told. */
  readonly trouble?: () => string | undefined;
  /** Called once when the far side has let us in. */
  readonly entered?: () => void;
}

/** What the far leg tells once it is authenticated. */
export interface FarHandler {
  message(payload: Buffer, body: Buffer): void;
  drained(): void;
  ended(ending: Ending): void;
}

/** When our side renews the keys; the peer may at any time. */
export type RekeyLimits = Pick<TransportOptions, "rekeyBytes" | "rekeyMs">;

export interface EnterOptions {
  readonly key: SigningKey;
  readonly clock: Clock;
  readonly handler: FarHandler;
  /** @default those of `Transport` */
  readonly rekey?: RekeyLimits | undefined;
}

/** The inner handshake takes some 20 ms here; a machine in trouble gets this long, in milliseconds (guess). */
const ENTER_MS = 20_000;

/**
 * Authenticates to the far side. Messages go to the handler from the moment this resolves.
 *
 * @throws {Fault} `runtime.failed` when the far side cannot be entered
 */
export async function enterFar(reached: Reached, options: EnterOptions, signal: AbortSignal): Promise<Transport> {
  const { promise, resolve, reject } = Promise.withResolvers<Transport>();
  let isInside = false;
  const fail = (error: unknown): void => {
    const told = reached.trouble?.() ?? "the environment could not be entered";
    reject(
      new Fault("runtime.failed", "Cannot enter the environment: its sshd did not let us in", { told, cause: error }),
    );
  };
  const transport = new Transport(
    {
      ...options.rekey,
      stream: reached.stream,
      clock: options.clock,
      kex: {
        role: "client",
        hostKeyAlgorithms: ["ssh-ed25519"],
        isExpected: (blob) => blob.equals(reached.hostKey),
      },
    },
    {
      ready: () => {
        transport.trust();
        sendAuthentication(transport, reached.user, options.key);
      },
      message: (payload, body) => {
        if (isInside) {
          options.handler.message(payload, body);
        } else if (isAuthenticated(payload)) {
          isInside = true;
          reached.entered?.();
          resolve(transport);
        }
      },
      drained: () => {
        if (isInside) options.handler.drained();
      },
      ended: (ending) => {
        if (isInside) options.handler.ended(ending);
        else fail(ending.cause ?? new Error(ending.text));
      },
    },
  );
  const onAbort = (): void => {
    transport.destroy("the session ended while the environment was entered");
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const cancel = options.clock.after(ENTER_MS, () => {
    transport.destroy(`the sshd inside did not answer within ${ENTER_MS / 1_000} s`);
  });
  try {
    return await promise;
  } finally {
    cancel();
    signal.removeEventListener("abort", onAbort);
  }
}
