/**
 * From a known person and the login they typed to a far side that is ready: the lobby, or the `sshd` of their
 * environment. Everything slow happens here, before USERAUTH_SUCCESS, so no early byte is ever buffered or lost.
 *
 * Called by `connection.ts` alone.
 *
 * @module
 */
import type { Target, Verdict } from "../policy/forward.ts";
import type { Log } from "../base/log.ts";
import type { Transport } from "../ssh/transport.ts";
import { enterFar } from "./far.ts";
import type { AsOf } from "../forge/directory.ts";
import { mustBeAllowed } from "../forge/must-be-allowed.ts";
import { staleLine } from "../policy/stale-line.ts";
import type { Person, Who } from "../wire/person.ts";
import type { GatewayDeps } from "./ports.ts";
import type { Relay } from "./relay.ts";
import type { Side } from "./side.ts";

export interface AdmitRequest {
  readonly id: string;
  readonly person: Person;
  readonly login: string;
  /** The key that was proved, in wire form. */
  readonly keyBlob: Buffer;
  readonly log: Log;
  readonly transport: Transport;
  /** Shows a line to the waiting person. */
  readonly showLine: (line: string) => void;
  /** Called when the session has to end: the far side is gone, or the person's right to it. */
  readonly onOver: (reason: string) => void;
}

/** A far side, ready to be relayed to. */
export interface Admitted {
  readonly far: Side;
  /** `undefined` for the lobby. */
  readonly environment: string | undefined;
  readonly judge: (wanted: Target) => Verdict;
  readonly onOpened: (wanted: Target, verdict: Verdict) => void;
  /** Lets the far side's messages flow into the relay. */
  start(relay: Relay): void;
  end(): Promise<void>;
}

/** Lets a person in. @throws {Fault} with the sentence for the person */
export async function admit(deps: GatewayDeps, request: AdmitRequest, signal: AbortSignal): Promise<Admitted> {
  return deps.lobby.isLobby(request.login)
    ? admitToLobby(deps, request, signal)
    : admitToEnvironment(deps, request, signal);
}

async function admitToLobby(deps: GatewayDeps, request: AdmitRequest, signal: AbortSignal): Promise<Admitted> {
  const unhold = await holdRight(deps, request, {}, signal);
  let relay: Relay | undefined;
  const far = deps.lobby.open({
    id: request.id,
    person: request.person,
    keyBlob: request.keyBlob,
    toClient: (payload) => {
      relay?.fromFar(far, payload);
    },
  });
  return {
    far,
    environment: undefined,
    judge: (wanted) => judgeRecorded(deps, wanted, judgeInLobby),
    onOpened: (wanted, verdict) => {
      auditOpened(deps, request, wanted, verdict);
    },
    start: (started) => {
      relay = started;
    },
    end: async () => {
      unhold();
      far.end();
    },
  };
}

async function admitToEnvironment(deps: GatewayDeps, request: AdmitRequest, signal: AbortSignal): Promise<Admitted> {
  const beganAt = deps.clock.elapsed();
  const environment = await deps.environments.enter(
    { who: whoOf(request), login: request.login },
    request.showLine,
    signal,
  );
  // From here on: whoever waits while it is removed hears that, and not how it could not be entered.
  const links = [deps.environments.onGone(environment.id, request.onOver)];
  let reached: Awaited<ReturnType<typeof environment.connect>> | undefined;
  let relay: Relay | undefined;
  try {
    reached = await environment.connect({ sessionId: request.id, login: request.login }, signal);
    const far = await enterFar(
      reached,
      {
        key: deps.gatewayKey,
        clock: deps.clock,
        rekey: deps.rekey,
        handler: {
          message: (payload, body) => relay?.fromFar(far, payload, body),
          drained: () => relay?.farDrained(),
          ended: (ending) => {
            if (!signal.aborted) request.log.warn("far.ended", { reason: ending.text, err: ending.cause });
            request.onOver("the environment ended this session");
          },
        },
      },
      signal,
    );
    links.push(environment.attached(request.id));
    const enteredInMs = deps.clock.elapsed() - beganAt;
    links.push(await holdRight(deps, request, { ...environment, enteredInMs }, signal));
    return {
      far,
      environment: environment.id,
      judge: (wanted) => judgeRecorded(deps, wanted, (at) => environment.judge(at)),
      onOpened: (wanted, verdict) => {
        auditOpened(deps, request, wanted, verdict);
      },
      start: (started) => {
        relay = started;
      },
      end: async () => {
        for (const unlink of links) unlink();
        await reached?.end();
        far.destroy("the client's connection ended");
      },
    };
  } catch (error) {
    for (const unlink of links) unlink();
    await reached?.end();
    throw error;
  }
}

