import fc from "fast-check";
import { expect, test } from "vitest";
import type { ForgeRole } from "../../wire/forge.ts";
import { RoleTable } from "./role-table.ts";

const role = fc.constantFrom<ForgeRole>("none", "read", "write", "admin");
const list = fc.uniqueArray(fc.tuple(fc.nat(3_000), role), { selector: ([account]) => account, maxLength: 3_000 });

test("find() gives back what a complete list says of everybody, however it is packed", () => {
  fc.assert(
    fc.property(list, list, (before, roles) => {
      const table = new RoleTable();
      table.setList({ verifiedAt: 1, source: "one", roles: before }, () => false);
      table.setList({ verifiedAt: 2, source: "two", roles }, () => false);
      const wanted = new Map(roles);
      for (let account = 0; account <= 3_001; account += 1) {
        const found = { role: wanted.get(account) ?? "none", verifiedAt: 2, source: "two" };
        expect(table.find(account)).toEqual(found);
      }
      expect(new Map(table.entries())).toEqual(new Map(roles.filter(([, held]) => held !== "none")));
    }),
    { numRuns: 20 },
  );
});

test("find() says nothing before anybody said something", () => {
  expect(new RoleTable().find(1)).toBeUndefined();
});

test("find() goes by an answer about one account before the list, until a list drops it", () => {
  const table = new RoleTable();
  table.setList({ verifiedAt: 1, source: "list", roles: [[1, "write"]] }, () => true);
  table.set(1, { role: "none", verifiedAt: 2, source: "one" });
  expect(table.find(1)).toEqual({ role: "none", verifiedAt: 2, source: "one" });
  expect([...table.entries()]).toEqual([]);
  expect(table.setList({ verifiedAt: 3, source: "list", roles: [[1, "write"]] }, () => true)).toBe(false);
  expect(table.find(1)?.role).toBe("none");
  expect(table.setList({ verifiedAt: 4, source: "list", roles: [[1, "write"]] }, () => false)).toBe(true);
  expect(table.find(1)?.role).toBe("write");
});

test("setList() takes the lesser of two roles of one account", () => {
  const table = new RoleTable();
  table.setList(
    {
      verifiedAt: 1,
      source: "",
      roles: [
        [900, "admin"],
        [900, "read"],
      ],
    },
    () => false,
  );
  expect(table.find(900)?.role).toBe("read");
  table.setList(
    {
      verifiedAt: 2,
      source: "",
      roles: [
        [1, "write"],
        [1, "read"],
        [1, "admin"],
      ],
    },
    () => false,
  );
  expect(table.find(1)?.role).toBe("read");
});
