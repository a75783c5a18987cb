/**
 * The images that a test cluster cannot do without: the one that holds a pod's namespaces, and the one of its DNS.
 *
 * Both are made of Debian's programs on this machine, and kept beside Kubernetes' programs.
 *
 * @module
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { mustRun } from "../harness/program.ts";
import { PAUSE_IMAGE } from "./components.ts";
import { packImage, type ImageOf } from "./pack-image.ts";

/** What is kept is found by its name: a changed recipe needs a new number. */
export const DNS_IMAGE = "slipway.test/dns:1";

/** Reaps what is orphaned to it, where the containers of a pod share their processes. */
const PAUSE = "trap 'exit 0' TERM INT; sleep 2147483647 & while :; do wait $!; done";

/** Makes what is not there yet below `cache`, and returns the archives. */
export async function makeOwnImages(cache: string): Promise<string[]> {
  return Promise.all([
    makeImage(cache, PAUSE_IMAGE, async (root) => {
      mkdirSync(join(root, "bin"));
      copyProgram("/bin/busybox", join(root, "bin/busybox"));
      for (const name of ["sh", "sleep"]) symlinkSync("busybox", join(root, "bin", name));
      return Promise.resolve(["/bin/sh", "-c", PAUSE]);
    }),
    makeImage(cache, DNS_IMAGE, async (root) => {
      await copyWithLibraries("/usr/sbin/dnsmasq", root);
      mkdirSync(join(root, "etc"));
      writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/none\n"); // it asks for the name of whom it runs as
      writeFileSync(join(root, "etc/group"), "root:x:0:\n");
      return ["/usr/sbin/dnsmasq"];
    }),
  ]);
}

type Fill = (root: string) => Promise<ImageOf["command"]>;

async function makeImage(cache: string, ref: string, fill: Fill): Promise<string> {
  const archive = join(cache, "cluster-images", `${ref.replaceAll(/[^a-z0-9.]/g, "-")}.tar`);
  if (existsSync(archive)) return archive;
  const root = mkdtempSync(join(tmpdir(), "slipway-image-"));
  try {
    chmodSync(root, 0o755);
    await packImage({ ref, root, command: await fill(root), archive });
  } finally {
    rmSync(root, { recursive: true });
  }
  return archive;
}

/** Copies a program of this machine and the libraries it loads to the same places below `root`. */
export async function copyWithLibraries(program: string, root: string): Promise<void> {
  // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", and the loader without "=>": ldd(1)
  const listed = await mustRun(["ldd", program]);
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
  for (const path of [program, ...libraries]) copyProgram(path, join(root, path));
}

/** Copies one file that can be run. */
export function copyProgram(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}
