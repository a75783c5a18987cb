/**
 * A container made as the Kubernetes runtime has its target made, without a cluster: an image's root file system, read-only,
 * the toolbox beside it, no capabilities, nothing to gain. runc runs it, as it does for containerd.
 *
 * @module
 */
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSshdConfig } from "../../../src/runtime/sshd-config.ts";
import { DOOR, INIT, INSIDE, KEYS, RUN, STATE, WORKSPACE } from "../../../src/runtime/kubernetes/inside.ts";
import { makeKey } from "../../harness/client.ts";
import { mustRun, run, start, type Ended, type RunOptions, type Running } from "../../harness/program.ts";
import { until } from "../../harness/wait.ts";
import { buildImage } from "./build-image.ts";
import { readImage } from "./read-image.ts";

export interface BoxOptions {
  /** Name of a recipe. */
  readonly image: string;
  readonly uid: number;
  /** Over those of the image. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of sessions, as the gateway sets them. */
  readonly sessionEnv?: Readonly<Record<string, string>>;
}

export interface Box extends AsyncDisposable {
  /** For `-F` of ssh and its like; the host is called `box`. */
  readonly sshConfig: string;
  /** Time that the init container took to fill the volumes, in milliseconds. */
  readonly filledMs: number;
  /** Folder on this machine that is `/workspace` inside. */
  readonly workspace: string;
  /** The log inside. */
  log(): string;
  ssh(words: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Starts a program inside, with pipes and no terminal, as an exec of Kubernetes does. */
  startInside(words: readonly string[]): Running;
  runInside(words: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Sends a signal to process 1. */
  signal(name: string): Promise<void>;
  untilEnded(waitMs: number): Promise<void>;
}

/** Name of the user inside. */
export const USER = "dev";

/** Opens one, its `init` ready. */
export async function openBox(options: BoxOptions): Promise<Box> {
  const { image, uid } = options;
  const folder = mkdtempSync(join(tmpdir(), "slipway-box-"));
  chmodSync(folder, 0o755);
  const [target, toolbox] = await Promise.all([readImage(await buildImage(image), folder), readToolbox(folder)]);
  const at = (name: string): string => join(folder, name);
  for (const name of ["tools", "files", "run", "keys"]) {
    mkdirSync(at(name));
    chownSync(at(name), uid, uid);
  }
  await makeKey(at("keys/host_ed25519"), "ed25519", "box");
  await makeKey(at("id"), "ed25519", "gateway");
  writeFileSync(at("keys/authorized_keys"), readFileSync(at("id.pub")));
  for (const name of ["keys/host_ed25519", "keys/authorized_keys"]) chownSync(at(name), uid, uid);

  const runc = ["runc", "--root", at("runc")];
  const filling = makeBundle(folder, "filler", {
    root: toolbox.root,
    uid,
    env: {},
    words: [`${INSIDE}/bin/fill`, "/slipway/tools", "/slipway/files"],
    mounts: [bind(at("tools"), "/slipway/tools"), bind(at("files"), "/slipway/files")],
  });
  const beganAt = performance.now();
  await mustRun([...runc, "run", "--bundle", filling, nameOf(folder, "filler")]);
  const filledMs = performance.now() - beganAt;

  const name = nameOf(folder, "target");
  const bundle = makeBundle(folder, "target", {
    root: target.root,
    uid,
    env: { ...target.env, HOME: `/home/${USER}`, SLIPWAY_USER: USER, SLIPWAY_WORKSPACE: WORKSPACE, ...options.env },
    words: [INIT],
    mounts: [
      bind(at("tools"), INSIDE, "ro"),
      bind(at("run"), RUN),
      bind(at("keys"), KEYS, "ro"),
      bind(at("files/workspace"), WORKSPACE),
      bind(at("files/home"), `/home/${USER}`),
      bind(at("files/state"), STATE),
    ],
  });
  const main = start([...runc, "run", "--bundle", bundle, name]);
  let isOver = false;
  void main.ended.then(() => (isOver = true));
  const startInside = (words: readonly string[]): Running => start([...runc, "exec", name, ...words]);
  const runInside = async (words: readonly string[], given?: RunOptions): Promise<Ended> =>
    run([...runc, "exec", name, ...words], given);
  await until("init", async () => (await runInside([`${INSIDE}/applets/test`, "-e", `${RUN}/ready`])).exitCode === 0);

  const line = doorLine({ HOME: `/home/${USER}`, SLIPWAY_WORKSPACE: WORKSPACE, ...options.sessionEnv });
  writeFileSync(at("line"), line);
  // The door is what ssh waits for: whatever else had its output would keep that open.
  const door = [...runc, "exec", name, DOOR].join(" ");
  writeFileSync(at("door.sh"), `exec ${door} < <(exec cat "${at("line")}" - 2>/dev/null)\n`);
  writeFileSync(at("config"), configText(folder));
  chmodSync(at("config"), 0o600);

  return {
    sshConfig: at("config"),
    filledMs,
    workspace: at("files/workspace"),
    log: () => (existsSync(at("files/state/log")) ? readFileSync(at("files/state/log"), "utf8") : ""),
    ssh: async (words, given) => run(["ssh", "-F", at("config"), ...words], given),
    startInside,
    runInside,
    signal: async (signal) => {
      await mustRun([...runc, "kill", name, signal]);
    },
    untilEnded: async (waitMs) => {
      await until("the end of the box", () => isOver, waitMs);
    },
    [Symbol.asyncDispose]: async () => {
      await run([...runc, "delete", "--force", name]);
      await main.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What `door` reads first. */
function doorLine(env: Readonly<Record<string, string>>): string {
  const paths = {
    hostKeyFile: `${RUN}/ssh/host_ed25519`,
    authorizedKeysFile: `${RUN}/ssh/authorized_keys`,
    sftpFolder: WORKSPACE,
  };
  return `${Buffer.from(makeSshdConfig(paths, env)).toString("base64")}\n`;
}

function configText(folder: string): string {
  writeFileSync(join(folder, "known"), `box ${readFileSync(join(folder, "keys/host_ed25519.pub"), "utf8")}`);
  return `Host box
  User ${USER}
  ProxyCommand bash ${folder}/door.sh
  IdentityFile ${folder}/id
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${folder}/known
  GlobalKnownHostsFile none
  LogLevel ERROR
`;
}

async function readToolbox(folder: string): Promise<{ root: string }> {
  mkdirSync(join(folder, "toolbox"));
  return readImage(await buildImage("toolbox"), join(folder, "toolbox"));
}

/** runc makes control groups by this name, so it has to be of this box alone. */
function nameOf(folder: string, part: string): string {
  return `${folder.replace(/^.*\//, "")}-${part}`;
}

interface BundleOf {
  readonly root: string;
  readonly uid: number;
  readonly env: Readonly<Record<string, string>>;
  readonly words: readonly string[];
  readonly mounts: readonly object[];
}

function bind(source: string, destination: string, mode: "rw" | "ro" = "rw"): object {
  return { destination, type: "bind", source, options: ["rbind", mode, "nosuid", "nodev"] };
}

/** Writes what runc starts a container by, after containerd's: https://github.com/opencontainers/runtime-spec, config.md */
function makeBundle(folder: string, part: string, { root, uid, env, words, mounts }: BundleOf): string {
  const bundle = join(folder, `bundle-${part}`);
  mkdirSync(bundle);
  const mount = (destination: string, type: string, ...options: readonly string[]): object => ({
    ...{ destination, type, source: type, options },
  });
  const config = {
    ociVersion: "1.0.2",
    process: {
      user: { uid, gid: uid },
      args: words,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      cwd: "/",
      capabilities: {},
      noNewPrivileges: true,
    },
    root: { path: root, readonly: true },
    hostname: "box",
    mounts: [
      mount("/proc", "proc"),
      mount("/dev", "tmpfs", "nosuid", "mode=755"),
      mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
      ...mounts,
    ],
    linux: {
      namespaces: ["pid", "mount", "uts", "ipc", "network"].map((type) => ({ type })),
      cgroupsPath: `/${nameOf(folder, part)}`,
    },
  };
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  return bundle;
}
