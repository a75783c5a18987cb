import { expect, test } from "vitest";
import { judgePod, mayRunUnseen } from "./judge-pod.ts";

/** A pod whose status is this. */
function pod(status: unknown, metadata: object = {}) {
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "main", namespace: "n", uid: "u", ...metadata }, status };
}

const SCHEDULED = { type: "PodScheduled", status: "True" };
const waiting = (reason: string, message = "") => ({
  name: "main",
  image: "shop:1",
  state: { waiting: { reason, message } },
});

test("judgePod() says where to enter as soon as the target's container runs, whatever others do", () => {
  const status = {
    phase: "Running",
    podIP: "10.0.0.7",
    conditions: [SCHEDULED],
    containerStatuses: [
      { name: "proxy", state: { waiting: { reason: "CrashLoopBackOff" } } },
      { name: "main", state: { running: { startedAt: "2026-11-21T10:00:00Z" } } },
    ],
  };
  expect(judgePod(pod(status), "main")).toEqual({
    type: "running",
    pod: { name: "main", namespace: "n", uid: "u", ip: "10.0.0.7", container: "main" },
  });
});

test("judgePod() takes a pod on its way out for no pod, though its container still runs", () => {
  const status = { phase: "Running", containerStatuses: [{ name: "main", state: { running: {} } }] };
  expect(judgePod(pod(status, { deletionTimestamp: "2026-11-21T10:00:00Z" }), "main")).toEqual({ type: "ending" });
});

test.for([
  [waiting("ErrImageNeverPull"), "the image shop:1 is not on the node, and is never pulled"],
  [waiting("InvalidImageName"), '"shop:1" is no name of an image'],
  [
    waiting("CreateContainerConfigError", 'secret "db" not found'),
    'the container main cannot be made: secret "db" not found',
  ],
  [
    { ...waiting("CrashLoopBackOff"), lastState: { terminated: { exitCode: 127, message: "no such file" } } },
    "the container main ended with code 127: no such file as soon as it was started",
  ],
] as const)("judgePod() says what does not come right by itself: %j", ([container, told]) => {
  const status = { conditions: [SCHEDULED], containerStatuses: [container] };
  expect(judgePod(pod(status), "main")).toEqual({ type: "failed", told });
});

test("judgePod() says why the volume of the tools cannot be filled, rather than that the target finds none of them", () => {
  const toolbox = {
    name: "slipway-toolbox",
    state: { waiting: { reason: "PostStartHookError", message: "disk full" } },
  };
  const status = {
    conditions: [SCHEDULED],
    containerStatuses: [toolbox, waiting("RunContainerError", "no such file")],
  };
  const told = "the tools cannot be put into its volume: disk full";
  expect(judgePod(pod(status), "main")).toEqual({ type: "failed", told });
});

test("judgePod() tells what an image is waited for with, since a registry may come back", () => {
  const status = { conditions: [SCHEDULED], containerStatuses: [waiting("ErrImagePull", "no route to host")] };
  expect(judgePod(pod(status), "main")).toEqual({
    type: "coming",
    step: "pulling the image",
    trouble: "the image shop:1 cannot be pulled: no route to host",
    isRefused: true,
  });
});

test("judgePod() names what a pod waits for: a node, init containers, the container", () => {
  const unschedulable = { type: "PodScheduled", status: "False", message: "0/1 nodes: insufficient memory" };
  expect(judgePod(pod({ conditions: [unschedulable] }), "main")).toEqual({
    type: "coming",
    step: "finding a node",
    trouble: "no node can take it: 0/1 nodes: insufficient memory",
  });
  const init = { name: "migrate", state: { running: {} } };
  const coming = { conditions: [SCHEDULED], initContainerStatuses: [init] };
  expect(judgePod(pod(coming), "main")).toEqual({ type: "coming", step: "running its init containers" });
  const done = { ...coming, initContainerStatuses: [{ ...init, state: { terminated: { exitCode: 0 } } }] };
  expect(judgePod(pod(done), "main")).toEqual({
    type: "coming",
    step: "starting the container",
    maybe: { name: "main", namespace: "n", uid: "u", ip: undefined, container: "main" },
  });
});

test("judgePod() says why a pod that is over ended", () => {
  expect(judgePod(pod({ phase: "Failed", reason: "Evicted", message: "low on disk" }), "main")).toEqual({
    type: "failed",
    told: "its pod ended (Evicted: low on disk)",
  });
});

test.for([
  [true, {}],
  [true, { initContainerStatuses: [{ name: "a", state: { terminated: { exitCode: 0 } } }] }],
  [true, { containerStatuses: [waiting("PodInitializing")] }],
  [true, { containerStatuses: [waiting("ErrImagePull"), waiting("ContainerCreating")] }],
  [false, { containerStatuses: [waiting("ErrImagePull")] }],
  [false, { initContainerStatuses: [{ name: "a", state: { running: {} } }] }],
  [false, { conditions: [] }],
  [false, { phase: "Running", containerStatuses: [{ name: "main", state: { running: {} } }] }],
] as const)("mayRunUnseen() is %j of %j", ([may, status]) => {
  expect(mayRunUnseen(pod({ phase: "Pending", conditions: [SCHEDULED], ...status }))).toBe(may);
});
