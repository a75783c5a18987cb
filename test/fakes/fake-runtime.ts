/**
 * A runtime in memory that can be made to fail or hang before or after any of its effects. What it holds outlives the
 * controller that drives it, as a machine outlives a service that was killed.
 *
 * @module
 */
import { type Duplex, PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { Fault } from "../../src/base/fault.ts";
import type {
  Command,
  Described,
  EnvironmentSpec,
  Observed,
  Reach,
  Report,
  Runtime,
  SessionSpec,
  StartSpec,
  Unsaved,
} from "../../src/runtime/runtime.ts";

export type RuntimeMethod = Exclude<keyof Runtime, "lacks" | "baseEnv">;

export interface FakeEnvironment {
  spec?: EnvironmentSpec;
  start?: StartSpec;
  power: "sleeping" | "running";
  checkedOut: boolean;
  diskBytes: number;
  unsaved: Unsaved;
  log: string;
  /** What its person made in it. */
  work?: string;
  /** As in `Observed`. */
  sleepless?: string;
  volumes?: readonly string[];
  /** How long it has been there. @default 0 */
  ageMs?: number;
}

export const NOTHING_UNSAVED: Unsaved = { changedPaths: [], changedCount: 0, commits: [], commitCount: 0 };

type Trap = (id: string) => Promise<void> | void;

export class FakeRuntime implements Runtime {
  readonly lacks: string[] = [];
  /** What exists "on the machine". */
  readonly environments = new Map<string, FakeEnvironment>();
  /** Files of every checkout, by path. */
  readonly sources = new Map<string, string>();
  /** What was called, in order: `create e1`. */
  readonly calls: string[] = [];
  /** Commands that were run, in order, with what each exited with. */
  readonly commands: {
    readonly id: string;
    readonly command: Command;
    readonly env: Readonly<Record<string, string>>;
  }[] = [];
  /** Decides how a command ends; may wait. */
  onCommand: (command: Command, signal: AbortSignal) => number | Promise<number> = () => 0;
  /** Who takes the calls of which environment. */
  readonly takers = new Map<string, (stream: Duplex) => void>();
  readonly #before = new Map<RuntimeMethod, Trap>();
  readonly #after = new Map<RuntimeMethod, Trap>();

  /** Calls `trap` before each effect of a method: one that throws is a failure, one that waits a hang. */
  before(method: RuntimeMethod, trap: Trap): void {
    this.#before.set(method, trap);
  }

  /** Calls `trap` after each effect of a method, before the caller learns of it. */
  after(method: RuntimeMethod, trap: Trap): void {
    this.#after.set(method, trap);
  }

  /** Takes all traps away. */
  heal(): void {
    this.#before.clear();
    this.#after.clear();
  }

  /** How often a method was called. */
  countOf(method: RuntimeMethod): number {
    return this.calls.filter((call) => call.startsWith(`${method} `)).length;
  }

  baseEnv(user: string): Readonly<Record<string, string>> {
    return { PATH: "/bin", HOME: `/home/${user}` };
  }

  create(spec: EnvironmentSpec, report: Report): Promise<void> {
    return this.#do("create", spec.id, () => {
      const there = this.environments.get(spec.id);
      if (there?.checkedOut === true) return;
      const blank = { diskBytes: 1_000, unsaved: NOTHING_UNSAVED, log: "" };
      this.environments.set(spec.id, { ...blank, spec, power: "sleeping", checkedOut: true });
      report(`checking out ${spec.source.branch}`, 38);
    });
  }

  readSource(id: string, path: string): Promise<string | undefined> {
    return this.#do("readSource", id, () => {
      this.#find(id);
      return this.sources.get(path);
    });
  }

  listSource(id: string, path: string): Promise<readonly string[]> {
    return this.#do("listSource", id, () => {
      this.#find(id);
      const below = [...this.sources.keys()].filter((file) => file.startsWith(`${path}/`));
      return [...new Set(below.map((file) => file.slice(path.length + 1).split("/")[0] ?? ""))];
    });
  }

  start(spec: EnvironmentSpec, start: StartSpec, report: Report): Promise<void> {
    return this.#do("start", spec.id, () => {
      const environment = this.#find(spec.id);
      if (environment.power === "running" && environment.start?.run !== undefined) return;
      environment.start = start;
      if (environment.power === "running") return;
      environment.power = "running";
      report("starting", 7);
    });
  }

  claim(spec: EnvironmentSpec, start: StartSpec, report: Report): Promise<void> {
    return this.#do("claim", spec.id, () => {
      Object.assign(this.#find(spec.id), { spec, start });
      report("claiming a prepared environment", 5);
    });
  }

  run(
    id: string,
    command: Command,
    env: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ exitCode: number }> {
    return this.#do("run", id, async () => {
      if (this.#find(id).power !== "running") throw new Error(`Cannot run in ${id}: it is sleeping`);
      this.commands.push({ id, command, env });
      return { exitCode: await this.onCommand(command, signal) };
    });
  }

  connect(id: string, session: SessionSpec): Promise<Reach> {
    return this.#do("connect", id, () => {
      if (this.#find(id).power !== "running") throw new Error(`Cannot connect to ${id}: it is sleeping`);
      const stream = new PassThrough();
      stream.write(session.sessionId);
      const end = async (): Promise<void> => {
        stream.destroy();
      };
      return { stream, hostKey: Buffer.from("key"), user: "dev", end };
    });
  }

  listen(id: string, onCall: (stream: Duplex) => void): Promise<{ close(): Promise<void> }> {
    return this.#do("listen", id, () => {
      this.#find(id);
      this.takers.set(id, onCall);
      const close = async (): Promise<void> => {
        if (this.takers.get(id) === onCall) this.takers.delete(id);
      };
      return { close };
    });
  }

  observe(id: string): Promise<Observed> {
    return this.#do("observe", id, () => {
      const environment = this.environments.get(id);
      if (environment === undefined) return { power: "absent" as const, checkedOut: false };
      const { power, diskBytes, checkedOut, sleepless, volumes = [] } = environment;
      return { power, diskBytes, checkedOut, volumes, ...(sleepless === undefined ? {} : { sleepless }) };
    });
  }

  unsaved(id: string): Promise<Unsaved> {
    return this.#do("unsaved", id, () => this.#find(id).unsaved);
  }

  note(id: string, line: string): Promise<void> {
    return this.#do("note", id, () => {
      this.#find(id).log += `${line}\n`;
    });
  }

  readLog(id: string, maxBytes: number): Promise<string> {
    return this.#do("readLog", id, () => this.#find(id).log.slice(-maxBytes));
  }

  sleep(id: string): Promise<void> {
    return this.#do("sleep", id, () => {
      const environment = this.#find(id);
      if (environment.sleepless !== undefined) throw new Fault("runtime.unable", `Cannot put ${id} to sleep`);
      environment.power = "sleeping";
    });
  }

  destroy(id: string): Promise<void> {
    return this.#do("destroy", id, () => {
      this.environments.delete(id);
    });
  }

  describe(ids: readonly string[]): Promise<readonly Described[]> {
    return this.#do("describe", "", () =>
      ids.map((id) => {
        const { ageMs = 0, spec } = this.#find(id);
        return { id, ageMs, isMember: spec !== undefined && "pool" in spec.owner };
      }),
    );
  }

  pack(id: string): Promise<Readable> {
    return this.#do("pack", id, () => Readable.from([this.#find(id).work ?? ""]));
  }

  unpack(id: string, files: Readable): Promise<void> {
    return this.#do("unpack", id, async () => {
      this.#find(id).work = await text(files);
    });
  }

  list(): Promise<string[]> {
    return this.#do("list", "", () => [...this.environments.keys()]);
  }

  #find(id: string): FakeEnvironment {
    const environment = this.environments.get(id);
    if (environment === undefined) throw new Error(`Cannot use ${id}: there is no such environment`);
    return environment;
  }

  async #do<T>(method: RuntimeMethod, id: string, effect: () => T | Promise<T>): Promise<T> {
    this.calls.push(`${method} ${id}`);
    await this.#before.get(method)?.(id);
    const result = await effect();
    await this.#after.get(method)?.(id);
    return result;
  }
}
