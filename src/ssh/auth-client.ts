/**
 * The client's half of public-key authentication (RFC 4252), for the connections that we make ourselves: one key,
 * signed at once, without asking first whether it would do.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { signedData } from "./auth-server.ts";
import { message } from "./numbers.ts";
import type { SigningKey } from "./private-keys.ts";
import type { Transport } from "./transport.ts";
import { WireWriter } from "./wire.ts";

/** Asks for the authentication service and proves `key` in one go, which saves a round trip. */
export function sendAuthentication(transport: Transport, user: string, key: SigningKey): void {
  const algorithm = key.algorithms[0];
  if (algorithm === undefined) throw new Error("Cannot sign: the key has no algorithm");
  transport.send(new WireWriter().byte(message.serviceRequest).string("ssh-userauth").done());
  const data = signedData(transport.sessionId, Buffer.from(user), algorithm, key.blob);
  // The signed data is the request behind the session id (4 + 32 bytes), so the request needs no second writing.
  const request = data.subarray(4 + transport.sessionId.length);
  transport.send(new WireWriter().bytes(request).string(key.sign(algorithm, data)).done());
}

/**
 * Takes a message of the server while it decides.
 *
 * @returns whether we are in
 * @throws {Fault} `runtime.failed` when the key is refused, `protocol.violated` for anything unexpected
 */
export function isAuthenticated(payload: Buffer): boolean {
  switch (payload[0]) {
    case message.serviceAccept:
    case message.userauthBanner:
      return false;
    case message.userauthSuccess:
      return true;
    case message.userauthFailure:
      throw new Fault("runtime.failed", "Cannot enter the environment: its sshd refuses the gateway's key");
    default:
      throw new Fault("protocol.violated", `Cannot authenticate: message ${payload[0]} out of turn`);
  }
}
