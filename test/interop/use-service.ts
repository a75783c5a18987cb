/**
 * One service for the tests of a file: started before the first, taken down after the last. A test that fails prints what
 * the service logged meanwhile. Its environments are where `place.ts` says.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, onTestFailed } from "vitest";
import { whyNoService } from "../harness/needs.ts";
import { openTestService, type ServiceOptions, type TestService } from "../harness/service.ts";
import { openClusterService } from "../kubernetes/open-cluster-service.ts";
import { asThere, place } from "./place.ts";

/** Lines of the log that a failed test shows. */
const SHOWN = 40;

/** Keys of several kinds are made before the first test, and many environments removed after the last. */
const HOOK_MS = 60_000;
/** Namespaces take their time to go. */
const CLUSTER_HOOK_MS = 300_000;

/** Has a service for every test of this file. @returns a function to get it, in tests and hooks alone */
export function useService(options: ServiceOptions = {}): () => TestService {
  const lacks = whyNoService();
  const hookMs = place().image === undefined ? HOOK_MS : CLUSTER_HOOK_MS;
  let opening: Promise<TestService> | undefined;
  let service: TestService | undefined;
  const need = (): TestService => {
    if (service === undefined) throw new Error("Cannot use the service: it is not there yet");
    return service;
  };
  beforeAll(async () => {
    if (lacks !== undefined) return;
    opening = openThere(options);
    service = await opening;
  }, hookMs);
  beforeEach((ctx) => {
    if (lacks !== undefined) ctx.skip(lacks);
    const before = need().log().length;
    onTestFailed(() => {
      const lines = need().log().slice(before).trim().split("\n");
      process.stderr.write(`the service logged:\n${lines.slice(-SHOWN).join("\n")}\n`);
    });
  });
  afterAll(async () => {
    // Also of one that came too late for the tests.
    await (await opening?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }, hookMs);
  return need;
}

/** Opens a service with its environments in the place of this run. */
async function openThere(options: ServiceOptions): Promise<TestService> {
  const { image } = place();
  if (image === undefined) return openTestService(options);
  const given = options.repositories ?? { hello: { branches: ["feature/greeting", "other"] } };
  const repositories = Object.fromEntries(Object.entries(given).map(([name, each]) => [name, asThere(each)]));
  return openClusterService({ ...options, repositories, image });
}
