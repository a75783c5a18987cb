/**
 * Secrets as a server keeps them. `stringData`, which it takes too, it never gives back: an apply would change the object each
 * time, and could not take anything away (seen on 1.20.2).
 *
 * @module
 */

/** Writes the UTF-8 bytes of a text in base64. */
export function toBase64(text: string): string {
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return btoa(bytes);
}
