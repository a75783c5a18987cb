import { expect, test } from "vitest";
import { FakeCluster } from "../../../test/fakes/fake-cluster.ts";
import type { Plan } from "../../policy/kubernetes/facts.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { whyNoPod } from "./why-no-pod.ts";

const namespace = "slipway-k3x9";
const signal = new AbortController().signal;
const labels = { "slipway.dev/target": "true" };
const MINUTE_MS = 60_000;
const QUOTA = 'create Pod api-0 in StatefulSet api failed error: pods "api-0" is forbidden: exceeded quota: slipway';

function planOf(kind: string): Plan {
  const target: KubernetesObject = {
    ...{ apiVersion: "apps/v1", kind, metadata: { name: "api" } },
    spec: { template: { metadata: { labels } } },
  };
  const other = { ...target, metadata: { name: "db" }, spec: { template: { metadata: { labels: {} } } } };
  const plan = { namespace: target, base: [], serviceNames: [], claims: [], warnings: [] };
  return { ...plan, workloads: [other, target], target: { labels, container: "api" } };
}

const why = (fake: FakeCluster, kind = "StatefulSet") =>
  whyNoPod(fake.as(), { id: "k3x9", plan: planOf(kind), waitedMs: 10_000 }, signal);

async function withEvent(ageMs: number, changes: Record<string, unknown> = {}): Promise<FakeCluster> {
  const fake = new FakeCluster();
  await fake.clock.advance(60 * MINUTE_MS);
  const lastTimestamp = new Date(fake.clock.now() - ageMs).toISOString();
  const event = { reason: "FailedCreate", message: QUOTA, lastTimestamp, ...changes };
  fake.put(kinds.event, { metadata: { name: "api.1", namespace }, ...event });
  return fake;
}

// Only Deployments were asked: whoever waited for a StatefulSet heard after ten minutes that it took too long.
test("whyNoPod() finds in the events of a StatefulSet why it makes no pod", async () => {
  const fake = await withEvent(1_000);
  expect(await why(fake)).toBe(QUOTA);
  expect(fake.asked).toEqual([
    `list events ${namespace} involvedObject.kind=StatefulSet,involvedObject.name=api,type=Warning`,
  ]);
});

test("whyNoPod() believes no event of an earlier start, nor of something else", async () => {
  expect(await why(await withEvent(MINUTE_MS))).toBeUndefined();
  expect(await why(await withEvent(1_000, { reason: "FailedAttachVolume" }))).toBeUndefined();
  expect(await why(await withEvent(1_000, { lastTimestamp: null }))).toBeUndefined();
});

test("whyNoPod() says nothing of a StatefulSet that has made its pod after all", async () => {
  const fake = await withEvent(1_000);
  fake.put(kinds.pod, { metadata: { name: "api-0", namespace, labels } });
  expect(await why(fake)).toBeUndefined();
});

test("whyNoPod() finds in a Deployment why it makes no pod", async () => {
  const fake = new FakeCluster();
  const conditions = [{ type: "ReplicaFailure", status: "True", message: "exceeded quota" }];
  fake.put(kinds.deployment, { metadata: { name: "api", namespace }, status: { conditions } });
  expect(await why(fake, "Deployment")).toBe("exceeded quota");
  expect(await why(fake, "Pod")).toBeUndefined();
});
