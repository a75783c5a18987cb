/**
 * Rotation of host keys without a warning at the client (OpenSSH PROTOCOL section 2.5): after a login the server names
 * all its keys, and a client that meets a new one asks for proof before it writes it to `known_hosts`.
 *
 * @module
 */
import { message } from "../ssh/numbers.ts";
import type { SigningKey } from "../ssh/private-keys.ts";
import type { Transport } from "../ssh/transport.ts";
import { WireReader, WireWriter } from "../ssh/wire.ts";

/** Writes the global request that names our keys. */
export function announceHostKeys(keys: readonly SigningKey[]): Buffer {
  const writer = new WireWriter().byte(message.globalRequest).string("hostkeys-00@openssh.com").boolean(false);
  for (const key of keys) writer.string(key.blob);
  return writer.done();
}

/**
 * Proves each key that the client asks for.
 *
 * @param request the keys' blobs, one string each
 * @returns the signatures in the same order, or `undefined` when a key is not ours
 */
export function proveHostKeys(keys: readonly SigningKey[], transport: Transport, request: Buffer): Buffer | undefined {
  const answer = new WireWriter();
  const reader = new WireReader(request);
  for (let left = request.length, asked = 0; left > 0; asked++) {
    const blob = reader.string();
    left -= 4 + blob.length;
    const key = keys.find((candidate) => candidate.blob.equals(blob));
    if (key === undefined || asked > keys.length) return undefined;
    // An RSA key proves itself with the algorithm of the key exchange, where that was RSA too.
    const agreed = transport.agreement.hostKey;
    const algorithm = key.algorithms.includes(agreed) ? agreed : key.algorithms[0];
    if (algorithm === undefined) return undefined;
    const signed = new WireWriter()
      .string("hostkeys-prove-00@openssh.com")
      .string(transport.sessionId)
      .string(blob)
      .done();
    answer.string(key.sign(algorithm, signed));
  }
  return answer.done();
}
