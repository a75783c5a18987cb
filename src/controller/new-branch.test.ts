import { expect, test } from "vitest";
import { makeWorld, never } from "../../test/fakes/controller-world.ts";
import { planBranch } from "./new-branch.ts";

/** The mirror was asked by the name for the default branch: it knows ids alone, and of a forge's those are numbers. */
test("planBranch() starts from the default branch of a repository whose id is not its name", async () => {
  await using world = await makeWorld();
  world.origins.set("github.9", ["trunk", "main"]);
  const shop = { id: "github.9", name: "shop", owner: "acme", url: "https://github.example/acme/shop.git" };
  const { directory, ...context } = world.context();
  const usable = async () => ({ repositories: [shop], told: [] });
  const request = { who: { person: "ada", key: "" }, repository: "acme/shop", branch: "topic" };
  expect(await planBranch({ ...context, directory: { ...directory, usable } }, request, never)).toMatchObject({
    repository: "github.9",
    repositoryName: "shop",
    login: "shop-topic",
    fromBranch: "trunk",
  });
});
