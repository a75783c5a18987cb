/**
 * Writes docker archives: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream, linkSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { mustRun } from "../../harness/program.ts";

/** How containers of an image are run. */
export interface ImageConfig {
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
}

export interface ArchiveOf {
  readonly ref: string;
  /** Tar of the root file system; on the same file system as `archive`. */
  readonly layer: string;
  readonly config: ImageConfig;
  /** Written whole or not at all. */
  readonly archive: string;
}

/** Names of processors in images, by Node's: https://go.dev/doc/install/source#environment, GOARCH. */
const PROCESSORS: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function writeArchive({ ref, layer, config, archive }: ArchiveOf): Promise<void> {
  const folder = mkdtempSync(`${archive}.`);
  try {
    linkSync(layer, join(folder, "layer.tar"));
    const hash = createHash("sha256");
    await pipeline(createReadStream(layer), hash);
    const text = JSON.stringify({
      architecture: PROCESSORS[process.arch] ?? process.arch,
      os: "linux",
      config: {
        Env: Object.entries({ PATH, ...config.env }).map(([name, value]) => `${name}=${value}`),
        ...(config.user === undefined ? {} : { User: config.user }),
        ...(config.workdir === undefined ? {} : { WorkingDir: config.workdir }),
        ...(config.entrypoint === undefined ? {} : { Entrypoint: config.entrypoint }),
        ...(config.cmd === undefined ? {} : { Cmd: config.cmd }),
        Labels: config.labels ?? {},
        ExposedPorts: Object.fromEntries((config.ports ?? []).map((port) => [`${port}/tcp`, {}])),
      },
      rootfs: { type: "layers", diff_ids: [`sha256:${hash.digest("hex")}`] },
    });
    writeFileSync(join(folder, "config.json"), text);
    const manifest = [{ Config: "config.json", RepoTags: [ref], Layers: ["layer.tar"] }];
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
    const names = ["manifest.json", "config.json", "layer.tar"];
    await mustRun(["tar", "--create", "--file", join(folder, "whole.tar"), "-C", folder, ...names], {
      timeoutMs: 600_000,
    });
    renameSync(join(folder, "whole.tar"), archive);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
