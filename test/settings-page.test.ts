import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { faults } from "../src/base/fault.ts";
import { makeDefinition } from "../src/policy/definition.ts";
import { checkSettings } from "../src/wire/settings.ts";

const page = readFileSync(new URL("../docs/settings.md", import.meta.url), "utf8");
const clustersPage = readFileSync(new URL("../docs/kubernetes.md", import.meta.url), "utf8");
const forgesPage = readFileSync(new URL("../docs/forges.md", import.meta.url), "utf8");

/** The code blocks of a language. */
function blocks(language: string, text = page): string[] {
  const found = text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"));
  return [...found].map(([, code = ""]) => code);
}

/** The first of them. */
function block(language: string): string {
  return blocks(language)[0] ?? "";
}

test("docs/settings.md shows a file that is sound, and the defaults that it says", () => {
  const shown = checkSettings(block("yaml"), "docs/settings.md");
  const key = shown.people[0]?.keys[0];
  const bare = checkSettings(`version: 1\npeople:\n  ada: { keys: ["${key?.type} ${key?.blob}"] }\n`, "bare");
  expect(shown.people.map(({ name }) => name)).toEqual(["ada"]);
  expect({ ...shown, people: [], repositories: [], grants: [] }).toEqual({ ...bare, people: [] });
});

test("docs/settings.md shows a definition that is held without a warning", () => {
  const definition = makeDefinition(
    { text: block("jsonc"), source: "docs/settings.md" },
    { repository: "hello", environmentId: "e1" },
  );
  expect(definition.warnings).toEqual([]);
  expect(definition.slipway).toEqual({ run: "node server.js", ports: [3000], tier: "lightweight" });
});

test("docs/settings.md shows forges of every type, with the defaults that it says", () => {
  const [app, token, others, beside] = blocks("yaml")
    .slice(1)
    .map((text) => checkSettings(text, "docs/settings.md"));
  const bare = checkSettings(
    "version: 1\nforges: { github: { tokenFile: /etc/slipway/github-token, organizations: [acme] } }\n",
    "bare",
  );
  expect(token).toEqual(bare);
  expect(app?.forges[0]).toEqual({
    ...bare.forges[0],
    credential: { type: "app", appId: "12345", privateKey: { file: "/etc/slipway/app.pem" } },
    webhookSecret: { file: "/etc/slipway/webhook" },
    repositories: ["ada/dotfiles"],
  });
  expect(others?.forges.map(({ name, type, apiUrl }) => [name, type, apiUrl])).toEqual([
    ["work", "github", "https://ghe.example.com/api/v3"],
    ["gitlab", "gitlab", "https://gitlab.com/api/v4"],
    ["gitea", "gitea", "https://git.example.com/api/v1"],
  ]);
  expect(beside?.authorizedKeys?.allow).toEqual(["pty"]);
});

test("docs/settings.md shows a cluster with the defaults that it says, and a pool", () => {
  const [cluster, pool] = blocks("yaml")
    .slice(5)
    .map((text) => checkSettings(text, "docs/settings.md"));
  // The pool's cluster says nothing but how it is reached.
  expect(cluster?.clusters).toEqual(pool?.clusters);
  expect(pool?.pools.map(({ name, size, schedule }) => [name, size, schedule.length])).toEqual([["hello", 5, 2]]);
});

test("docs/settings.md shows a definition for clusters that is held there without a warning", () => {
  const definition = makeDefinition(
    { text: blocks("jsonc")[1] ?? "", source: "docs/settings.md" },
    { repository: "hello", environmentId: "e1", place: "kubernetes" },
  );
  expect(definition.warnings).toEqual([]);
  expect(definition.container).toMatchObject({ manifests: ["k8s"], target: "deployment/api/web", runAsUser: 1_000 });
});

test("docs/forges.md shows settings that are sound", () => {
  const shown = blocks("yaml", forgesPage).map((text) => checkSettings(text, "docs/forges.md"));
  expect(shown.map(({ forges }) => forges.map(({ name }) => name))).toEqual([["github"], ["github"]]);
});

test("docs/kubernetes.md shows settings that are sound", () => {
  const shown = blocks("yaml", clustersPage).map((text) => checkSettings(text, "docs/kubernetes.md"));
  expect(shown.map(({ clusters }) => clusters.map(({ name }) => name))).toEqual([["west"]]);
});

test("docs/kubernetes.md says what to do about every fault of clusters", () => {
  const codes = Object.keys(faults).filter((code) =>
    /^(cluster|manifests)\.|^environment\.(un(placed|started)|stuck)$/.test(code),
  );
  for (const code of codes) expect(clustersPage).toContain(`| \`${code}\``);
});
