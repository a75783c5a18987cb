import { expect, test } from "vitest";
import { FakeRuntime, NOTHING_UNSAVED } from "../../test/fakes/fake-runtime.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { runStep } from "./lifecycle.ts";

function makeRun() {
  const runtime = new FakeRuntime();
  runtime.environments.set("e1", {
    power: "running",
    checkedOut: true,
    diskBytes: 0,
    unsaved: NOTHING_UNSAVED,
    log: "",
  });
  const clock = new HandClock();
  const lines: string[] = [];
  const options = { id: "e1", env: {}, runtime, clock, report: (line: string) => lines.push(line) };
  return { runtime, clock, lines, options };
}

const step = { name: "onCreateCommand" as const, parallel: { onCreateCommand: { shell: "make" } } };
const never = new AbortController().signal;

test("runStep() says after a second what is waited for, and how long it took in the end", async () => {
  const { runtime, clock, lines, options } = makeRun();
  const gate = Promise.withResolvers<number>();
  runtime.onCommand = () => gate.promise;
  const done = runStep(step, options, never);
  await clock.advance(999);
  expect(lines).toEqual([]);
  await clock.advance(1);
  expect(lines).toEqual(["slipway: running onCreateCommand …"]);
  await clock.advance(1_000);
  gate.resolve(0);
  expect(await done).toBeUndefined();
  expect(lines.slice(1)).toEqual(["slipway: running onCreateCommand … 2000 ms"]);
  expect(clock.pendingCount).toBe(0);
});

test("runStep() ends a command after an hour, and that is a failure like another", async () => {
  const { runtime, clock, options } = makeRun();
  runtime.onCommand = (_, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const done = runStep(step, options, never);
  await clock.advance(3_600_000);
  expect(await done).toBe("onCreateCommand was ended after 60 minutes");
  expect(runtime.environments.get("e1")?.log).toBe(
    "slipway: onCreateCommand was ended after 60 minutes (3600000 ms)\n",
  );
});

test("runStep() waits for all commands of an object and names each that failed", async () => {
  const { runtime, options } = makeRun();
  runtime.onCommand = (command) => ("shell" in command ? Number(command.shell) : 0);
  const parallel = { a: { shell: "3" }, b: { shell: "0" }, c: { shell: "4" } };
  expect(await runStep({ name: "postCreateCommand", parallel }, options, never)).toBe(
    'postCreateCommand "a" failed with exit code 3, postCreateCommand "c" failed with exit code 4',
  );
});

test("runStep() throws when it is called off, and what the runtime throws", async () => {
  const { runtime, options } = makeRun();
  const stop = new AbortController();
  runtime.onCommand = (_, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const done = runStep(step, options, stop.signal);
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort(new Error("Told to stop"));
  await expect(done).rejects.toThrow("Told to stop");
  runtime.before("run", () => {
    throw new Error("Cannot enter");
  });
  await expect(runStep(step, options, never)).rejects.toThrow("Cannot enter");
});
