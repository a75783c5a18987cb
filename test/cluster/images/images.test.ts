/**
 * The other images of the project, as their recipes leave them, run without a cluster.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { run, type Ended } from "../../harness/program.ts";
import { buildImage } from "./build-image.ts";
import { readImage } from "./read-image.ts";
import { whyNoImages } from "./why-no-images.ts";

const BUILD_MS = 600_000;

beforeEach((ctx) => {
  const lacks = whyNoImages();
  if (lacks !== undefined) ctx.skip(lacks);
});

/** Runs a program in the root file system of an image, as one of its users. */
async function runIn(name: string, user: string, words: readonly string[]): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-image-"));
  try {
    const { root, env } = await readImage(await buildImage(name), folder);
    return await run(["chroot", `--userspec=${user}`, root, ...words], { env });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test(
  "buildImage() makes a gateway in which slip, git, ssh and kubectl run as its user",
  async () => {
    const line =
      "slip serve --help | head -1; git --version; ssh -G x | head -1; kubectl kustomize --help | head -1; id -u";
    const { stdout, stderr } = await runIn("gateway", "1000:1000", ["sh", "-c", line]);
    const [slip, git, ssh, kubectl, uid] = stdout.split("\n");
    expect(slip, stderr).toMatch(/^slip serve /);
    expect(git).toMatch(/^git version 2\./);
    expect(ssh).toBeDefined();
    expect(kubectl).toMatch(/[Kk]ustomiz/);
    expect(uid).toBe("1000");
  },
  BUILD_MS,
);

test(
  "buildImage() makes a router whose haproxy takes its configuration, as its user",
  async () => {
    const checked = await runIn("router", "1000:1000", ["haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"]);
    expect(checked.exitCode, checked.stderr).toBe(0);
    expect((await runIn("router", "1000:1000", ["/usr/sbin/sshd", "-V"])).stderr).toContain("OpenSSH_");
  },
  BUILD_MS,
);

test(
  "buildImage() gives the same archive for the same recipe, without doing anything twice",
  async () => {
    const first = await buildImage("sample-distroless");
    const beganAt = performance.now();
    expect(await buildImage("sample-distroless")).toEqual(first);
    expect(performance.now() - beganAt).toBeLessThan(2_000);
  },
  BUILD_MS,
);
