import fc from "fast-check";
import { expect, test } from "vitest";
import { makeDefinition } from "./definition.ts";
import { differencesOf, partsOf, versionOf } from "./pool-version.ts";

function versionOfFile(file: object): string {
  const found = { source: ".devcontainer.json", text: JSON.stringify(file) };
  return versionOf(partsOf(makeDefinition(found, { repository: "hello", environmentId: "e1" })));
}

test("versionOf() is the same whatever the order of the keys", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue()), (parts) => {
      const turned = Object.fromEntries(Object.entries(parts).toReversed());
      expect(versionOf(turned)).toBe(versionOf(parts));
      expect(differencesOf(versionOf(parts), versionOf(turned))).toEqual([]);
    }),
  );
});

test("differencesOf() names what was changed, added and taken away", () => {
  const was = versionOf({ image: "a:1", user: "dev", target: undefined });
  expect(differencesOf(was, versionOf({ image: "a:2", user: "dev" }))).toEqual(["image"]);
  expect(differencesOf(was, versionOf({ user: "dev", manifests: ["k8s"] }))).toEqual(["image", "manifests"]);
  expect(differencesOf(was, was)).toEqual([]);
});

test.each([
  ["what is run ahead", { onCreateCommand: "npm ci" }, ["onCreateCommand"]],
  ["the environment of its containers", { containerEnv: { A: "1" } }, ["containerEnv"]],
  ["what is run at the claim", { postCreateCommand: "npm start" }, []],
  ["the service command", { customizations: { slipway: { run: "npm start" } } }, []],
  ["what sessions get", { remoteEnv: { A: "1" } }, []],
])("partsOf() has of a definition what members are made from: %s", (_, file, names) => {
  expect(differencesOf(versionOfFile({}), versionOfFile(file))).toEqual(names);
});
