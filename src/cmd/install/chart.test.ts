import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseYaml, parseYamlDocuments } from "../../base/yaml.ts";
import { writeYaml } from "../../base/write-yaml.ts";
import { type ChartFacts, type ChartFiles, chartFiles } from "./chart.ts";
import { installObjects } from "./objects.ts";

const settings = 'version: 1\n# "quoted" {{ braces }} and: colons\nlisten:\n  ssh: ["0.0.0.0:2222"]\n';

const facts: ChartFacts = {
  namespace: "slip-east",
  image: "registry.example:5000/slipway/gateway:1.2@sha256:abc",
  serviceType: "ClusterIP",
  settings,
  settingsHash: createHash("sha256").update(settings).digest("hex"),
  resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } },
  stateSize: "10Gi",
  webhooksPort: 8_080,
  permissions: [
    { verb: "create", group: "", resource: "namespaces" },
    { verb: "get", group: "apps", resource: "deployments" },
  ],
  version: "0.1.0",
  notes: ["Where people log in:"],
};

const functions: Readonly<Record<string, (value: unknown) => unknown>> = {
  toJson: (value) => JSON.stringify(value),
  sha256sum: (value) => createHash("sha256").update(String(value)).digest("hex"),
};

/** As much of Helm's templates as ours use. */
function render(files: ChartFiles): unknown[] {
  const values = parseYaml(files.get("values.yaml") ?? "", "values.yaml");
  const templates = [...files].filter(([path]) => /^templates\/.*\.yaml$/.test(path));
  return templates.flatMap(([path, text]) => {
    const filled = text
      .replace(/^\{\{- (if \.Values\.createNamespace|end) \}\}\n/gm, "")
      .replace(/\{\{ \.Values\.([a-zA-Z.]+)((?: \| \w+)*) \}\}/g, (_, name: string, ways: string) => {
        const value = name.split(".").reduce<unknown>((at, key) => Reflect.get(Object(at), key), values);
        return String(
          ways
            .split(" | ")
            .slice(1)
            .reduce<unknown>((at, way) => functions[way]?.(at), value),
        );
      });
    return parseYamlDocuments(filled, path);
  });
}

test("chartFiles() renders to the very objects that are printed without a chart", () => {
  expect(render(chartFiles(facts))).toEqual(installObjects(facts));
});

test("chartFiles() leaves no placeholder behind, and one template for each object", () => {
  const files = chartFiles(facts);
  expect([...files.values()].join("\n")).not.toMatch(/slipway-value-of/);
  expect([...files.keys()]).toEqual([
    "Chart.yaml",
    "values.yaml",
    "templates/NOTES.txt",
    "templates/00-namespace.yaml",
    "templates/01-service-account.yaml",
    "templates/02-cluster-role.yaml",
    "templates/03-cluster-role-binding.yaml",
    "templates/04-config-map.yaml",
    "templates/05-persistent-volume-claim.yaml",
    "templates/06-deployment.yaml",
    "templates/07-service.yaml",
    "templates/08-network-policy.yaml",
  ]);
});

const hasHelm = spawnSync("helm", ["version", "--short"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "slipway-chart-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test("helm template renders the chart to the same objects", (context) => {
  context.skip(!hasHelm, "there is no helm here, so the chart was rendered by our own reading of its templates alone");
  for (const [path, text] of chartFiles(facts)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const { stdout, stderr, status } = spawnSync("helm", ["template", "slipway", folder], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const byKind = (objects: unknown[]): string[] => objects.map((object) => writeYaml([object])).toSorted();
  expect(byKind(parseYamlDocuments(stdout, "helm").filter((document) => document !== null))).toEqual(
    byKind(installObjects(facts)),
  );
});
