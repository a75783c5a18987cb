/**
 * The host keys as a running service uses them: read again when somebody has rotated them beside it, which the audit log
 * is told of here: it has one writer, the service, so `slip hostkey rotate` cannot tell it.
 *
 * Called by `service.ts` alone.
 *
 * @module
 */
import { fingerprintOf } from "../base/fingerprint.ts";
import type { Log } from "../base/log.ts";
import type { Audit } from "../gateway/ports.ts";
import { makeSigningKey, type SigningKey } from "../ssh/private-keys.ts";
import { watchHostKeys } from "../store/host-keys.ts";

export interface WatchOptions {
  readonly audit: Pick<Audit, "append">;
  readonly log: Log;
}

/**
 * Makes a reader of the host keys in `folder` as they are now; of those read last, where somebody has left a file that
 * is none. What changed since the call before is recorded.
 */
export function watchSigningKeys(folder: string, { audit, log }: WatchOptions): () => readonly SigningKey[] {
  const read = watchHostKeys(folder);
  let files = read();
  let keys = files.map((file) => makeSigningKey(file.key));
  return () => {
    try {
      const now = read();
      if (now === files) return keys;
      const before = keys;
      keys = now.map((file) => makeSigningKey(file.key));
      files = now;
      for (const added of fingerprintsBeside(keys, before)) void audit.append({ type: "hostkey.rotated", added });
      for (const retired of fingerprintsBeside(before, keys)) void audit.append({ type: "hostkey.rotated", retired });
    } catch (error) {
      log.error("hostkeys.unreadable", error);
    }
    return keys;
  };
}

/** Fingerprints of those of `keys` that are not among `others`. */
function fingerprintsBeside(keys: readonly SigningKey[], others: readonly SigningKey[]): string[] {
  return keys
    .filter(({ blob }) => !others.some((other) => other.blob.equals(blob)))
    .map(({ blob }) => fingerprintOf(blob));
}
