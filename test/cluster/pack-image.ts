/**
 * Makes a docker archive, which `ctr images import` takes, of a folder: one layer, one configuration, one manifest.
 *
 * For the two images that a test cluster needs before any other; those of the project are made in `images/`.
 * The format: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { mustRun } from "../harness/program.ts";

export interface ImageOf {
  readonly ref: string;
  /** Becomes `/` of the image; everything in it belongs to root. */
  readonly root: string;
  readonly command: readonly string[];
  /** The archive is written here, whole or not at all. */
  readonly archive: string;
}

export async function packImage({ ref, root, command, archive }: ImageOf): Promise<void> {
  mkdirSync(dirname(archive), { recursive: true });
  const folder = mkdtempSync(`${archive}.`);
  try {
    const layer = join(folder, "layer.tar");
    await mustRun(["tar", "--create", "--file", layer, "--numeric-owner", "--owner=0", "--group=0", "-C", root, "."]);
    const digest = createHash("sha256").update(readFileSync(layer)).digest("hex");
    const config = {
      architecture: { x64: "amd64" }[process.arch as string] ?? process.arch,
      os: "linux",
      config: { Entrypoint: command, Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
    };
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: [ref], Layers: ["layer.tar"] }];
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
    const whole = join(folder, "whole.tar");
    await mustRun(["tar", "-cf", whole, "-C", folder, "manifest.json", "config.json", "layer.tar"]);
    renameSync(whole, archive);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
