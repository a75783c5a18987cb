import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeJudge } from "./judge-kustomizations.ts";

const root = mkdtempSync(join(tmpdir(), "slipway-judge-test-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let made = 0;

/** Judges a folder of these Kustomizations, as they are when there is a fence. */
function judge(files: Readonly<Record<string, string>>, folder: string): Promise<string[]> {
  const path = join(root, String(++made));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, "tree", name)), { recursive: true });
    writeFileSync(join(path, "tree", name), text);
  }
  const kustomizations = Map.groupBy(Object.keys(files), (name) => posix.dirname(name));
  return makeJudge({ path, kustomizations, [Symbol.asyncDispose]: async () => undefined }, true)(folder);
}

test("makeJudge() names everything that is not in the repository, with file and line", async () => {
  const text = `resources:
- ../base
- github.com/owner/name   # git is not there to be asked
- https://token@example.org/a.yaml
# - https://example.org/not-this
configMapGenerator:
- name: a
  files: [b=HTTP://169.254.169.254/latest/meta-data]
patches: [{path: 'git@example.org:a/b'}]
`;
  expect(await judge({ "app/kustomization.yml": text }, "app")).toEqual([
    'app/kustomization.yml:4: resources[2]: needs a path in the repository, is the URL "https://example.org/a.yaml": nothing is fetched',
    'app/kustomization.yml:8: configMapGenerator[0].files[0]: needs a path in the repository, is the URL "b=HTTP://169.254.169.254/latest/meta-data": nothing is fetched',
    'app/kustomization.yml:9: patches[0].path: needs a path in the repository, is the URL "git@example.org:a/b": nothing is fetched',
  ]);
});

test("makeJudge() lets URLs be in what Kustomize does not load from", async () => {
  const text = `
commonAnnotations: {a: 'https://example.org', b: 'x=https://example.org'}
images: [{name: 'https://example.org/a', newName: ghcr.io/b/c}]
labels: [{pairs: {a: 'https://example.org'}}]
generatorOptions: {annotations: {a: 'https://example.org'}}
secretGenerator: [{name: a, literals: ['a=https://example.org'], options: {annotations: {a: 'https://b'}}}]
patches:
- patch: |-
    - {op: replace, path: /data/a, value: 'a=https://example.org'}
patchesStrategicMerge:
- |-
  {apiVersion: v1, kind: ConfigMap, metadata: {name: a},
  data: {a: 'b=https://example.org'}}
`;
  expect(await judge({ "app/Kustomization": text }, "app")).toEqual([]);
});

test("makeJudge() goes where Kustomize goes, round in circles too, and nowhere else", async () => {
  const remote = "resources: ['https://example.org/a']\n";
  const files = {
    "kustomization.yaml": "components: [./deploy//one/]\n",
    "deploy/one/kustomization.yaml": "bases: [../../deploy/two, ../.., map.yaml]\nnamespace: three\n",
    "deploy/two/kustomization.yaml": remote,
    "deploy/one/three/kustomization.yaml": remote,
  };
  const complaint = expect.stringMatching(/^deploy\/two\/kustomization\.yaml:1: /) as string;
  expect(await judge(files, "")).toEqual([complaint]);
  expect(await judge(files, "deploy/one")).toEqual([complaint]);
});

test("makeJudge() complains of a file that is no YAML, and of more than is read", async () => {
  expect(await judge({ "app/kustomization.yaml": "a: [\n" }, "app")).toEqual([
    expect.stringMatching(/^app\/kustomization\.yaml:2: this is no YAML that we read: /) as string,
  ]);
  const large = `#${"x".repeat(300_000)}\nresources: [../b]\n`;
  expect(await judge({ "a/kustomization.yaml": large, "b/kustomization.yaml": large }, "a")).toEqual([
    "b/kustomization.yaml: needs at most 524288 bytes, with all that is built with it",
  ]);
});
