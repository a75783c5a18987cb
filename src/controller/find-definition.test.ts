import { expect, test } from "vitest";
import { findDefinition, type SourceTree } from "./find-definition.ts";

/** A tree of files by their paths, each with its path as its text. */
function treeOf(...paths: readonly string[]): SourceTree {
  return {
    readFile: async (path) => (paths.includes(path) ? path : undefined),
    listFolder: async (folder) => [
      ...new Set(paths.flatMap((path) => (path.startsWith(`${folder}/`) ? (path.split("/")[1] ?? "") : []))),
    ],
  };
}

test.each([
  ["none", [], undefined],
  ["the first of all", [".devcontainer/devcontainer.json", ".devcontainer.json"], ".devcontainer/devcontainer.json"],
  ["the one at the top", [".devcontainer.json", ".devcontainer/api/devcontainer.json"], ".devcontainer.json"],
  [
    "the only one in a folder",
    [".devcontainer/api/devcontainer.json", ".devcontainer/Dockerfile"],
    ".devcontainer/api/devcontainer.json",
  ],
  ["none two folders down", [".devcontainer/a/b/devcontainer.json"], undefined],
  ["none in a folder that a terminal could not show", [".devcontainer/\u001b[2J/devcontainer.json"], undefined],
])("findDefinition() finds %s", async (_what, paths, expected) => {
  const { found, notes } = await findDefinition(treeOf("README.md", ...paths));
  expect([found, notes]).toEqual([expected === undefined ? undefined : { path: expected, text: expected }, []]);
});

/** What lies in folders of its own was ignored without a word, although the specification knows it. */
test("findDefinition() takes none of several, and says so", async () => {
  const of = (name: string): string => `.devcontainer/${name}/devcontainer.json`;
  expect(await findDefinition(treeOf(of("web"), of("api")))).toEqual({
    notes: [
      `none of ${of("api")}, ${of("web")} is used: of several the one that is meant belongs at .devcontainer/devcontainer.json`,
    ],
  });
  const many = await findDefinition(treeOf(..."abcdefgh".split("").map(of)));
  expect(many.notes.join("")).toContain(`${of("e")} and 3 more is used`);
});
