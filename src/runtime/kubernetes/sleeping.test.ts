import { expect, test } from "vitest";
import { FakeCluster, keptOf } from "../../../test/fakes/fake-cluster.ts";
import { workload } from "../../../test/fakes/object-facts.ts";
import { kinds } from "../../wire/kubernetes.ts";
import { asAwake } from "./resting.ts";
import { endWorkloads } from "./sleeping.ts";

const namespace = "slipway-k3x9";
const signal = new AbortController().signal;
const ending = { removal: {}, mostMs: 1_000 };

function withAll(minor: number): FakeCluster {
  const fake = new FakeCluster();
  fake.minor = minor;
  fake.putEnvironment(keptOf(), "ours");
  const owner = { apiVersion: "batch/v1", kind: "CronJob", name: "tidy", uid: "u1", controller: true };
  for (const kind of [kinds.deployment, kinds.statefulSet]) fake.put(kind, { metadata: { name: "db", namespace } });
  fake.put(kinds.cronJob, { metadata: { name: "tidy", namespace } });
  fake.put(kinds.job, { metadata: { name: "seed", namespace }, spec: { backoffLimit: 1 } });
  fake.put(kinds.job, { metadata: { name: "tidy-1", namespace, ownerReferences: [owner] } });
  fake.put(kinds.pod, { metadata: { name: "db-0", namespace } });
  return fake;
}

// CronJobs went on starting pods in an environment that slept, and the pods of Jobs were made again.
test("endWorkloads() leaves nothing that makes pods, and ends those that are there", async () => {
  const fake = withAll(30);
  await endWorkloads(fake.as(), "k3x9", ending, signal);
  expect(fake.find(kinds.deployment, "db")?.["spec"]).toEqual({ replicas: 0 });
  expect(fake.find(kinds.statefulSet, "db")?.["spec"]).toEqual({ replicas: 0 });
  expect(fake.find(kinds.cronJob, "tidy")?.["spec"]).toEqual({ suspend: true });
  expect(fake.find(kinds.job, "seed")?.["spec"]).toEqual({ backoffLimit: 1, suspend: true });
  expect(fake.find(kinds.job, "tidy-1")).toBeUndefined();
  expect(fake.find(kinds.pod, "db-0")).toBeUndefined();
});

const starting = {
  phase: "Pending",
  conditions: [{ type: "PodScheduled", status: "True" }],
  containerStatuses: [{ name: "main", state: { waiting: { reason: "PodInitializing" } } }],
};

// A pod removed in the second in which its kubelet had not seen that it runs was there for 80 s and more.
test("endWorkloads() touches nothing until kubelets have seen which containers run", async () => {
  const fake = withAll(20);
  const metadata = { name: "main", namespace };
  fake.put(kinds.pod, { metadata, status: starting });
  const ended = endWorkloads(fake.as(), "k3x9", ending, signal);
  await fake.clock.advance(4_900);
  expect(fake.asked).toEqual([]);
  fake.put(kinds.pod, { metadata, status: { phase: "Running" } });
  await ended;
  expect(fake.find(kinds.pod, "main")).toBeUndefined();
});

test("endWorkloads() does not wait for ever for a container that nobody sees run", async () => {
  const fake = withAll(20);
  fake.put(kinds.pod, { metadata: { name: "main", namespace }, status: starting });
  const ended = endWorkloads(fake.as(), "k3x9", ending, signal);
  await fake.clock.advance(5_000);
  await ended;
  expect(fake.find(kinds.pod, "main")).toBeUndefined();
});

test("endWorkloads() has Jobs have no pods where a server cannot suspend them", async () => {
  const fake = withAll(21);
  await endWorkloads(fake.as(), "k3x9", ending, signal);
  expect(fake.find(kinds.job, "seed")?.["spec"]).toEqual({ backoffLimit: 1, parallelism: 0 });
});

// A Deployment whose manifest says nothing of replicas had none after its first sleep: an apply leaves what it does not name.
test.each([
  [30, { suspend: false }],
  [21, { parallelism: 1 }],
])("asAwake() says in so many words what each workload has, on 1.%i", async (minor, job) => {
  const fake = new FakeCluster();
  fake.minor = minor;
  const planned = ["Deployment", "StatefulSet", "CronJob", "Job", "Service"].map((kind) => workload("a", {}, { kind }));
  const specs = (await asAwake(fake.as().api, planned, signal)).map(({ spec }) => spec);
  const given = planned[0]?.["spec"] as object;
  const one = { ...given, replicas: 1 };
  expect(specs).toEqual([one, one, { ...given, suspend: false }, { ...given, ...job }, given]);
});

test("asAwake() leaves what a manifest says", async () => {
  const planned = [
    workload("a", {}, { replicas: 3 }),
    workload("b", {}, { kind: "CronJob", suspend: true }),
    workload("c", {}, { kind: "Job", suspend: true, parallelism: 2 }),
  ];
  expect(await asAwake(new FakeCluster().as().api, planned, signal)).toEqual(planned);
});
