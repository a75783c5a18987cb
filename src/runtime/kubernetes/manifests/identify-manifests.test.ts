import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { mustRun } from "../../../../test/harness/program.ts";
import { identifyManifests } from "./identify-manifests.ts";

const FILES = {
  "deploy/base/kustomization.yaml": "resources: [api.yaml]\n",
  "deploy/base/api.yaml": "kind: Deployment\n",
  "deploy/overlays/dev/kustomization.yaml": "resources: [../../base]\n",
  "plain/api.yaml": "kind: Deployment\n",
  "plain/db.yaml": "kind: StatefulSet\n",
  "src/main.ts": "export {};\n",
};

let tree = "";
beforeEach(async () => {
  tree = mkdtempSync(join(tmpdir(), "slipway-manifests-"));
  await mustRun(["git", "init", "-q", "-b", "main", tree]);
  await commit(FILES);
  return () => rmSync(tree, { recursive: true, force: true });
});

async function commit(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", tree];
  await mustRun([...git, "add", "."]);
  await mustRun([...git, "commit", "-q", "-m", "some"]);
}

const identify = (paths: readonly string[]) =>
  identifyManifests(
    { mirrorPath: join(tree, ".git"), revision: "refs/heads/main" },
    paths,
    new AbortController().signal,
  );

test.each([
  ["a file in the folder", ["plain"], "plain/api.yaml", true],
  ["another file than the one that is named", ["plain/api.yaml"], "plain/db.yaml", false],
  ["the base of an overlay", ["deploy/overlays/dev"], "deploy/base/api.yaml", true],
  [
    "the base of an overlay that is named by its file",
    ["deploy/overlays/dev/kustomization.yaml"],
    "deploy/base/api.yaml",
    true,
  ],
  ["what is not made into objects", ["plain", "deploy/overlays/dev"], "src/main.ts", false],
  ["anything, of a repository that is manifests", ["."], "src/main.ts", true],
])("identifyManifests() sees a change of %s", async (_, paths, changed, isSeen) => {
  const before = await identify(paths);
  await commit({ [changed]: "kind: Other\n" });
  expect(JSON.stringify(await identify(paths)) !== JSON.stringify(before)).toBe(isSeen);
});

test("identifyManifests() follows a base to the bases that it is built on", async () => {
  await commit({ "deploy/base/kustomization.yaml": "resources: [../../common]\n", "common/a.yaml": "kind: A\n" });
  const before = await identify(["deploy/overlays/dev"]);
  await commit({ "common/a.yaml": "kind: B\n" });
  expect(await identify(["deploy/overlays/dev"])).not.toEqual(before);
});

test("identifyManifests() says of a path that is not there that it is not", async () => {
  expect(await identify(["gone", "plain/db.yaml"])).toEqual({
    gone: null,
    "plain/db.yaml": expect.any(String) as string,
  });
});
