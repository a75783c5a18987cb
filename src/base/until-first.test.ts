import { expect, test } from "vitest";

import { HandClock } from "../../test/fakes/hand-clock.ts";
import { untilFirst } from "./until-first.ts";

test("untilFirst() returns the name of the first reason and stops the others", async () => {
  const clock = new HandClock();
  const ending = untilFirst({
    "session-expired": (signal) => clock.sleep(60_000, signal),
    "shell-exited": (signal) => clock.sleep(200, signal),
    killed: (signal) => clock.sleep(5_000, signal),
  });
  await clock.advance(200);
  expect(await ending).toBe("shell-exited");
  expect(clock.pendingCount).toBe(0);
});

test("untilFirst() settles a tie in the order written", async () => {
  const first = await untilFirst({ b: async () => undefined, a: async () => undefined });
  expect(first).toBe("b");
});

test("untilFirst() rejects with the failure that came first, and stops the others", async () => {
  const clock = new HandClock();
  const ending = untilFirst({
    never: (signal) => clock.sleep(60_000, signal),
    failed: async () => {
      throw new Error("Cannot read the socket");
    },
  });
  await expect(ending).rejects.toThrow("Cannot read the socket");
  expect(clock.pendingCount).toBe(0);
});

test("untilFirst() rejects when a reason throws before it waits", async () => {
  const ending = untilFirst({
    thrown: () => {
      throw new Error("Cannot begin");
    },
  });
  await expect(ending).rejects.toThrow("Cannot begin");
});

test("untilFirst() leaves no unhandled rejection when a stopped reason rejects afterwards", async () => {
  const unhandled: unknown[] = [];
  const listen = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", listen);
  const clock = new HandClock();
  await untilFirst({ won: async () => undefined, lost: (signal) => clock.sleep(1_000, signal) });
  await clock.advance(2_000);
  process.off("unhandledRejection", listen);
  expect(unhandled).toEqual([]);
});
