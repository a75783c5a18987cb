/**
 * The address of a Unix socket whose path may be longer than the kernel takes.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";

/** 108 with the NUL at its end: unix(7), sun_path. */
const PATH_BYTES_MAX = 107;

/** Names the socket for `bind` or `connect`; disposing is for when that was done. */
export function socketPath(path: string): { readonly address: string } & Disposable {
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { address: path, [Symbol.dispose]: () => {} };
  const folder = openSync(dirname(path), "r");
  return {
    address: `/proc/self/fd/${folder}/${basename(path)}`,
    [Symbol.dispose]: () => {
      closeSync(folder);
    },
  };
}
