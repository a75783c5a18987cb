import { expect, test } from "vitest";

import { execPermissions, hasFeature, isSupported, readVersionInfo } from "./versions.ts";

const version = (minor: number, major = 1) => ({ major, minor, text: `v${major}.${minor}.0` });

test("hasFeature() and isSupported() go by the version from which on it holds", () => {
  expect(hasFeature(version(22), "podSecurityAdmission")).toBe(false);
  expect(hasFeature(version(23), "podSecurityAdmission")).toBe(true);
  expect(hasFeature(version(0, 2), "imageVolumes")).toBe(true);
  expect([19, 20, 36].map((minor) => isSupported(version(minor)))).toEqual([false, true, true]);
});

test("execPermissions() asks for create beside get from 1.35 on", () => {
  expect(execPermissions(version(34)).map(({ verb }) => verb)).toEqual(["get"]);
  expect(execPermissions(version(35), "a").map(({ verb }) => verb)).toEqual(["get", "create"]);
});

test("readVersionInfo() takes nothing else for a version", () => {
  expect(readVersionInfo({ major: "1", minor: "20+", gitVersion: "v1.20.2" })).toEqual({
    ...version(20),
    text: "v1.20.2",
  });
  expect(readVersionInfo({ major: "", minor: "", gitVersion: "v1" })).toBeUndefined();
  expect(readVersionInfo({ major: 1, minor: 20, gitVersion: "v1" })).toBeUndefined();
});
