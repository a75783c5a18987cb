/**
 * The acts of a `Runtime`, each handed to its part.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { OneAtATime } from "../../base/one-at-a-time.ts";
import { NAMES } from "../../policy/kubernetes/inside-names.ts";
import { makeCommandFile } from "../command-file.ts";
import type { Command, Observed, Runtime, Unsaved } from "../runtime.ts";
import { quoteWord } from "../shell-words.ts";
import { claimNamesOf } from "./applying.ts";
import { claimMember } from "./claiming.ts";
import {
  type Cluster,
  execIn,
  findEnvironment,
  findReadyPod,
  isEnding,
  listOwn,
  mustFind,
  mustRunIn,
  namespaceName,
  untilSeen,
} from "./cluster.ts";
import { openReach } from "./connecting.ts";
import { describeFound } from "./describing.ts";
import { destroyEnvironment } from "./destroying.ts";
import { baseEnvOf } from "./inside-env.ts";
import { LOG, TOOLS_PATH, TOOLS_SH } from "./inside.ts";
import { GIT_CONFIG_ENV } from "./inside/git-config.ts";
import { runInside } from "./inside/run-inside.ts";
import { lookForWork } from "./inside/unsaved.ts";
import { makeListening } from "./listening.ts";
import { makeNotes } from "./notes.ts";
import { packFiles, unpackFiles } from "./packing.ts";
import { listSource, readSource } from "./read-source.ts";
import { putToSleep, whySleepless } from "./sleeping.ts";
import { makeNamespace, startEnvironment } from "./starting.ts";

/** How long a look at files inside may take. */
const LOOK_MS = 30_000;

/** Makes the runtime of a cluster. @param closing ends what nobody else gives up */
export function makeRuntime(cluster: Cluster, queue: OneAtATime, closing: AbortSignal): Runtime {
  const notes = makeNotes(cluster);
  const listening = makeListening(cluster, closing);
  const withClosing = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, closing]);
  return {
    lacks: [],
    baseEnv: (user, workspaceFolder) => baseEnvOf({ user, workspaceFolder }),
    create: (spec, report, signal) =>
      queue(spec.id, async () => {
        await untilSeen(cluster, signal);
        const begun = cluster.clock.elapsed();
        await makeNamespace(cluster, { spec, report }, withClosing(signal));
        report("making its namespace", cluster.clock.elapsed() - begun);
      }),
    start: (spec, start, report, signal) =>
      queue(spec.id, async () => {
        await startEnvironment(cluster, { spec, start, report }, withClosing(signal));
        await notes.flush(spec.id);
      }),
    claim: (spec, start, report, signal) =>
      queue(spec.id, async () => claimMember(cluster, { spec, start, report }, withClosing(signal))),
    pack: (id, signal) => packFiles(cluster, id, withClosing(signal)),
    unpack: (id, files, signal) => unpackFiles(cluster, id, files, withClosing(signal)),
    connect: (id, session, signal) => openReach(cluster, id, session, withClosing(signal)),
    listen: async (id, onCall) => listening.listen(id, onCall),
    run: async (id, command, env, signal) => runCommand(cluster, id, { command, env }, withClosing(signal)),
    readSource: (id, path) => readSource(cluster, id, path, closing),
    listSource: (id, path) => listSource(cluster, id, path, closing),
    observe: async (id) => observe(cluster, id),
    unsaved: (id) => unsaved(cluster, id, closing),
    note: (id, line) => notes.add(id, line),
    readLog: (id, maxBytes) => notes.read(id, maxBytes),
    sleep: (id) =>
      queue(id, async () => {
        const found = await mustFind(cluster, id);
        await listening.close(id);
        await putToSleep(cluster, found, () => unsaved(cluster, id, closing), closing);
      }),
    destroy: (id, generation) =>
      queue(id, async () => {
        await untilSeen(cluster);
        await listening.close(id);
        await destroyEnvironment(cluster, { id, generation }, closing);
        notes.forget(id);
      }),
    describe: async (ids, signal) => describeFound(cluster, ids, withClosing(signal)),
    list: async () => {
      await untilSeen(cluster);
      return listOwn(cluster);
    },
  };
}

async function observe(cluster: Cluster, id: string): Promise<Observed> {
  await untilSeen(cluster);
  const found = findEnvironment(cluster, id);
  if (found === undefined || isEnding(found.namespace)) return { power: "absent", checkedOut: false };
  const { entrance, applied = [] } = found.kept;
  const sleepless = whySleepless(cluster, found);
  return {
    power: findReadyPod(cluster, found) === undefined ? "sleeping" : "running",
    // Before its first start it is as good as checked out: a start makes what is missing.
    checkedOut: true,
    ...(entrance === undefined ? {} : { serviceNames: entrance.serviceNames, warnings: entrance.warnings }),
    ...(sleepless === undefined ? {} : { sleepless }),
    volumes: claimNamesOf(applied).filter((name) => name !== NAMES.filesClaim),
  };
}

async function runCommand(
  cluster: Cluster,
  id: string,
  { command, env }: { command: Command; env: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<{ exitCode: number }> {
  const { found, pod } = await mustRunIn(cluster, id);
  const folder = found.kept.entrance?.workspaceFolder ?? "/";
  const words = "shell" in command ? command.shell : command.argv.join(" ");
  const text = [
    `printf '%s\\n' ${quoteWord(`$ ${words}`)} >>${LOG}`,
    `export HOME=${quoteWord(`/home/${found.kept.entrance?.user ?? "dev"}`)} PATH="$PATH:${TOOLS_PATH}"`,
    makeCommandFile({ command, env: { ...GIT_CONFIG_ENV, ...env }, folder, otherShell: TOOLS_SH }),
  ].join("\n");
  const { exitCode } = await runInside(execIn(cluster, pod, signal), { text, output: "log", maxBytes: 0 }, signal);
  return { exitCode };
}

async function unsaved(cluster: Cluster, id: string, signal: AbortSignal): Promise<Unsaved> {
  const found = await mustFind(cluster, id);
  const pod = findReadyPod(cluster, found);
  const { kept } = found;
  const nothing: Unsaved = { changedPaths: [], changedCount: 0, commits: [], commitCount: 0 };
  if (kept.isCheckedOut !== true) return nothing;
  if (pod === undefined) {
    return kept.unsaved ?? { ...nothing, doubts: ["it sleeps, and nobody looked for work in it before"] };
  }
  const late = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  try {
    return await lookForWork(execIn(cluster, pod, late), kept.entrance?.workspaceFolder ?? "/", late);
  } catch (cause) {
    throw new Fault("runtime.failed", `Cannot look for unsaved work in ${namespaceName(cluster, id)}`, { cause });
  }
}
