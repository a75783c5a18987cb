import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";

import { FakeCluster, keptOf } from "../../../test/fakes/fake-cluster.ts";
import { LABELS } from "../../policy/kubernetes/labels.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { ClusterApi, ExecRequest, ObjectWatch, WatchChange } from "./api/cluster-api.ts";
import { makeKnownObjects } from "./api/known-objects.ts";
import { openKubernetes } from "./open-kubernetes.ts";

const ENTRANCE = {
  ...{ user: "dev", workspaceFolder: "/workspace/hello", labels: {}, container: "main" },
  ...{ hostKey: "", serviceNames: [], warnings: [] },
};

/** What is seen of one kind, which is nothing until it is listed. */
interface Seeing {
  readonly watch: ObjectWatch;
  list(...objects: readonly KubernetesObject[]): void;
}

let fake: FakeCluster;
let closing: AbortController;
let namespaces: Seeing;
let pods: Seeing;
/** Programs that wait, by pod. */
let waiting: string[];

beforeEach(() => {
  fake = new FakeCluster();
  closing = new AbortController();
  const cluster = fake.as();
  [namespaces, pods, waiting] = [seeing(cluster.namespaces), seeing(cluster.pods), []];
  const exec = async ({ pod, argv }: ExecRequest) => {
    const name = `${pod} ${argv.join(" ")}`;
    const stream = new PassThrough();
    waiting.push(name);
    stream.once("close", () => waiting.splice(waiting.indexOf(name), 1));
    return { stream, ended: new Promise<never>(() => {}), canEndInput: true, stderr: () => "" };
  };
  const watch: ClusterApi["watch"] = (kind) => (kind === kinds.pod ? pods : namespaces).watch;
  openKubernetes({ ...cluster, api: { ...cluster.api, exec, watch } }, closing.signal);
});

afterEach(async () => {
  closing.abort();
  await fake.clock.advance(0);
  expect([waiting, fake.clock.pendingCount]).toEqual([[], 0]);
});

function seeing(empty: ObjectWatch): Seeing {
  const known = makeKnownObjects();
  const listeners = new Set<(change: WatchChange) => void>();
  const onChange = (listener: (change: WatchChange) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    watch: { ...empty, find: (namespace, name) => known.find(namespace, name), all: () => known.all(), onChange },
    list: (...objects) => {
      for (const change of known.replace(objects, "1")) for (const listener of listeners) listener(change);
    },
  };
}

/** Makes its next version. */
function changed(object: KubernetesObject): KubernetesObject {
  const resourceVersion = `${object.metadata.resourceVersion}0`;
  return { ...object, metadata: { ...object.metadata, resourceVersion } };
}

/** Makes a member that an earlier service made ready, and its pod; nobody sees them yet. */
function makeMember() {
  const containerStatuses = [{ name: "main", state: { running: {} } }];
  const pod = fake.put(kinds.pod, {
    metadata: { name: "one", namespace: "slipway-k3x9" },
    status: { phase: "Running", containerStatuses },
  });
  const kept = { entrance: ENTRANCE, isCheckedOut: true, readyPod: pod.metadata.uid ?? "" } as const;
  const plain = fake.putEnvironment(keptOf({ owner: { pool: "hello" } }, kept), "ours");
  const labels: Record<string, string> = { ...plain.metadata.labels, [LABELS.pool]: "hello" };
  return { pod, namespace: { ...plain, metadata: { ...plain.metadata, labels } } };
}

const BOTH = ["one /opt/slipway/bin/feed", "one /opt/slipway/bin/run out"];

async function waitingNow(): Promise<string[]> {
  await fake.clock.advance(0);
  return waiting.toSorted();
}

// After a restart members had no programs where their namespaces were listed before their pods.
test.each(["namespaces", "pods"])(
  "programs wait in a member of an earlier service when %s are listed first",
  async (first) => {
    const { pod, namespace } = makeMember();
    if (first === "namespaces") namespaces.list(namespace);
    pods.list(pod);
    namespaces.list(namespace);
    expect(await waitingNow()).toEqual(BOTH);
  },
);

test("programs wait in a member once, however often its pod changes, and no longer than that runs", async () => {
  const { pod, namespace } = makeMember();
  namespaces.list(namespace);
  pods.list(pod);
  pods.list(changed(pod));
  expect(await waitingNow()).toEqual(BOTH);
  pods.list();
  expect(await waitingNow()).toEqual([]);
});

test("no programs wait in what is no member, or none any more, whatever its pod does", async () => {
  const { pod, namespace } = makeMember();
  const { [LABELS.pool]: _, ...labels } = namespace.metadata.labels;
  const claimed = changed({ ...namespace, metadata: { ...namespace.metadata, labels } });
  namespaces.list(claimed);
  pods.list(pod);
  expect(await waitingNow()).toEqual([]);
  namespaces.list(namespace);
  expect(await waitingNow()).toEqual(BOTH);
  namespaces.list(claimed);
  pods.list(changed(pod));
  expect(await waitingNow()).toEqual([]);
});
