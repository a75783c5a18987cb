/**
 * Kubernetes' own programs, which Debian has as source only: built once for each machine, kept in the cache folder.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, globSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { prepare } from "../../tools/prepare.ts";
import { plainEnv } from "../harness/program.ts";
import { sourceEntries } from "./debian-sources.ts";
import { KUBERNETES_VERSION } from "./layout.ts";

/** Where what was built is kept: XDG Base Directory Specification. */
export function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "slipway");
}

/**
 * Returns the folder of the programs, and builds them when they are not there: six minutes on two processors.
 *
 * @throws {Error} that names the log when a step of the build fails
 */
export async function ensureKubernetes(tell: (text: string) => void): Promise<string> {
  const kept = join(cacheFolder(), `kubernetes-${KUBERNETES_VERSION}`);
  if (existsSync(kept)) return Promise.resolve(kept);
  if (prepare("cluster-build") !== 0) throw new Error("Cannot build Kubernetes: packages are missing");
  removeUnfinished(kept);
  const folder = `${kept}.building-${process.pid}`;
  const log = `${kept}.log`;
  mkdirSync(join(folder, "source"), { recursive: true });
  tell(`kubernetes: building ${KUBERNETES_VERSION} from Debian's source, once for this machine; follow it in ${log}`);
  fetchSource(folder, log);
  build(folder, log);
  const built = join(folder, "built");
  mkdirSync(built);
  const programs = globSync(join(folder, "source/_output/local/go/bin/kube*"));
  for (const program of programs) renameSync(program, join(built, basename(program)));
  if (!existsSync(kept)) renameSync(built, kept); // another build may have been faster
  rmSync(folder, { recursive: true });
  rmSync(log);
  return kept;
}

/** What builds that were killed have left. */
function removeUnfinished(kept: string): void {
  for (const folder of globSync(`${kept}.building-*`)) {
    if (!existsSync(`/proc/${folder.split("-").at(-1) ?? ""}`)) rmSync(folder, { recursive: true });
  }
}

/** With lists of apt's in a folder of our own: the machine's name no sources, and stay as they are. */
function fetchSource(folder: string, log: string): void {
  for (const below of ["sources", "lists/partial"]) mkdirSync(join(folder, below), { recursive: true });
  const release = /^VERSION_CODENAME=(\S+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  const files = globSync(["/etc/apt/sources.list", "/etc/apt/sources.list.d/*.{list,sources}"]);
  const entries = sourceEntries(
    files.map((file) => ({ isStanzas: file.endsWith(".sources"), text: readFileSync(file, "utf8") })),
    release,
  );
  if (entries === "") throw new Error(`Cannot build Kubernetes: apt knows no source of Debian ${release}`);
  writeFileSync(join(folder, "sources/slipway.sources"), entries);
  const options = [
    "Dir::Etc::sourcelist=/dev/null",
    `Dir::Etc::sourceparts=${join(folder, "sources")}`,
    `Dir::State::lists=${join(folder, "lists")}`,
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "APT::Sandbox::User=root", // the folder may be where its own user cannot go
  ].flatMap((option) => ["-o", option]);
  const shell = { cwd: folder, log };
  runStep(["apt-get", ...options, "update"], shell);
  runStep(["apt-get", ...options, "source", "--download-only", "kubernetes"], shell);
  const [archive] = readdirSync(folder).filter((file) => /^kubernetes_.*\.orig\.tar\./.test(file));
  if (archive?.includes(KUBERNETES_VERSION) !== true) {
    throw new Error(`Cannot build Kubernetes: Debian ${release} has ${archive ?? "none"}, needs ${KUBERNETES_VERSION}`);
  }
  runStep(["tar", "-C", "source", "--strip-components=1", "-xf", archive], shell);
}

function build(folder: string, log: string): void {
  const what = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"];
  const [major = "", minor = ""] = KUBERNETES_VERSION.split(".");
  const plain = plainEnv(folder);
  runStep(["make", `WHAT=${what.map((name) => `cmd/${name}`).join(" ")}`, "GOLDFLAGS=-s -w"], {
    cwd: join(folder, "source"),
    log,
    env: {
      ...plain,
      PATH: `/usr/lib/go-1.19/bin:${plain["PATH"] ?? ""}`,
      // All that it needs is in the source; the version is asked of a git repository unless it is said.
      GOPROXY: "off",
      GOFLAGS: "",
      KUBE_GIT_TREE_STATE: "archive",
      KUBE_GIT_VERSION: `v${KUBERNETES_VERSION}`,
      KUBE_GIT_COMMIT: "unknown",
      KUBE_GIT_MAJOR: major,
      KUBE_GIT_MINOR: minor,
    },
  });
}

interface Shell {
  readonly cwd: string;
  readonly log: string;
  readonly env?: NodeJS.ProcessEnv;
}

function runStep(words: readonly string[], { cwd, log, env = process.env }: Shell): void {
  const [program = "", ...args] = words;
  const output = openSync(log, "a");
  const { status } = spawnSync(program, args, { cwd, env, stdio: ["ignore", output, output] });
  closeSync(output);
  if (status !== 0) throw new Error(`Cannot build Kubernetes: ${program} ended with ${status}, see ${log}`);
}
