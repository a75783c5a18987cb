/**
 * Builds the images of `images/` without a container engine or a registry, of Debian's packages, as docker archives that
 * `ctr images import` and `docker load` take.
 *
 * A recipe is an ordinary Dockerfile whose context is the project's folder; `dockerfile.ts` says which part of the language is
 * understood. `FROM debian:bookworm-slim` is a system of mmdebstrap's from where this machine has its own packages; `FROM
 * slipway/<name>` is another recipe. An image is one layer. Archives, and what each RUN and COPY left, are kept below
 * `${XDG_CACHE_HOME:-~/.cache}/slipway/images` by the hash of everything they were made of, so that nothing is done twice.
 *
 * Needs root, mmdebstrap and unshare: `whyNoImages` of `why-no-images.ts` says what is missing. Command line:
 * `node test/cluster/images/build-image.ts [NAME]...` prints the archives' paths.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { mustRun } from "../../harness/program.ts";
import { sourceEntries } from "../debian-sources.ts";
import { copyIn, pack, runIn, unpack } from "./chroot.ts";
import { hashFiles } from "./hash-files.ts";
import { readDockerfile, type Instruction, type Stage } from "./dockerfile.ts";
import { writeArchive, type ImageConfig } from "./write-archive.ts";

const PROJECT = resolve(import.meta.dirname, "../../..");

const DEBIAN = "debian:bookworm-slim";
const RELEASE = "bookworm";

/** What Debian's slim images leave out: https://github.com/debuerreotype/debuerreotype, slimify. */
const SLIM = [
  "/usr/share/doc/*",
  "/usr/share/man/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/lintian/*",
];

/** Counts up when the same instructions give something else because this program changed. */
const VERSION = 1;

/** What nothing asked for in this time is removed (guesses): what RUN left, and what is made of that in seconds. */
const SLOW_UNUSED_MS = 14 * 24 * 3_600_000;
const QUICK_UNUSED_MS = 900_000;

/** An image on this machine. */
export interface BuiltImage {
  /** `slipway/<name>:test`. */
  readonly ref: string;
  /** Docker archive. */
  readonly tarPath: string;
}

/** A root file system that is kept as a tar, and how it is to be run. */
interface Built {
  readonly hash: string;
  readonly tar: string;
  readonly config: ImageConfig;
}

/** Builds `images/<name>/Dockerfile`, or takes what was built of the same recipe and files before. */
export async function buildImage(name: string): Promise<BuiltImage> {
  const ref = `slipway/${name}:test`;
  const built = await buildRecipe(name);
  const whole = hashOf(built.hash, JSON.stringify(built.config), ref);
  const tarPath = join(cacheFolder(), `${name}-${whole.slice(0, 16)}.tar`);
  if (existsSync(tarPath)) touch(tarPath);
  else await writeArchive({ ref, layer: built.tar, config: built.config, archive: tarPath });
  forget(cacheFolder(), /-[0-9a-f]{16}\.tar$/, QUICK_UNUSED_MS);
  forget(join(cacheFolder(), "layers"), /-quick\.tar$/, QUICK_UNUSED_MS);
  forget(join(cacheFolder(), "layers"), /^[0-9a-f]*\.tar$/, SLOW_UNUSED_MS);
  return { ref, tarPath };
}

/** Names of all recipes. */
export function listRecipes(): string[] {
  const folders = readdirSync(join(PROJECT, "images"));
  return folders.filter((name) => existsSync(join(PROJECT, "images", name, "Dockerfile")));
}

async function buildRecipe(name: string): Promise<Built> {
  const file = join("images", name, "Dockerfile");
  const stages = readDockerfile(readFileSync(join(PROJECT, file), "utf8"), file);
  const done = new Map<string, Built>();
  let last: Built | undefined;
  for (const stage of stages) {
    last = await new StageBuild(stage, done).build();
    done.set(stage.name, last);
  }
  if (last === undefined) throw new Error(`Cannot build ${name}: it has no stages`);
  return last;
}

/** One change of a stage's files. */
interface Step {
  /** Of everything that the files are made of after it. */
  readonly hash: string;
  readonly act: (root: string) => Promise<void>;
  /** Whether what it leaves is worth a tar of its own. */
  readonly isSlow: boolean;
}

/** Builds one stage: first what is to be done, then as much of it as was not done before. */
class StageBuild {
  readonly #stage: Stage;
  readonly #stages: ReadonlyMap<string, Built>;
  readonly #arguments: Record<string, string> = {};
  readonly #steps: Step[] = [];
  #config: ImageConfig = {};

