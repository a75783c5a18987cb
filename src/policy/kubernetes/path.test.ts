import { expect, test } from "vitest";
import { afterEntry, afterFailure, choosePath, type Path, type PathState, UNKNOWN_PATHS } from "./path.ts";

const MINUTE = 60_000;

/** Connects again and again, each path taking so long, until there is a choice. @returns the ways that were gone */
function measure(tookMs: Readonly<Record<Path, number>>, nowMs: number, from = UNKNOWN_PATHS) {
  let state: PathState = from;
  const ways: Path[] = [];
  do {
    const path = choosePath(state, "auto", nowMs);
    ways.push(path);
    state = afterEntry(state, { path, ms: tookMs[path] }, nowMs);
  } while (state.phase === "measuring");
  return { state, ways };
}

test("choosePath() tries both in turns, and takes the better for ten minutes", () => {
  const { state, ways } = measure({ exec: 30, podIP: 20 }, 0);
  expect(ways).toEqual(Array.from({ length: 5 }, () => ["exec", "podIP"]).flat());
  expect(state).toMatchObject({ path: "podIP", because: { type: "measured", tookMs: { exec: 30, podIP: 20 } } });
  expect(choosePath(state, "auto", 10 * MINUTE - 1)).toBe("podIP");
  // Then it is measured anew.
  expect(measure({ exec: 10, podIP: 20 }, 10 * MINUTE, state)).toMatchObject({
    state: { path: "exec", untilMs: 20 * MINUTE },
    ways: { length: 10 },
  });
});

test("choosePath() takes the address where it takes a quarter longer to be let in, as all that follows is faster", () => {
  expect(measure({ exec: 20, podIP: 25 }, 0).state).toMatchObject({ path: "podIP" });
  expect(measure({ exec: 20, podIP: 26 }, 0).state).toMatchObject({ path: "exec" });
});

test("afterEntry() compares medians: one slow connection decides nothing", () => {
  let state = UNKNOWN_PATHS;
  for (const ms of [900, 30, 31, 32, 33]) state = afterEntry(state, { path: "podIP", ms }, 0);
  for (const ms of [34, 35, 36, 37, 38]) state = afterEntry(state, { path: "exec", ms }, 0);
  expect(state).toMatchObject({ path: "podIP", because: { tookMs: { podIP: 32, exec: 36 } } });
});

test("afterEntry() changes nothing once there is a choice", () => {
  const state = afterFailure(0);
  expect(afterEntry(state, { path: "podIP", ms: 1 }, 1)).toBe(state);
});

test("afterFailure() has everybody go by exec at once, for ten minutes, whatever the setting", () => {
  const state = afterFailure(MINUTE);
  for (const setting of ["auto", "podIP"] as const) {
    expect(choosePath(state, setting, 11 * MINUTE - 1)).toBe("exec");
  }
  expect(choosePath(state, "podIP", 11 * MINUTE)).toBe("podIP");
  expect(choosePath(state, "auto", 11 * MINUTE)).toBe("exec"); // the first of a new measurement
});

test("choosePath() measures nothing where the settings name the path", () => {
  expect(choosePath(UNKNOWN_PATHS, "podIP", 0)).toBe("podIP");
  expect(choosePath(measure({ exec: 30, podIP: 20 }, 0).state, "exec", 0)).toBe("exec");
});
