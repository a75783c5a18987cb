import { type Duplex, duplexPair } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { FakeCluster, putRunning } from "../../../test/fakes/fake-cluster.ts";
import type { Exec, ExecEnd } from "./api/cluster-api.ts";
import type { Cluster } from "./cluster.ts";
import { packFiles, unpackFiles } from "./packing.ts";

/** A program that was started, seen from inside. */
interface Program {
  readonly inside: Duplex;
  readonly stream: Duplex;
  end(exitCode: number): void;
}

/** Oldest first: what holds still, then the tar that reads, then the one that writes. */
let programs: Program[];
/** Waited for before each program is started. */
let starting: Promise<unknown>;
let cluster: Cluster;
let moving: AbortController;

beforeEach(() => {
  programs = [];
  starting = Promise.resolve();
  moving = new AbortController();
  const fake = new FakeCluster();
  const own = fake.as();
  cluster = { ...own, api: { ...own.api, exec } };
  putRunning(fake);
});

afterEach(() => moving.abort());

async function exec(): Promise<Exec> {
  await starting;
  const [stream, inside] = duplexPair();
  const { promise: ended, resolve } = Promise.withResolvers<ExecEnd>();
  const end = (exitCode: number): void => {
    inside.end();
    resolve({ type: "exited", exitCode });
  };
  stream.once("end", () => stream.destroy()); // as the real one does
  programs.push({ inside: inside.resume(), stream, end });
  return { stream, ended, canEndInput: true, stderr: () => "" };
}

async function program(index: number): Promise<Program> {
  return vi.waitUntil(() => programs[index]);
}

/** Lets all happen that nobody waits for; what is thrown where nobody catches it fails the run of this file. */
const settle = (): Promise<void> => sleep(20);

// The stream that nobody had been handed yet failed as well, and that ended the whole service.
test("packFiles() rejects when what runs cannot be stopped", async () => {
  const packing = packFiles(cluster, "k3x9", moving.signal);
  const rejected = expect(packing).rejects.toThrow("Cannot stop what runs: it ended with 1");
  (await program(0)).end(1);
  await rejected;
  await settle();
});

// What failed before the other side was ready to read ended the whole service, not the move.
test.each([
  ["what runs goes on before tar is started", /what runs in it could not be stopped/],
  ["tar fails at once", /tar said .*"exitCode":2/],
])("unpackFiles() rejects when %s", async (how, why) => {
  const packing = packFiles(cluster, "k3x9", moving.signal);
  const opening = Promise.withResolvers<undefined>();
  const holder = await program(0);
  starting = opening.promise;
  holder.inside.write("still\n");
  await settle();
  if (how.startsWith("what runs")) holder.end(137);
  await settle();
  opening.resolve(undefined);
  const files = await packing;
  if (how.startsWith("tar")) programs[1]?.end(2);
  await settle();
  await expect(unpackFiles(cluster, "k3x9", files, moving.signal)).rejects.toThrow(why);
  expect(programs.slice(1).map(({ stream }) => stream.destroyed)).toEqual([true, true]);
});
