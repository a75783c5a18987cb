import { expect, test } from "vitest";
import { FakeCluster, invalidField } from "../../../test/fakes/fake-cluster.ts";
import { workload } from "../../../test/fakes/object-facts.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { appliedOf, applyAll, claimNamesOf, droppedOf, removeDropped } from "./applying.ts";

const namespace = "slipway-k3x9";
const signal = new AbortController().signal;

const inside = (object: KubernetesObject): KubernetesObject => ({
  ...object,
  metadata: { ...object.metadata, namespace },
});

/** A cluster that lets nothing of `db` be changed but by a patch. */
function stubborn(said: string): FakeCluster {
  const fake = new FakeCluster();
  fake.onAsk = (asked) => {
    if (asked === "apply statefulsets db") throw invalidField("spec", said);
  };
  return fake;
}

const SAID = "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden";

// A pushed change of a field that cannot be changed, as the template of a Job, failed every wake from then on.
test("applyAll() goes on with what is there and cannot be changed, wakes it and says so", async () => {
  const fake = stubborn(SAID);
  const old = { replicas: 0, serviceName: "old" };
  fake.put(kinds.statefulSet, { metadata: { name: "db", namespace }, spec: old });
  const objects = [workload("db", {}, { kind: "StatefulSet", replicas: 1 }), workload("api", {}, { replicas: 1 })];
  const stays = await applyAll(fake.as(), objects.map(inside), signal);
  expect(stays).toEqual(["StatefulSet db keeps its old form: a cluster does not let spec be changed"]);
  expect(fake.find(kinds.statefulSet, "db")?.["spec"]).toEqual({ replicas: 1, serviceName: "old" });
  expect(fake.find(kinds.deployment, "api")).toBeDefined();
});

test("applyAll() fails for what is not there yet, and for every other refusal", async () => {
  const fresh = stubborn(SAID);
  const db = inside(workload("db", {}, { kind: "StatefulSet" }));
  await expect(applyAll(fresh.as(), [db], signal)).rejects.toMatchObject({ code: "cluster.refused" });
  const other = stubborn("Invalid value: -1");
  other.put(kinds.statefulSet, { metadata: { name: "db", namespace } });
  await expect(applyAll(other.as(), [db], signal)).rejects.toMatchObject({ code: "cluster.refused" });
});

// Nothing removed what a push had left out of the manifests: it ran until its environment was removed.
test("removeDropped() removes what is planned no more, but no volume claims, and can be done again", async () => {
  const fake = new FakeCluster();
  for (const name of ["old", "api"]) fake.put(kinds.service, { metadata: { name, namespace } });
  fake.put(kinds.deployment, { metadata: { name: "old", namespace } });
  fake.put(kinds.volumeClaim, { metadata: { name: "data", namespace } });
  const before = appliedOf([kinds.service, kinds.deployment, kinds.volumeClaim].flatMap((kind) => all(fake, kind)));
  const dropped = droppedOf(before, appliedOf([workload("api", {}, { kind: "Deployment" }), ...named(fake, "api")]));
  for (let round = 0; round < 2; round++) {
    expect(await removeDropped(fake.as(), { id: "k3x9", dropped }, signal)).toEqual([
      "the volume claim data is kept, though nothing defines it any more",
    ]);
  }
  expect(fake.find(kinds.service, "old")).toBeUndefined();
  expect(fake.find(kinds.deployment, "old")).toBeUndefined();
  expect(fake.find(kinds.service, "api")).toBeDefined();
  expect(fake.find(kinds.volumeClaim, "data")).toBeDefined();
});

test("appliedOf() remembers the claims that stateful sets make, each once", () => {
  const claim = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: "files" }, spec: {} };
  const applied = appliedOf([claim, workload("db", {}, { kind: "StatefulSet" })], ["files", "data-db-0"]);
  expect(claimNamesOf(applied)).toEqual(["files", "data-db-0"]);
  expect(claimNamesOf(droppedOf(applied, appliedOf([claim])))).toEqual(["data-db-0"]);
});

test("droppedOf() takes an object of another version of its group for the same", () => {
  const one = { apiVersion: "batch/v1beta1", kind: "CronJob", name: "tidy" };
  expect(droppedOf([one], [{ ...one, apiVersion: "batch/v1" }])).toEqual([]);
  expect(droppedOf([one], [{ ...one, name: "other" }])).toEqual([one]);
});

function all(fake: FakeCluster, kind: (typeof kinds)[keyof typeof kinds]): KubernetesObject[] {
  return ["old", "api", "data"].flatMap((name) => fake.find(kind, name) ?? []);
}

function named(fake: FakeCluster, name: string): KubernetesObject[] {
  return [kinds.service, kinds.deployment].flatMap((kind) => fake.find(kind, name) ?? []);
}
