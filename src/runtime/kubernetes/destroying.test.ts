import { expect, test } from "vitest";
import { FakeCluster, keptOf } from "../../../test/fakes/fake-cluster.ts";
import { kinds } from "../../wire/kubernetes.ts";
import { destroyEnvironment } from "./destroying.ts";

const NAME = "slipway-k3x9";
const signal = new AbortController().signal;

function withPod(fake: FakeCluster): FakeCluster {
  fake.put(kinds.pod, { metadata: { name: "main", namespace: NAME } });
  return fake;
}

test("destroyEnvironment() removes pods, then the namespace in the state that was looked at, and is done when it is gone", async () => {
  const fake = withPod(new FakeCluster());
  fake.putEnvironment(keptOf(), "ours");
  await destroyEnvironment(fake.as(), { id: "k3x9", generation: 8 }, signal);
  expect(fake.find(kinds.namespace, NAME, "")).toBeUndefined();
  expect(fake.asked.filter((asked) => asked.startsWith("delete"))).toEqual([
    `delete pods main`,
    `delete namespaces ${NAME}`,
  ]);
  await destroyEnvironment(fake.as(), { id: "k3x9", generation: 8 }, signal);
});

test("destroyEnvironment() destroys what nobody recorded, whatever its generation", async () => {
  const fake = new FakeCluster();
  fake.putEnvironment(keptOf(), "ours");
  await destroyEnvironment(fake.as(), { id: "k3x9" }, signal);
  expect(fake.find(kinds.namespace, NAME, "")).toBeUndefined();
});

// A service on a copied database, whose record did not say yet that anybody had been in it, deleted the namespace that the
// other service had finished, and so did `rm --force` there: nothing of another service is ours to destroy.
test.each([
  ["another service wrote last, at an older generation than ours", "theirs", 9],
  ["another service wrote last, at the same generation", "theirs", 7],
  ["a newer operation wrote last", "ours", 6],
])("destroyEnvironment() touches nothing where %s", async (_, run, generation) => {
  const fake = withPod(new FakeCluster());
  fake.putEnvironment(keptOf(), run);
  const destroyed = destroyEnvironment(fake.as(), { id: "k3x9", generation }, signal);
  await expect(destroyed).rejects.toMatchObject({ code: "environment.overtaken" });
  expect(fake.asked).toEqual([]);
});

test("destroyEnvironment() gives way to another service that comes between its look and its word", async () => {
  const fake = new FakeCluster();
  fake.putEnvironment(keptOf(), "ours");
  fake.onAsk = (asked) => {
    if (asked.startsWith("delete")) fake.putEnvironment(keptOf({ generation: 8 }), "theirs");
  };
  const destroyed = destroyEnvironment(fake.as(), { id: "k3x9", generation: 8 }, signal);
  await expect(destroyed).rejects.toMatchObject({ code: "environment.overtaken" });
  expect(fake.find(kinds.namespace, NAME, "")).toBeDefined();
});

test("destroyEnvironment() looks again when a controller of the cluster wrote on the namespace, and gives up on one that does so always", async () => {
  const fake = new FakeCluster();
  let writes = 2;
  fake.onAsk = (asked) => {
    if (asked.startsWith("delete") && writes-- > 0) fake.putEnvironment(keptOf(), "ours");
  };
  fake.putEnvironment(keptOf(), "ours");
  await destroyEnvironment(fake.as(), { id: "k3x9", generation: 8 }, signal);
  expect(fake.find(kinds.namespace, NAME, "")).toBeUndefined();

  writes = Number.POSITIVE_INFINITY;
  fake.putEnvironment(keptOf(), "ours");
  const destroyed = destroyEnvironment(fake.as(), { id: "k3x9", generation: 8 }, signal);
  await expect(destroyed).rejects.toMatchObject({ code: "environment.stuck" });
});
