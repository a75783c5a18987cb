import fc from "fast-check";
import { expect, test } from "vitest";
import { distanceOf, meantBy, nearestTo } from "./nearest.ts";

test.each([
  ["the same word", "main", "main", 0],
  ["nothing and a word", "", "main", 4],
  ["a letter too many", "maiin", "main", 1],
  ["a letter missing", "man", "main", 1],
  ["a wrong letter", "mazn", "main", 1],
  ["two neighbours swapped", "mian", "main", 1],
  ["two swaps", "amnip", "manpi", 2],
  ["nothing in common", "abc", "xyz", 3],
])("distanceOf() counts %s", (_, from, to, distance) => {
  expect(distanceOf(from, to)).toBe(distance);
});

test("distanceOf() is a symmetric distance that a limit never changes below it", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, fc.nat(14), (one, other, atMost) => {
      const distance = distanceOf(one, other);
      expect(distanceOf(other, one)).toBe(distance);
      expect(distance === 0).toBe(one === other);
      expect(distance).toBeLessThanOrEqual(Math.max(one.length, other.length));
      expect(distanceOf(one, other, atMost)).toBe(Math.min(distance, atMost + 1));
    }),
  );
});

test("nearestTo() lists the nearest first and stops at the count", () => {
  const known = ["hello-main", "hello-dev", "help-main", "other-thing", "hello-mine"];
  expect(nearestTo("Hello-mian", known, { atMostCount: 3 })).toEqual(["hello-main", "hello-mine", "help-main"]);
});

test("nearestTo() finds what a full sort would find when the list is hostile", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
  fc.assert(
    fc.property(word, fc.uniqueArray(word), (wanted, known) => {
      const sorted = known
        .map((candidate) => ({ candidate, distance: distanceOf(wanted, candidate) }))
        .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
        .map(({ candidate }) => candidate);
      expect(nearestTo(wanted, known, { atMostCount: 3 })).toEqual(sorted.slice(0, 3));
    }),
  );
});

test("meantBy() names a near word and no far one", () => {
  expect(meantBy("lisen", ["listen", "people"])).toBe("listen");
  expect(meantBy("xyz", ["listen", "people"])).toBeUndefined();
  expect(meantBy("x", [])).toBeUndefined();
});
