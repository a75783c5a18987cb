/**
 * Lines of ours in the log of an environment. Before there is a pod to write them in they are kept here, and are lost with
 * the service: they are about a start, which is then done again.
 *
 * @module
 */
import { quoteWord } from "../shell-words.ts";
import { type Cluster, execIn, findReadyPod, mustFind } from "./cluster.ts";
import { LOG } from "./inside.ts";
import { runInside } from "./inside/run-inside.ts";

export interface Notes {
  add(id: string, line: string): Promise<void>;
  /** Last `maxBytes` of the log, with what is not in it yet. */
  read(id: string, maxBytes: number): Promise<string>;
  /** Writes what was noted before there was a pod. */
  flush(id: string): Promise<void>;
  forget(id: string): void;
}

/** Of one environment (guess: a start notes a few). */
const LINES_MAX = 200;

const IO_MS = 15_000;

export function makeNotes(cluster: Cluster): Notes {
  const waiting = new Map<string, string[]>();
  const write = async (id: string): Promise<void> => {
    const pod = findReadyPod(cluster, await mustFind(cluster, id));
    const lines = waiting.get(id) ?? [];
    if (pod === undefined || lines.length === 0) return;
    waiting.delete(id);
    const signal = AbortSignal.timeout(IO_MS);
    const text = `printf '%s\\n' ${lines.map(quoteWord).join(" ")} >>${LOG}`;
    await runInside(execIn(cluster, pod, signal), { text, output: "out", maxBytes: 0 }, signal);
  };
  return {
    add: async (id, line) => {
      const lines = [...(waiting.get(id) ?? []), line].slice(-LINES_MAX);
      waiting.set(id, lines);
      await write(id);
    },
    read: async (id, maxBytes) => {
      const own = (waiting.get(id) ?? []).map((line) => `${line}\n`).join("");
      const pod = findReadyPod(cluster, await mustFind(cluster, id));
      if (pod === undefined) return `${own}slipway: it does not run; the rest of its log is seen when it is awake\n`;
      const signal = AbortSignal.timeout(IO_MS);
      const text = `[ ! -e ${LOG} ] || tail -c ${maxBytes} ${LOG}`;
      const { stdout } = await runInside(execIn(cluster, pod, signal), { text, output: "out", maxBytes }, signal);
      return `${stdout}${own}`;
    },
    flush: write,
    forget: (id) => {
      waiting.delete(id);
    },
  };
}
