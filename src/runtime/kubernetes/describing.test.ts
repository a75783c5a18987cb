import { expect, test } from "vitest";

import { FakeCluster, keptOf } from "../../../test/fakes/fake-cluster.ts";
import { LABELS } from "../../policy/kubernetes/labels.ts";
import { kinds } from "../../wire/kubernetes.ts";
import { listOwn } from "./cluster.ts";
import { describeFound } from "./describing.ts";
import { KEPT_ANNOTATION } from "./kept.ts";

const signal = new AbortController().signal;

/** Makes the namespace of an environment, five seconds old; what is kept of it may be anything. */
function put(fake: FakeCluster, id: string, { kept = JSON.stringify(keptOf({ id })), ...labels }): void {
  fake.put(kinds.namespace, {
    metadata: {
      name: `slipway-${id}`,
      labels: { [LABELS.installation]: "inst1234", [LABELS.environment]: id, ...labels },
      annotations: { [KEPT_ANNOTATION]: kept },
      creationTimestamp: new Date(fake.clock.now() - 5_000).toISOString(),
    },
  });
}

// One namespace in whose annotation somebody had written ended every sweep of its cluster.
test("describeFound() tells of the others where what is kept of one is damaged, and takes that one for no member", async () => {
  const fake = new FakeCluster();
  const member = { [LABELS.pool]: "hello" };
  put(fake, "a1", { kept: "{" });
  put(fake, "b2", { kept: "{", ...member });
  put(fake, "c3", {});
  put(fake, "d4", member);
  const cluster = fake.as();
  expect(await describeFound(cluster, listOwn(cluster), signal)).toEqual([
    { id: "a1", ageMs: 5_000, isMember: false },
    { id: "b2", ageMs: 5_000, isMember: false },
    { id: "c3", ageMs: 5_000, isMember: false },
    { id: "d4", ageMs: 5_000, isMember: true },
  ]);
});

test("describeFound() leaves out what is not there, and what is another installation's", async () => {
  const fake = new FakeCluster();
  put(fake, "a1", { [LABELS.installation]: "other123" });
  expect(await describeFound(fake.as(), ["a1", "b2"], signal)).toEqual([]);
});
