import { expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { heldBytes } from "../../test/harness/held-bytes.ts";
import { networkOf, Strangers, type Stranger } from "./strangers.ts";

function leave(stranger: Stranger, outcome: "identified" | "failed" | "quiet"): void {
  if (!stranger.admitted) throw new Error(`Not admitted: ${stranger.reason}`);
  stranger.leave(outcome);
}

/** Fails a connection of `address` so many times; those turned away do not count. */
function fail(strangers: Strangers, address: string, times: number): void {
  for (let at = 0; at < times; at++) leave(strangers.enter(address), "failed");
}

test("Strangers.enter() admits so many from one address and so many in all, and again when one has left", () => {
  const perAddress = new Strangers({ total: 9, perAddress: 2 }, new HandClock());
  const first = perAddress.enter("192.0.2.1");
  expect([first.admitted, perAddress.enter("192.0.2.1").admitted]).toEqual([true, true]);
  expect(perAddress.enter("192.0.2.1")).toEqual({ admitted: false, reason: "too-many-from-address" });
  leave(first, "identified");
  expect(perAddress.enter("192.0.2.1").admitted).toBe(true);
  const inAll = new Strangers({ total: 2, perAddress: 9 }, new HandClock());
  expect([inAll.enter("192.0.2.1").admitted, inAll.enter("192.0.2.1").admitted]).toEqual([true, true]);
  expect(inAll.enter("192.0.2.1")).toEqual({ admitted: false, reason: "too-many" });
  expect(inAll.count).toBe(2);
});

test("Strangers.enter() turns away the oldest of the address that has most when every place is taken", () => {
  const strangers = new Strangers({ total: 3, perAddress: 3 }, new HandClock());
  const turnedAway: string[] = [];
  const first = strangers.enter("192.0.2.1", () => turnedAway.push("first"));
  strangers.enter("192.0.2.1", () => turnedAway.push("second"));
  strangers.enter("192.0.2.2", () => turnedAway.push("other"));
  expect(strangers.enter("192.0.2.3").admitted).toBe(true);
  expect(turnedAway).toEqual(["first"]);
  leave(first, "quiet");
  expect(strangers.count).toBe(3);
});

test("Strangers turns away the oldest of the address that has the most, when a newcomer with fewer needs its place", () => {
  const strangers = new Strangers({ total: 4, perAddress: 3 }, new HandClock());
  const turnedAway: string[] = [];
  const enter = (address: string, name: string): Stranger => strangers.enter(address, () => turnedAway.push(name));
  const greedy = [enter("192.0.2.1", "first"), enter("192.0.2.1", "second"), enter("192.0.2.1", "third")];
  enter("192.0.2.2", "other");
  expect(enter("192.0.2.3", "newcomer").admitted).toBe(true);
  expect(turnedAway).toEqual(["first"]);
  for (const stranger of greedy) leave(stranger, "quiet");
  expect(strangers.count).toBe(2);
});

test("Strangers turns nobody away for one whose address has as many", () => {
  const strangers = new Strangers({ total: 2, perAddress: 2 }, new HandClock());
  const turnedAway: string[] = [];
  for (const address of ["192.0.2.1", "192.0.2.2"]) strangers.enter(address, () => turnedAway.push(address));
  expect(strangers.enter("192.0.2.1")).toEqual({ admitted: false, reason: "too-many" });
  expect(strangers.enter("192.0.2.3").admitted).toBe(true);
  expect(turnedAway).toHaveLength(1);
  expect(strangers.count).toBe(2);
});

test("Strangers counts one that leaves twice once", () => {
  const strangers = new Strangers({ total: 2, perAddress: 2 }, new HandClock());
  const first = strangers.enter("192.0.2.1");
  strangers.enter("192.0.2.1");
  leave(first, "identified");
  leave(first, "failed");
  expect(strangers.count).toBe(1);
});

test("Strangers lets an address fail ten times free, then sends it away for 1 s, 2 s, 4 s and never over a minute", async () => {
  const clock = new HandClock(1_000_000);
  const strangers = new Strangers({ total: 10, perAddress: 10 }, clock);
  fail(strangers, "192.0.2.1", 10);
  for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    fail(strangers, "192.0.2.1", 1);
    await clock.advance(waitMs - 1);
    expect(strangers.enter("192.0.2.1")).toEqual({ admitted: false, reason: "backing-off" });
    await clock.advance(1);
  }
  expect(strangers.enter("192.0.2.2").admitted).toBe(true);
});

