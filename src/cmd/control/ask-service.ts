/**
 * Asks the service that runs on a state folder, over its control socket.
 *
 * Called by `access-commands.ts`.
 *
 * @module
 */
import { type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { Fault, type FaultCode, faults } from "../../base/fault.ts";
import { type Asked, type ControlPath, ControlRefusal, type Shape } from "../../wire/control.ts";
import { socketPath } from "../../base/socket-path.ts";

/** A little more than the service takes at most. */
const ANSWER_MS_MAX = 65_000;

export interface Question<Path extends ControlPath> {
  /** Path of the control socket. */
  readonly socket: string;
  readonly path: Path;
  readonly asked: Asked<Path>;
}

/**
 * Asks one thing.
 *
 * @param shape what the answer has, from `controlRequests`
 * @throws {Fault} `service.absent` when no service runs there, else what the service refuses with
 */
export async function askService<Path extends ControlPath, Answer>(
  { socket, path, asked }: Question<Path>,
  shape: Shape<Answer>,
): Promise<Answer> {
  const response = await send(socket, path, JSON.stringify(asked));
  const body: unknown = await json(response).catch((cause: unknown) => {
    throw absent(socket, cause);
  });
  if (response.statusCode !== 200) throw faultOf(body);
  const read = shape.safeParse(body);
  if (!read.success) throw otherVersion();
  return read.data;
}

async function send(socket: string, path: string, body: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  try {
    using named = socketPath(socket);
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request({ socketPath: named.address, path, method: "POST", headers, signal, agent: false });
    sent.once("error", reject);
    sent.once("response", resolve);
    sent.end(body);
    return await promise;
  } catch (cause) {
    throw absent(socket, cause);
  }
}

function absent(socket: string, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const told =
    code === "EACCES"
      ? `${socket} is another user's: run this as the user of the service`
      : `no service answers on ${socket}; SLIPWAY_HOME names the state folder of one that runs`;
  return new Fault("service.absent", `Cannot ask the service: ${told}`, { told });
}

function faultOf(body: unknown): Fault {
  const refusal = ControlRefusal.safeParse(body);
  if (!refusal.success || !isFaultCode(refusal.data.code)) {
    return otherVersion();
  }
  const { code, message, told } = refusal.data;
  return new Fault(code, message, { told });
}

function otherVersion(): Fault {
  const told = "this slip and the running service are of different versions";
  return new Fault("service.failed", `Cannot read the answer: ${told}`, { told });
}

function isFaultCode(code: string): code is FaultCode {
  return Object.hasOwn(faults, code);
}
