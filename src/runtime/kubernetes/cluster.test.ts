import { expect, test } from "vitest";
import { FakeCluster } from "../../../test/fakes/fake-cluster.ts";
import { kinds } from "../../wire/kubernetes.ts";
import { findPod } from "./cluster.ts";

const labels = { "slipway.dev/target": "true" };

function withPods(...statuses: readonly object[]): ReturnType<typeof findPod> {
  const fake = new FakeCluster();
  for (const [index, status] of statuses.entries())
    fake.put(kinds.pod, {
      metadata: { name: `api-${index}`, namespace: "slipway-k3x9", labels },
      status,
    });
  return findPod(fake.as(), "k3x9", { labels, container: "api" });
}

const evicted = { phase: "Failed", reason: "Evicted", message: "The node was low on memory" };

// Whoever came while the next one started was told that it does not start, and that it was an eviction.
test("findPod() looks at the pod that comes in the stead of one that was evicted", () => {
  expect(withPods(evicted, { phase: "Pending" })).toMatchObject({ type: "coming", step: "finding a node" });
  const running = { phase: "Running", containerStatuses: [{ name: "api", state: { running: {} } }] };
  expect(withPods(evicted, { phase: "Pending" }, running)).toMatchObject({ type: "running", pod: { name: "api-2" } });
  expect(withPods(evicted)).toEqual({ type: "failed", told: "its pod ended (Evicted: The node was low on memory)" });
});
