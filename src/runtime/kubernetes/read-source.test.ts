import { duplexPair } from "node:stream";
import { expect, test, vi } from "vitest";
import { FakeCluster, putRunning } from "../../../test/fakes/fake-cluster.ts";
import type { Exec } from "./api/cluster-api.ts";
import { readSource } from "./read-source.ts";

// A volume that hung kept the login, and whoever removed the environment, waiting for ever.
test("readSource() gives up a pod that reads nothing, with a sentence", async () => {
  const fake = new FakeCluster();
  const own = fake.as();
  let runCount = 0;
  const exec = async (): Promise<Exec> => {
    runCount += 1;
    const [stream, inside] = duplexPair();
    inside.resume();
    return { stream, ended: new Promise(() => undefined), canEndInput: true, stderr: () => "" };
  };
  putRunning(fake);
  const cluster = { ...own, api: { ...own.api, exec } };
  const reading = readSource(cluster, "k3x9", ".devcontainer.json", new AbortController().signal);
  const told = "its files cannot be read in 15 s: their volume may be away";
  const refused = expect(reading).rejects.toMatchObject({ code: "runtime.failed", told });
  await vi.waitUntil(() => runCount === 1);
  await fake.clock.advance(15_000);
  await refused;
});
