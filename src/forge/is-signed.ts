/**
 * Signatures of webhooks as GitHub, Gitea and Forgejo make them: HMAC with SHA-256 of the body, in hexadecimal.
 *
 * Called by their `webhook` readers.
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Verifies in constant time. An empty secret would be everybody's, so nothing is signed with it. */
export function isSigned(body: Buffer, signature: string, secret: string | undefined): boolean {
  if (secret === undefined || secret === "" || !/^[0-9a-f]{64}$/i.test(signature)) return false;
  return timingSafeEqual(Buffer.from(signature, "hex"), createHmac("sha256", secret).update(body).digest());
}
