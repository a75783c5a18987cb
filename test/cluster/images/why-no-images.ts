/**
 * Says why images cannot be built, or containers of them run, on this machine.
 *
 * @module
 */
import { whyNot } from "../../harness/needs.ts";

/** What `build-image.ts` uses. */
export function whyNoImages(): string | undefined {
  if (process.platform !== "linux") return "images are built on Linux";
  if (process.getuid?.() !== 0) return "images are built by root";
  return whyNot("mmdebstrap", "unshare", "tar");
}

/** What `open-box.ts` uses beside that. */
export function whyNoBox(): string | undefined {
  return whyNoImages() ?? whyNot("runc", "ssh", "ssh-keygen");
}