function whoOf({ person, keyBlob }: AdmitRequest): Who {
  return { person: person.id, key: keyBlob.toString("base64") };
}

/** What somebody enters; for the lobby nothing of it. */
interface Entered {
  readonly repository?: string;
  /** Set when they were let so far by the last good answer, and told so. */
  readonly asOf?: AsOf;
  /** How long it took from that answer to here. */
  readonly enteredInMs?: number;
}

/** A forge that did not answer so lately is not waited for again. A guess. */
const VAIN_MS = 10_000;

/**
 * Sees to it that a session ends as soon as its person's right does. Subscribes first, then decides, and asks the forge
 * for what has grown old while the environment was made: what is taken away meanwhile is not missed.
 *
 * @returns a function that stops it
 * @throws {Fault} with the sentence for the person
 */
async function holdRight(
  deps: GatewayDeps,
  request: AdmitRequest,
  { repository, asOf, enteredInMs = Infinity }: Entered,
  signal: AbortSignal,
): Promise<() => void> {
  const who = whoOf(request);
  let lost: string | undefined;
  let isIn = false;
  const unwatch = deps.directory.watch({ who, ...(repository === undefined ? {} : { repository }) }, (told) => {
    lost = told;
    if (!isIn) return;
    request.log.warn("session.revoked", { reason: told });
    deps.metrics.sessionRevoked();
    request.onOver(told);
  });
  try {
    const isVain = asOf !== undefined && enteredInMs < VAIN_MS;
    const use = isVain ? deps.directory.judge(who, repository) : await deps.directory.mayUse(who, repository, signal);
    mustBeAllowed(lost === undefined ? use : { allowed: false, isUnverified: false, told: lost }, "Cannot admit");
    if (use.allowed && use.asOf !== undefined) countStale(deps, request, use.asOf, asOf !== undefined);
    isIn = true;
    return unwatch;
  } catch (error) {
    unwatch();
    throw error;
  }
}

function judgeInLobby(wanted: Target): Verdict {
  return wanted.type === "session"
    ? { allowed: true }
    : { allowed: false, reason: "the lobby takes commands only; forward through an environment's login" };
}

/** Lets in by the last good answer, and says so. */
function countStale({ metrics }: GatewayDeps, request: AdmitRequest, { forge, at }: AsOf, isTold: boolean): void {
  metrics.loginStale();
  if (isTold) return;
  const verifiedAt = new Date(at).toISOString();
  request.log.warn("access.stale", { person: request.person.id, login: request.login, forge, verifiedAt });
  request.showLine(staleLine(forge, at));
}

const AUDIT_BEHIND: Verdict = { allowed: false, reason: "the audit log cannot be written at the moment" };

/** Nobody opens anything that the audit log could not hold. */
function judgeRecorded({ audit }: GatewayDeps, wanted: Target, judge: (wanted: Target) => Verdict): Verdict {
  return audit.isBehind ? AUDIT_BEHIND : judge(wanted);
}

function auditOpened(deps: GatewayDeps, request: AdmitRequest, wanted: Target, verdict: Verdict): void {
  deps.metrics.channelOpened(wanted.type, verdict.allowed);
  if (verdict === AUDIT_BEHIND) return;
  const what = wanted.path ?? (wanted.host === undefined ? "" : `${wanted.host}:${wanted.port}`);
  const common = { session: request.id, what: `${wanted.type} ${what}`.trim() };
  const event = verdict.allowed
    ? { type: "channel.opened" as const, ...common }
    : { type: "request.refused" as const, ...common, reason: verdict.reason };
  deps.audit.append(event).catch((error: unknown) => {
    request.log.error("audit.failed", error);
  });
}
