/**
 * Unpacks an image that `build-image.ts` made, for running it without a container engine.
 *
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../harness/program.ts";
import type { BuiltImage } from "./build-image.ts";
import { unpack } from "./chroot.ts";

export interface UnpackedImage {
  /** Folder of its root file system. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Unpacks one below `folder`. */
export async function readImage({ tarPath }: BuiltImage, folder: string): Promise<UnpackedImage> {
  const archive = join(folder, "archive");
  const root = join(folder, "root");
  for (const made of [archive, root]) mkdirSync(made);
  await mustRun(["tar", "--extract", "--file", tarPath, "-C", archive], { timeoutMs: 120_000 });
  await unpack(join(archive, "layer.tar"), root);
  const { config } = JSON.parse(readFileSync(join(archive, "config.json"), "utf8")) as { config: { Env: string[] } };
  const pairs = config.Env.map((pair): [string, string] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return { root, env: Object.fromEntries(pairs) };
}
