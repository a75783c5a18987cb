import { expect, test } from "vitest";
import { clusterSettings, objectFacts, targetFacts, workload } from "../../../test/fakes/object-facts.ts";
import { type ShapeFacts, shapeKey } from "./shape-key.ts";

const shape = (changes: Partial<ShapeFacts> = {}): string =>
  shapeKey({ facts: objectFacts(), target: targetFacts({ containerEnv: { A: "1", B: "2" } }), ...changes });

test("shapeKey() is the same for whoever's environment it is, of whatever branch, in whatever order things are said", () => {
  const other = objectFacts({ owner: { pool: "a" }, branch: "b", environment: "other", generation: 9 });
  expect(shape({ facts: other })).toBe(shape());
  expect(shape({ target: targetFacts({ hostname: "else", containerEnv: { B: "2", A: "1" } }) })).toBe(shape());
  expect(shape({ image: "base:1" })).toBe(shape());
});

test.each<[string, Partial<ShapeFacts>]>([
  ["the image", { image: "other:1" }],
  ["a manifest", { manifests: [workload("api")] }],
  ["the target", { manifests: [workload("api")], targetName: "deployment/api" }],
  ["a variable", { target: targetFacts({ containerEnv: { A: "1" } }) }],
  ["the user", { target: targetFacts({ containerEnv: { A: "1", B: "2" }, user: "ada" }) }],
  ["the tier's size", { facts: objectFacts({ cluster: clusterSettings({ runAsUser: 7 }) }) }],
  ["the repository", { facts: objectFacts({ repository: "other" }) }],
])("shapeKey() differs with %s", (_, changes) => {
  expect(shape(changes)).not.toBe(shape());
});
