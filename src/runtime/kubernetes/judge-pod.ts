/**
 * Says from the status of a pod whether the target container can be entered, is on its way, or will not come by itself, in
 * words for its person.
 *
 * Pure. Called by `starting.ts` for each change that the watch sees, and by `make-runtime.ts` to find what runs.
 *
 * @module
 */
import { z } from "zod";
import type { KubernetesObject } from "../../wire/kubernetes.ts";

/** A pod as far as it can be entered. */
export type PodState =
  | { readonly type: "running"; readonly pod: RunningPod }
  | {
      readonly type: "coming";
      /** Names what it waits for. */
      readonly step: string;
      /** Told when that takes long. */
      readonly trouble?: string;
      /** Whether the trouble seldom passes by itself. */
      readonly isRefused?: true;
      /** It may be there to be entered already. */
      readonly maybe?: RunningPod;
    }
  | { readonly type: "failed"; readonly told: string }
  | { readonly type: "ending" };

export interface RunningPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly ip: string | undefined;
  readonly container: string;
}

const Waiting = z.object({ reason: z.string().default(""), message: z.string().default("") });
const Ended = z.object({ exitCode: z.number(), reason: z.string().default(""), message: z.string().default("") });
const ContainerState = z.object({
  running: z.unknown().optional(),
  waiting: Waiting.optional(),
  terminated: Ended.optional(),
});
const Container = z.object({
  name: z.string(),
  state: ContainerState.default({}),
  lastState: ContainerState.default({}),
  restartCount: z.number().default(0),
  image: z.string().default(""),
});
const Condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(""),
  message: z.string().default(""),
});
const Status = z.object({
  phase: z.string().default("Pending"),
  reason: z.string().default(""),
  message: z.string().default(""),
  podIP: z.string().optional(),
  conditions: z.array(Condition).default([]),
  initContainerStatuses: z.array(Container).default([]),
  containerStatuses: z.array(Container).default([]),
});

type ContainerStatus = z.infer<typeof Container>;

/** What a container waits with for ever, until somebody changes something. */
const HOPELESS: ReadonlyMap<string, (container: ContainerStatus, message: string) => string> = new Map([
  ["ErrImageNeverPull", ({ image }) => `the image ${image} is not on the node, and is never pulled`],
  ["InvalidImageName", ({ image }) => `"${image}" is no name of an image`],
  ["CreateContainerConfigError", ({ name }, message) => `the container ${name} cannot be made: ${message}`],
  ["CreateContainerError", ({ name }, message) => `the container ${name} cannot be made: ${message}`],
  ["PostStartHookError", (_, message) => `the tools cannot be put into its volume: ${message}`],
  ["RunContainerError", ({ name }, message) => `the container ${name} cannot be started: ${message}`],
]);

/** What is tried again, and may come right. */
const TROUBLE: ReadonlyMap<string, (container: ContainerStatus, message: string) => string> = new Map([
  ["ErrImagePull", ({ image }, message) => `the image ${image} cannot be pulled: ${message}`],
  ["ImagePullBackOff", ({ image }) => `the image ${image} cannot be pulled`],
]);

/** Says how far a pod is. @param container the one to be entered */
export function judgePod(pod: KubernetesObject, container: string): PodState {
  const { metadata } = pod;
  if (metadata.deletionTimestamp !== undefined) return { type: "ending" };
  const status = Status.parse(pod["status"] ?? {});
  if (status.phase === "Failed" || status.phase === "Succeeded") {
    const why = [status.reason, status.message].filter((text) => text !== "").join(": ");
    return { type: "failed", told: `its pod ended${why === "" ? "" : ` (${why})`}` };
  }
  for (const one of [...status.initContainerStatuses, ...status.containerStatuses]) {
    const told = judgeContainer(one, one.name === container);
    if (told !== undefined) return told;
  }
  const target = status.containerStatuses.find(({ name }) => name === container);
  const { name, namespace = "", uid = "" } = metadata;
  const there = { name, namespace, uid, ip: status.podIP, container };
  if (target?.state.running !== undefined) return { type: "running", pod: there };
  const coming = comingOf(status);
  // Kubelets look once a second whether a container runs, and start it well before they have seen that it does.
  const isFirst = target === undefined || (target.restartCount === 0 && target.lastState.terminated === undefined);
  return coming.step === STARTING && isFirst ? { ...coming, maybe: there } : coming;
}

/** What is said of a container that is being started, until its kubelet has seen that it runs. */
const MAY_RUN: ReadonlySet<string> = new Set(["", "ContainerCreating", "PodInitializing"]);

/** Says whether a container may run of which its kubelet has not seen yet that it does. */
export function mayRunUnseen(pod: KubernetesObject): boolean {
  const status = Status.parse(pod["status"] ?? {});
  if (status.phase !== "Pending" || comingOf(status).step !== STARTING) return false;
  const isUnseen = ({ state: { waiting } }: ContainerStatus): boolean =>
    waiting !== undefined && MAY_RUN.has(waiting.reason);
  return status.containerStatuses.length === 0 || status.containerStatuses.some(isUnseen);
}

/** What one container says against the pod, where it says anything. The others beside the target do not keep anybody out. */
function judgeContainer(container: ContainerStatus, isTarget: boolean): PodState | undefined {
  const { waiting } = container.state;
  const last = container.state.terminated ?? container.lastState.terminated;
  const isOurs = isTarget || container.name.startsWith("slipway-");
  if (waiting === undefined || !isOurs) return undefined;
  const hopeless = HOPELESS.get(waiting.reason);
  if (hopeless !== undefined) return { type: "failed", told: hopeless(container, waiting.message) };
  const trouble = TROUBLE.get(waiting.reason);
  if (trouble !== undefined) {
    const told = trouble(container, waiting.message);
    return { type: "coming", step: "pulling the image", trouble: told, isRefused: true };
  }
  if (waiting.reason !== "CrashLoopBackOff") return undefined;
  const how = last === undefined ? "" : ` with code ${last.exitCode}${last.message === "" ? "" : `: ${last.message}`}`;
  return { type: "failed", told: `the container ${container.name} ended${how} as soon as it was started` };
}

const STARTING = "starting the container";

function comingOf(status: z.infer<typeof Status>): Extract<PodState, { type: "coming" }> {
  const scheduled = status.conditions.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status !== "True") {
    const { message = "" } = scheduled ?? {};
    return {
      type: "coming",
      step: "finding a node",
      ...(message === "" ? {} : { trouble: `no node can take it: ${message}` }),
    };
  }
  const isReady = status.initContainerStatuses.every(({ state }) => state.terminated?.exitCode === 0);
  return { type: "coming", step: isReady ? STARTING : "running its init containers" };
}