  constructor(stage: Stage, stages: ReadonlyMap<string, Built>) {
    this.#stage = stage;
    this.#stages = stages;
  }

  async build(): Promise<Built> {
    const base = this.#stages.get(this.#stage.from) ?? (await readBase(this.#stage.from));
    this.#config = base.config;
    for (const instruction of this.#stage.instructions) this.#take(instruction, base.hash);
    const { hash = base.hash } = this.#steps.at(-1) ?? {};
    const tar = hash === base.hash ? base.tar : await makeFiles(base.tar, this.#steps);
    return { hash, tar, config: this.#config };
  }

  #take(instruction: Instruction, baseHash: string): void {
    const config = this.#config;
    switch (instruction.do) {
      case "arg":
        Object.assign(this.#arguments, this.#fillAll(instruction.pairs));
        return;
      case "env":
        this.#config = { ...config, env: { ...config.env, ...this.#fillAll(instruction.pairs) } };
        return;
      case "label":
        this.#config = { ...config, labels: { ...config.labels, ...this.#fillAll(instruction.pairs) } };
        return;
      case "expose":
        this.#config = { ...config, ports: [...(config.ports ?? []), this.#fill(instruction.value)] };
        return;
      case "workdir":
      case "user":
        this.#config = { ...config, [instruction.do]: this.#fill(instruction.value) };
        return;
      case "entrypoint":
      case "cmd":
        this.#config = { ...config, [instruction.do]: instruction.words };
        return;
      case "run":
      case "copy": {
        const { act, from } = instruction.do === "run" ? this.#run(instruction.line) : this.#copy(instruction);
        const { env, workdir, user } = this.#config;
        const surroundings = JSON.stringify([instruction, this.#arguments, env, workdir, user]);
        const hash = hashOf(this.#steps.at(-1)?.hash ?? baseHash, surroundings, from);
        this.#steps.push({ hash, act, isSlow: instruction.do === "run" });
        return;
      }
      default:
        instruction satisfies never;
    }
  }

  #run(line: string): { act: Step["act"]; from: string } {
    const { env, workdir = "/", user = "" } = this.#config;
    const standard = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" };
    const variables = { ...standard, ...this.#arguments, ...env };
    return { act: async (root) => runIn({ root, line, env: variables, workdir, user }), from: "" };
  }

  #copy(instruction: Instruction & { do: "copy" }): { act: Step["act"]; from: string } {
    const source = this.#source(instruction);
    const { workdir = "/" } = this.#config;
    const what = {
      sources: instruction.sources.map((path) => this.#fill(path)),
      target: resolveTarget(workdir, this.#fill(instruction.target)),
    };
    const act: Step["act"] = async (root) =>
      withFolder(source, async (from, usual) => {
        const owner = instruction.owner ?? usual;
        await copyIn({ from, root, ...what, ...(owner === undefined ? {} : { owner }) });
      });
    return { act, from: source.hash };
  }

  /** Where COPY takes from. Files of the project are root's. */
  #source({ from, sources }: Instruction & { do: "copy" }): CopySource {
    if (from === undefined) {
      const paths = sources.map((path) => this.#fill(path));
      return { hash: hashFiles(PROJECT, paths), folder: PROJECT };
    }
    const stage = this.#stages.get(from);
    if (stage === undefined) throw new Error(`Cannot copy from ${from}: there is no such stage before this one`);
    return { hash: stage.hash, tar: stage.tar };
  }

  #fill(text: string): string {
    return text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, bare: string | undefined) => {
      const value = { ...this.#arguments, ...this.#config.env }[braced ?? bare ?? ""];
      if (value === undefined) throw new Error(`Cannot fill in ${whole}: there is no such ARG or ENV before it`);
      return value;
    });
  }

  #fillAll(pairs: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(pairs).map(([name, value]) => [name, this.#fill(value)]));
  }
}

type CopySource = { readonly hash: string } & ({ readonly folder: string } | { readonly tar: string });

const ROOT = { uid: 0, gid: 0 };

async function withFolder(
  source: CopySource,
  copy: (folder: string, owner: typeof ROOT | undefined) => Promise<void>,
): Promise<void> {
  if ("folder" in source) return copy(source.folder, ROOT);
  await withTempFolder(async (folder) => {
    if (source.tar !== "") await unpack(source.tar, folder);
    await copy(folder, undefined);
  });
}

/** Carries out the steps after the last whose files are kept, and returns the tar of the last. */
async function makeFiles(base: string, steps: readonly Step[]): Promise<string> {
  const tars = steps.map(tarOf);
  const last = tars.at(-1) ?? base;
  for (const tar of tars) if (existsSync(tar)) touch(tar);
  const kept = tars.findLastIndex((tar) => existsSync(tar));
  if (kept === steps.length - 1) return last;
  await withTempFolder(async (folder) => {
    const root = join(folder, "root");
    mkdirSync(root, { mode: 0o755 });
    const begin = tars[kept] ?? base;
    if (begin !== "") await unpack(begin, root);
    for (const step of steps.slice(kept + 1)) {
      await step.act(root);
      if (step.isSlow || tarOf(step) === last) await keep(root, tarOf(step));
    }
  });
  return last;
}

async function readBase(from: string): Promise<Built> {
  if (from === "scratch") return { hash: "scratch", tar: "", config: {} };
  if (from === DEBIAN) return { ...(await readDebian()), config: { cmd: ["bash"] } };
  const [, recipe] = /^slipway\/([a-z0-9-]+)$/.exec(from) ?? [];
  if (recipe === undefined)
    throw new Error(`Cannot build from ${from}: needs ${DEBIAN}, scratch, a stage or slipway/<name>`);
  return buildRecipe(recipe);
}

async function readDebian(): Promise<{ hash: string; tar: string }> {
  const sources = readSources();
  const hash = hashOf(RELEASE, sources, ...SLIM);
  const act = async (root: string): Promise<void> => {
    const options = SLIM.map((path) => `--dpkgopt=path-exclude=${path}`);
    const lists = sources === "" ? [] : ["-"]; // Debian's own without it
    const words = ["mmdebstrap", "--quiet", "--variant=minbase", ...options, RELEASE, root, ...lists];
    await mustRun(words, { input: sources, timeoutMs: 600_000 });
  };
  return { hash, tar: await makeFiles("", [{ hash, act, isSlow: true }]) };
}

/** Where this machine gets Debian's packages from: sources.list(5). */
function readSources(): string {
  const folder = "/etc/apt/sources.list.d";
  const below = existsSync(folder) ? readdirSync(folder).sort() : [];
  const files = ["/etc/apt/sources.list", ...below.map((name) => join(folder, name))].filter((file) =>
    existsSync(file),
  );
  const texts = files.map((file) => ({ isStanzas: file.endsWith(".sources"), text: readFileSync(file, "utf8") }));
  return sourceEntries(texts, RELEASE).replaceAll(/^Types: deb-src$/gm, "Types: deb");
}

/** Marks what is kept as used. */
function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}

/** Removes what has not been used for a while, so that the folder does not grow for ever. */
function forget(folder: string, names: RegExp, unusedMs: number): void {
  for (const name of readdirSync(folder).filter((found) => names.test(found))) {
    const path = join(folder, name);
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity };
    if (Date.now() - mtimeMs > unusedMs) rmSync(path, { force: true });
  }
}

function tarOf({ hash, isSlow }: Pick<Step, "hash" | "isSlow">): string {
  return join(cacheFolder(), "layers", `${hash}${isSlow ? "" : "-quick"}.tar`);
}

/** Writes a tar, whole or not at all. */
async function keep(root: string, tar: string): Promise<void> {
  mkdirSync(join(cacheFolder(), "layers"), { recursive: true });
  await withTempFolder(async (folder) => {
    await pack(root, join(folder, "tar"));
    renameSync(join(folder, "tar"), tar);
  });
}

async function withTempFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  mkdirSync(cacheFolder(), { recursive: true });
  const folder = mkdtempSync(join(cacheFolder(), "building-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function resolveTarget(workdir: string, target: string): string {
  return target.startsWith("/") ? target : `${workdir.replace(/\/$/, "")}/${target.replace(/^\.\/?/, "")}`;
}

function hashOf(...parts: readonly string[]): string {
  return createHash("sha256")
    .update(JSON.stringify([VERSION, ...parts]))
    .digest("hex");
}

function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "slipway", "images");
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  for (const name of names.length === 0 ? listRecipes() : names) {
    const { ref, tarPath } = await buildImage(name);
    process.stdout.write(`${ref} ${tarPath}\n`);
  }
}