/** The wait was kept as a time of the wall clock: one set back by an hour kept an address away for an hour. */
test("Strangers lets an address back in when its wait is over though the clock was set back meanwhile", async () => {
  const clock = new HandClock(10_000_000);
  const strangers = new Strangers({ total: 10, perAddress: 10 }, clock);
  fail(strangers, "192.0.2.1", 11);
  clock.setBack(3_600_000);
  expect(strangers.enter("192.0.2.1")).toEqual({ admitted: false, reason: "backing-off" });
  await clock.advance(1_000);
  expect(strangers.enter("192.0.2.1").admitted).toBe(true);
});

test("Strangers forgives an address whose key was proved, and one that was quiet for 15 minutes", async () => {
  const clock = new HandClock(1_000_000);
  const strangers = new Strangers({ total: 10, perAddress: 10 }, clock);
  fail(strangers, "192.0.2.1", 10);
  leave(strangers.enter("192.0.2.1"), "identified");
  fail(strangers, "192.0.2.1", 10);
  expect(strangers.enter("192.0.2.1").admitted).toBe(true);
  fail(strangers, "192.0.2.2", 11);
  expect(strangers.enter("192.0.2.2").admitted).toBe(false);
  await clock.advance(900_000);
  fail(strangers, "192.0.2.2", 10);
  expect(strangers.enter("192.0.2.2").admitted).toBe(true);
});

test("Strangers holds nothing against those who were only quiet: port scans, health checks, ssh-keyscan", () => {
  const strangers = new Strangers({ total: 10, perAddress: 10 }, new HandClock());
  for (let at = 0; at < 100; at++) leave(strangers.enter("192.0.2.1"), "quiet");
  expect(strangers.enter("192.0.2.1").admitted).toBe(true);
});

test("Strangers remembers at most 10,000 addresses, and forgets last those that must stay away and those that are here", () => {
  const clock = new HandClock(1_000_000);
  const strangers = new Strangers({ total: 100, perAddress: 1 }, clock);
  const here = strangers.enter("198.51.100.1");
  fail(strangers, "198.51.100.2", 20 - 9);
  const before = heldBytes().heap;
  for (let at = 0; at < 60_000; at++) leave(strangers.enter(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`), "quiet");
  expect(heldBytes().heap - before).toBeLessThan(8 * 1_024 * 1_024);
  expect(strangers.enter("198.51.100.2")).toEqual({ admitted: false, reason: "backing-off" });
  expect(strangers.enter("198.51.100.1")).toEqual({ admitted: false, reason: "too-many-from-address" });
  leave(here, "quiet");
  expect(strangers.count).toBe(0);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:192.0.2.1", "192.0.2.1"],
  ["0:0:0:0:0:ffff:c000:201", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
  ["2001:db8::9", "2001:db8:0:0::/64"],
  ["2001:db8:0:0:1::", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
])("networkOf() counts %s as %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test("networkOf() keeps two networks of one provider apart, and all addresses of one network together", () => {
  expect(networkOf("2001:db8:1:2::1")).not.toBe(networkOf("2001:db8:1:3::1"));
  const strangers = new Strangers({ total: 10, perAddress: 1 }, new HandClock());
  expect(strangers.enter("2001:db8:1:2::1").admitted).toBe(true);
  expect(strangers.enter("2001:db8:1:2:ffff::2").admitted).toBe(false);
});
