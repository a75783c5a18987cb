import { expect, test } from "vitest";
import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../../test/fakes/recording-log.ts";
import { makePaths } from "./paths.ts";

const MINUTE = 60_000;
const WHY = new Error("Cannot reach it");

function open() {
  const clock = new HandClock(0);
  const { log } = recordingLog();
  return { clock, paths: makePaths({ setting: "podIP", isInside: true, clock, log }) };
}

test("failed() has everybody go into that pod by exec for ten minutes, and into others as before", async () => {
  const { clock, paths } = open();
  paths.failed("a", WHY);
  expect([paths.next("a"), paths.next("b"), paths.next()]).toEqual(["exec", "podIP", "podIP"]);
  paths.failed("a", WHY); // a session that had begun
  expect(paths.next("b")).toBe("podIP");
  await clock.advance(10 * MINUTE);
  expect(paths.next("a")).toBe("podIP");
});

test("failed() of a second pod has everybody go by exec everywhere", async () => {
  const { clock, paths } = open();
  paths.failed("a", WHY);
  paths.failed("b", WHY);
  expect(paths.next("c")).toBe("exec");
  await clock.advance(10 * MINUTE);
  expect([paths.next("a"), paths.next("b"), paths.next("c")]).toEqual(["podIP", "podIP", "podIP"]);
});

test("failed() takes two pods for broken by themselves when somebody was let in by an address in between", () => {
  const { paths } = open();
  paths.failed("a", WHY);
  paths.entered("podIP", 20);
  paths.failed("b", WHY);
  expect([paths.next("a"), paths.next("b"), paths.next("c")]).toEqual(["exec", "exec", "podIP"]);
});

test("next() is by exec from outside of the cluster, whatever the setting", () => {
  const { log } = recordingLog();
  const paths = makePaths({ setting: "podIP", isInside: false, clock: new HandClock(0), log });
  expect(paths.next("a")).toBe("exec");
});
