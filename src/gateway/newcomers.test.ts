import { expect, test } from "vitest";
import { ADA } from "../../test/fakes/fake-gateway.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { makeLog } from "../base/log.ts";
import type { Login } from "../policy/login.ts";
import { makeNewcomers } from "./newcomers.ts";

const known = Buffer.from("known");
const fresh = Buffer.from("fresh");
const strange = Buffer.from("strange");
const never = new AbortController().signal;

/** A directory that learns of `fresh` when it looks for it. */
function makeWorld({ canDiscover = true } = {}) {
  const clock = new HandClock();
  const looks: Login[] = [];
  const keys = new Set([known.toString("base64")]);
  const newcomers = makeNewcomers({
    clock,
    log: makeLog("silent"),
    directory: {
      canDiscover,
      whose: (key) => (keys.has(key) ? { type: "person", person: ADA } : undefined),
      discover: async (_key, login) => {
        looks.push(login);
        keys.add(fresh.toString("base64"));
      },
    },
  });
  return { clock, looks, newcomers };
}

test("Newcomers answers at once for a known key, and for every key where no forge could know more", async () => {
  const { newcomers, looks } = makeWorld();
  expect(newcomers.meet(never).isKnown(known, "hello-main")).toBe(true);
  expect(makeWorld({ canDiscover: false }).newcomers.meet(never).isKnown(fresh, "hello-main")).toBe(false);
  expect(looks).toEqual([]);
});

test("Newcomers lets every stranger wait equally long, whatever their login names", async () => {
  for (const [key, login, isKnown] of [
    [fresh, "hello-main", true],
    [strange, "hello-main", false],
    [strange, "no-such-thing", false],
    [strange, "../../etc", false],
    [strange, "", false],
  ] as const) {
    const { newcomers, clock } = makeWorld();
    const answer = newcomers.meet(never).isKnown(key, login);
    let isOver = false;
    const over = Promise.resolve(answer).then(() => (isOver = true));
    await clock.advance(1_499);
    expect(isOver).toBe(false);
    await clock.advance(1);
    await over;
    expect(await answer).toBe(isKnown);
  }
});

test("Newcomers looks once a connection, and not again for keys that somebody has beside their own", async () => {
  const { newcomers, clock, looks } = makeWorld();
  const first = newcomers.meet(never);
  const waiting = first.isKnown(strange, "hello-main");
  await clock.advance(1_500);
  expect(await waiting).toBe(false);
  expect(first.isKnown(Buffer.from("another"), "hello-main")).toBe(false);
  expect(first.isKnown(known, "hello-main")).toBe(true);
  first.identified();
  expect(newcomers.meet(never).isKnown(strange, "hello-main")).toBe(false);
  expect(newcomers.meet(never).isKnown(Buffer.from("another"), "hello-main")).toBe(false);
  expect(looks).toHaveLength(1);
});

test("Newcomers stops waiting when the connection ends", async () => {
  const { newcomers } = makeWorld();
  const over = new AbortController();
  const waiting = newcomers.meet(over.signal).isKnown(strange, "hello-main");
  over.abort();
  await expect(waiting).rejects.toThrow("aborted");
});
