/**
 * One service for the tests of a file: started before the first, taken down after the last. A test that fails prints what
 * the service logged meanwhile.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, onTestFailed } from "vitest";
import { whyNoService } from "../harness/needs.ts";
import { openTestService, type ServiceOptions, type TestService } from "../harness/service.ts";

/** Lines of the log that a failed test shows. */
const SHOWN = 40;

/** Keys of several kinds are made before the first test, and many environments removed after the last. */
const HOOK_MS = 60_000;

/** Has a service for every test of this file. @returns a function to get it, in tests and hooks alone */
export function useService(options: ServiceOptions = {}): () => TestService {
  const lacks = whyNoService();
  let opening: Promise<TestService> | undefined;
  let service: TestService | undefined;
  const need = (): TestService => {
    if (service === undefined) throw new Error("Cannot use the service: it is not there yet");
    return service;
  };
  beforeAll(async () => {
    if (lacks !== undefined) return;
    opening = openTestService(options);
    service = await opening;
  }, HOOK_MS);
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
  }, HOOK_MS);
  return need;
}
