import fc from "fast-check";
import { expect, test } from "vitest";

import { readNextLink } from "./links.ts";
import { pathOf } from "./path.ts";
import { readGithubRate, readGitlabRate, readRetryAfter } from "./rates.ts";

test.each([
  [null, undefined],
  ["", undefined],
  ['<https://x/a?page=2>; rel="next", <https://x/a?page=9>; rel="last"', "https://x/a?page=2"],
  ['<https://x/a?page=1>; rel="prev", <https://x/a?page=3>; rel="next"', "https://x/a?page=3"],
  ["<https://x/a?ids=1,2;3>; rel=next", "https://x/a?ids=1,2;3"],
  ['<https://x/n>; title="a, b; rel=\'next\'"; rel="last next"', "https://x/n"],
  ['<https://x/a>;REL="NEXT"', "https://x/a"],
  ['<https://x/a>; rel="nextish"', undefined],
  ["<https://x/a", undefined],
])("readNextLink() reads %s as %s", (header, next) => {
  expect(readNextLink(header)).toBe(next);
});

test("readNextLink() is done in no time with whatever a header holds", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("<", ">", ";", ",", "=", '"', " ", "rel", "next", "a") }),
      (header) => {
        readNextLink(header);
      },
    ),
  );
  const startMs = performance.now();
  readNextLink(`<a>${"; a".repeat(20_000)}`);
  readNextLink(`<a>${'; a="'.repeat(20_000)}`);
  expect(performance.now() - startMs).toBeLessThan(1_000);
});

const DATE = "Sat, 21 Nov 2026 12:00:00 GMT";
const DATE_S = Date.parse(DATE) / 1_000;

test("rates are read by the forge's own clock", () => {
  const github = {
    "x-ratelimit-limit": "5000",
    "x-ratelimit-remaining": "4999",
    "x-ratelimit-reset": String(DATE_S + 60),
  };
  expect(readGithubRate(new Headers({ ...github, date: DATE }))).toEqual({
    limit: 5_000,
    remaining: 4_999,
    resetMs: 60_000,
  });
  expect(readGithubRate(new Headers({ ...github, date: DATE, "x-ratelimit-resource": "core" }))).toBeDefined();
  expect(readGithubRate(new Headers({ ...github, date: DATE, "x-ratelimit-resource": "search" }))).toBeUndefined();
  expect(readGithubRate(new Headers(github))).toBeUndefined();
  expect(readGithubRate(new Headers({ ...github, date: DATE, "x-ratelimit-remaining": "-1" }))).toBeUndefined();
  const gitlab = { "ratelimit-limit": "60", "ratelimit-remaining": "0", "ratelimit-reset": String(DATE_S - 5) };
  expect(readGitlabRate(new Headers({ ...gitlab, date: DATE }))).toEqual({ limit: 60, remaining: 0, resetMs: 0 });
});

test.each([
  [null, undefined],
  ["120", 120_000],
  ["0", 0],
  ["Sat, 21 Nov 2026 12:01:00 GMT", 60_000],
  ["Sat, 21 Nov 2026 11:00:00 GMT", 0],
  ["soon", undefined],
  ["99999999999999999999", undefined],
])("readRetryAfter() reads %s as %s ms", (text, ms) => {
  const headers = new Headers({ date: DATE, ...(text === null ? {} : { "retry-after": text }) });
  expect(readRetryAfter(headers, 0)).toBe(ms);
});

test("pathOf() makes one segment of each value, whatever it is", () => {
  expect(pathOf`/repos/${"acme"}/${"shop"}`).toBe("/repos/acme/shop");
  expect(pathOf`/repos/${"a/b?c#d"}/${"é %"}/x?y=1`).toBe("/repos/a%2Fb%3Fc%23d/%C3%A9%20%25/x?y=1");
  for (const value of ["", ".", ".."]) expect(() => pathOf`/repos/${value}/x`).toThrow("no account or repository");
  fc.assert(
    fc.property(fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)), minLength: 3 }), (value) => {
      const url = new URL(`https://forge.example/api${pathOf`/repos/${value}/end`}`);
      expect(url.pathname.split("/")).toHaveLength(5);
      expect(url.search + url.hash).toBe("");
    }),
  );
});
