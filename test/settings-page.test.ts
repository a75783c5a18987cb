import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { makeDefinition } from "../src/policy/definition.ts";
import { checkSettings } from "../src/wire/settings.ts";

const page = readFileSync(new URL("../docs/settings.md", import.meta.url), "utf8");

/** The first code block of a language. */
function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "m").exec(page)?.[1] ?? "";
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
