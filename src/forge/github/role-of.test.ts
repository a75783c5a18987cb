import { expect, test } from "vitest";

import { type GivenRole, roleOf } from "./role-of.ts";

const flags = { pull: true, triage: false, push: false, maintain: false, admin: false };

test.each<[GivenRole, string | undefined]>([
  [{ role_name: "admin", permissions: { ...flags, push: true, maintain: true, admin: true } }, "admin"],
  [{ role_name: "maintain", permissions: { ...flags, push: true, maintain: true } }, "write"],
  [{ role_name: "write", permissions: { ...flags, push: true } }, "write"],
  [{ role_name: "triage", permissions: { ...flags, triage: true } }, "read"],
  [{ role_name: "read", permissions: flags }, "read"],
  [{ role_name: "none", permissions: { ...flags, pull: false } }, "none"],
  // A role of an organisation's own may have a name that means another thing here.
  [{ role_name: "admin of nothing", permissions: flags }, "read"],
  [{ role_name: "read", permissions: { ...flags, push: true } }, "write"],
  [{ role_name: "maintain" }, "write"],
  [{ role_name: "triage" }, "read"],
  [{ role_name: "release manager", permission: "write" }, "write"],
  [{ permission: "read" }, "read"],
  [{ permission: "none", permissions: flags }, "none"],
  [{ role_name: "release manager" }, undefined],
  [{}, undefined],
])("roleOf() reads %j as %s", (given, role) => {
  expect(roleOf(given)).toBe(role);
});
