import { expect, test } from "vitest";

import { addressesOf, indexOf, interfaceName, makeRules, pickIndex } from "./nat.ts";

test("interfaceName() fits into the 15 characters that Linux has for it", () => {
  expect(interfaceName("abcdefghijklmnop")).toBe("slip-abcdefghij");
  expect(interfaceName("abcd")).toBe("slip-abcd");
});

test.each([
  [0, "198.18.0.0", "198.18.0.1"],
  [127, "198.18.0.254", "198.18.0.255"],
  [65_535, "198.19.255.254", "198.19.255.255"],
])("addressesOf() gives pair %i its two addresses, and indexOf() finds it by either", (index, machine, environment) => {
  expect(addressesOf(index)).toEqual({ machine, environment });
  expect(indexOf(machine)).toBe(index);
  expect(indexOf(environment)).toBe(index);
});

test.each(["198.17.255.255", "198.20.0.0", "127.0.0.1", "10.0.0.1", "fe80::1"])(
  "indexOf() takes %s for nobody's",
  (address) => {
    expect(indexOf(address)).toBeUndefined();
  },
);

test("pickIndex() takes the first free pair from its beginning, and goes round", () => {
  expect(pickIndex(5, new Set())).toBe(5);
  expect(pickIndex(5, new Set([5, 6]))).toBe(7);
  expect(pickIndex(65_535, new Set([65_535]))).toBe(0);
  expect(() => pickIndex(0, new Set(Array.from({ length: 65_536 }, (_, index) => index)))).toThrow(/all are taken/);
});

test("makeRules() lets nothing but port 53 through to a name server, and no name of one into the rules", () => {
  const rules = makeRules(["192.0.2.53", "2001:db8::1", "192.0.2.54; drop"]);
  expect(rules.match(/ip daddr \{ 192\.0\.2\.53 \} meta l4proto \{ tcp, udp \} th dport 53 accept/g)).toHaveLength(2);
  expect(rules).not.toContain("2001:db8");
  expect(rules).not.toContain("; drop\n");
  expect(makeRules([])).not.toContain("dport");
});
