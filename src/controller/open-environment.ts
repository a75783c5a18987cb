/**
 * An environment that takes sessions, as the gateway uses it.
 *
 * @module
 */
import { mayOpen, type Target as Wanted, type Verdict } from "../policy/forward.ts";
import type { Reach } from "../runtime/runtime.ts";
import type { Live } from "./bring-up.ts";
import type { Context } from "./context.ts";
import { envOf, type SessionName } from "./definition.ts";
import type { Entry } from "./entries.ts";
import { runStep } from "./lifecycle.ts";

export interface OpenEnvironment {
  readonly id: string;
  /** The canonical login. */
  readonly login: string;
  readonly repository: string;
  readonly branch: string;
  /** What its person should know, one sentence each; reported already. */
  readonly warnings: readonly string[];
  /** Ports that something is meant to listen on. */
  readonly ports: readonly number[];
  /**
   * Opens one more way in; `end` of it hangs up on what runs in the foreground. Wakes an environment that died since.
   *
   * @throws {Fault} when it cannot be entered
   */
  connect(session: SessionName, signal: AbortSignal): Promise<Reach>;
  /** Counts a session from now until the returned function is called. */
  attached(sessionId: string): () => void;
  /** Says whether a client may open this from or towards the environment. */
  judge(wanted: Wanted): Verdict;
}

export interface MakeOpenOptions {
  readonly entry: Entry;
  readonly live: Live;
  /** Brings it up again, or joins whoever does. */
  readonly bring: (signal: AbortSignal) => Promise<Live>;
}

/** Makes the handle of an environment that is live. */
export function makeOpen(context: Context, { entry, live, bring }: MakeOpenOptions): OpenEnvironment {
  const { id, login, repository, branch, hostname } = live.record;
  const services = new Set([hostname, ...live.serviceNames]);
  return {
    id,
    login,
    repository,
    branch,
    warnings: live.warnings,
    ports: [...new Set([...live.definition.slipway.ports, ...live.definition.forwardPorts])],
    connect: async (session, signal) => {
      const reach = await connectOrWake(context, { entry, live, bring }, session, signal);
      runAttachCommand(context, entry, entry.live ?? live);
      return reach;
    },
    attached: (sessionId) => {
      entry.sessions.add(sessionId);
      touch(context, id);
      return () => {
        if (entry.sessions.delete(sessionId)) touch(context, id);
      };
    },
    judge: (wanted) => mayOpen(wanted, { services }),
  };
}

async function connectOrWake(
  context: Context,
  { entry, live, bring }: MakeOpenOptions,
  session: SessionName,
  signal: AbortSignal,
): Promise<Reach> {
  const { runtime, log } = context;
  const connect = (to: Live): Promise<Reach> =>
    runtime.connect(
      entry.id,
      { sessionId: session.sessionId, env: envOf(context, to.record, to.definition, session) },
      signal,
    );
  try {
    return await connect(live);
  } catch (error) {
    signal.throwIfAborted();
    if ((await runtime.observe(entry.id)).power === "running") throw error;
    // Its first process died, or somebody removed it from the outside, and this is how we learn of it.
    log.warn("environment.died", { environment: entry.id, err: error });
    if (entry.live === live) entry.live = undefined;
    return connect(entry.live ?? (await bring(signal)));
  }
}

/** Runs the command of each connection beside it: nobody waits for it, and its failure is for the log. */
function runAttachCommand(context: Context, entry: Entry, { definition, record, settled }: Live): void {
  const step = definition.commands.find(({ name }) => name === "postAttachCommand");
  if (step === undefined) return;
  const { signal } = entry.stop;
  const env = envOf(context, record, definition);
  // After the commands that come before it, which may still be running in the background.
  settled
    .then(() => runStep(step, { ...context, id: entry.id, env, report: () => undefined }, signal))
    .then((failure) => {
      if (failure !== undefined) context.log.warn("environment.command-failed", { environment: entry.id, failure });
    })
    .catch((error: unknown) => {
      if (!signal.aborted) context.log.error("environment.commands-broke", error, { environment: entry.id });
    });
}

function touch({ store, clock, log }: Context, id: string): void {
  store.touch(id, clock.now()).catch((error: unknown) => {
    log.error("environment.untouched", error, { environment: id });
  });
}
