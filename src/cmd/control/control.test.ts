import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordingLog } from "../../../test/fakes/recording-log.ts";
import { Fault } from "../../base/fault.ts";
import { controlRequests } from "../../wire/control.ts";
import { askService } from "./ask-service.ts";
import { type ControlHandlers, openControl } from "./open-control.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-control-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const ROW = { person: "ada", login: "ada", repository: "hello", route: "grant", keyCount: 1, isStale: false } as const;

function handlersWith(changed: Partial<ControlHandlers>): ControlHandlers {
  const none = async (): Promise<never> => Promise.reject(new Error("Cannot answer: the test does not ask this"));
  const pools = { "/pools/list": none, "/pools/explain": none, "/garbage/sweep": none };
  return { "/access/explain": none, "/access/list": none, "/authorized-keys": none, ...pools, ...changed };
}

const list = async (socket: string): Promise<unknown> =>
  askService({ socket, path: "/access/list", asked: { person: "ada" } }, controlRequests["/access/list"].answer);

test("askService() gets what the handler of a running service answers, over a socket that is the owner's alone", async () => {
  const path = join(folder, "control.sock");
  writeFileSync(path, "left by a service that was killed");
  const { log, lines } = recordingLog();
  const handlers = handlersWith({ "/access/list": async ({ person }) => [{ ...ROW, login: person ?? "" }] });
  await using opened = await openControl({ path, handlers, log });
  expect(opened).toBeDefined();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await list(path)).toEqual([ROW]);
  expect(lines).toEqual([]);
});

test("askService() works on a path that is too long for the kernel", async () => {
  const { log } = recordingLog();
  const long = mkdtempSync(join(folder, "x".repeat(100)));
  const path = join(long, "control.sock");
  await using opened = await openControl({ path, handlers: handlersWith({ "/access/list": async () => [ROW] }), log });
  expect(opened).toBeDefined();
  expect(await list(path)).toEqual([ROW]);
});

test("askService() says in one sentence that no service runs", async () => {
  const path = join(folder, "nobody.sock");
  const absent = {
    code: "service.absent",
    message: `Cannot ask the service: no service answers on ${path}; SLIPWAY_HOME names the state folder of one that runs`,
  };
  await expect(list(path)).rejects.toMatchObject(absent);
  const opened = await openControl({ path, handlers: handlersWith({}), log: recordingLog().log });
  await opened[Symbol.asyncDispose]();
  await expect(list(path)).rejects.toMatchObject(absent);
});

test("askService() says so too when the service ends in the middle of an answer", async () => {
  const path = join(folder, "ending.sock");
  const { log, lines } = recordingLog();
  const asked = Promise.withResolvers<undefined>();
  const handlers = handlersWith({
    "/access/list": async (_, signal) => {
      asked.resolve(undefined);
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("Aborted"))));
    },
  });
  const opened = await openControl({ path, handlers, log });
  const answer = list(path);
  answer.catch(() => undefined);
  await asked.promise;
  await opened[Symbol.asyncDispose]();
  await expect(answer).rejects.toMatchObject({ code: "service.absent" });
  expect(lines).toEqual([]);
});

test("askService() rejects with the fault that the service refuses with, and with a bug's code alone", async () => {
  const path = join(folder, "refusing.sock");
  const { log, lines } = recordingLog();
  let error: Error = new Fault("access.unknown", "Cannot answer: nobody is ada", { told: "nobody is ada" });
  const handlers = handlersWith({ "/access/list": async () => Promise.reject(error) });
  await using opened = await openControl({ path, handlers, log });
  expect(opened).toBeDefined();
  await expect(list(path)).rejects.toMatchObject({ code: "access.unknown", told: "nobody is ada" });
  expect(lines).toEqual([]);
  error = new TypeError("Cannot read properties of a secret");
  const message = "Cannot answer: the service failed, its log says why";
  await expect(list(path)).rejects.toMatchObject({ code: "service.failed", message });
  expect(lines.map(({ event }) => event)).toEqual(["control.failed"]);
});

test.each([
  ["another path", { path: "/toString", method: "POST", body: "{}" }],
  ["another method", { path: "/access/list", method: "GET", body: "" }],
  ["no JSON", { path: "/access/list", method: "POST", body: "{" }],
  ["another shape", { path: "/access/list", method: "POST", body: '{"who":1}' }],
])("openControl() refuses %s", async (_, { path, method, body }) => {
  const socket = join(folder, "strange.sock");
  const { log } = recordingLog();
  await using opened = await openControl({ path: socket, handlers: handlersWith({}), log });
  expect(opened).toBeDefined();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ socketPath: socket, path, method, agent: false }, (response) => {
    text(response).then((all) => resolve(`${response.statusCode} ${all}`), reject);
  })
    .on("error", reject)
    .end(body);
  expect(await promise).toMatch(/^422 .*"code":"(usage\.wrong|service\.failed)"/);
});
