/**
 * Checks that every npm package we depend on is pinned to one version and answered for in `docs/dependencies.md`: which
 * version, why, and which folder alone imports it.
 *
 * That nothing else imports it is checked by `.dependency-cruiser.cjs` from the same `package-owners.json`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

import { conclude, ROOT } from "./source-files.ts";

const Versions = z.record(z.string(), z.string()).default({});
const Manifest = z.object({ dependencies: Versions, optionalDependencies: Versions, devDependencies: Versions });
const Owners = z.record(z.string(), z.array(z.string()));

/** The texts that have to agree. */
export interface Texts {
  readonly manifest: string;
  readonly owners: string;
  readonly page: string;
}

/** A row of the page: package, version, why, only importer. */
interface Row {
  readonly version: string;
  readonly why: string;
  readonly importers: string;
}

/** Words every disagreement. */
export function wrongDependencies({ manifest, owners, page }: Texts): string[] {
  const { dependencies, optionalDependencies, devDependencies } = Manifest.parse(JSON.parse(manifest));
  const ownersOf = Owners.parse(JSON.parse(owners));
  const all = { ...dependencies, ...optionalDependencies, ...devDependencies };
  const rows = rowsOf(page);
  return [
    ...Object.entries(all).flatMap(([name, version]) => wrongEntry(name, version, rows.get(name))),
    ...[...rows.keys()]
      .filter((name) => !(name in all))
      .map((name) => `docs/dependencies.md: ${name} has a row and is not in package.json`),
    ...Object.keys(dependencies)
      .filter((name) => !(name in ownersOf))
      .map((name) => `tools/package-owners.json: ${name} has no owner`),
    ...Object.entries(ownersOf).flatMap(([name, folders]) => wrongOwner(name, folders, rows.get(name))),
  ];
}

function wrongEntry(name: string, version: string, row: Row | undefined): string[] {
  const complaints: string[] = [];
  if (!/^\d+\.\d+\.\d+$/.test(version)) complaints.push(`package.json: ${name} is not pinned: "${version}"`);
  if (row === undefined) return [...complaints, `docs/dependencies.md: ${name} has no row`];
  if (row.version !== version) complaints.push(`docs/dependencies.md: ${name} is ${version}, not ${row.version}`);
  if (row.why === "") complaints.push(`docs/dependencies.md: ${name} does not say why`);
  return complaints;
}

function wrongOwner(name: string, folders: readonly string[], row: Row | undefined): string[] {
  const wanted = folders.map((folder) => `\`src/${folder}/\``).join(", ");
  if (row === undefined) return [`tools/package-owners.json: ${name} has an owner and no row in docs/dependencies.md`];
  return row.importers === wanted ? [] : [`docs/dependencies.md: the only importer of ${name} is ${wanted}`];
}

function rowsOf(page: string): Map<string, Row> {
  const rows = page.matchAll(/^\|\s*`([^`]+)`\s*\|([^|]*)\|([^|]*)\|([^|]*)\|/gm);
  return new Map(
    [...rows].map(([, name = "", version = "", why = "", importers = ""]) => [
      name,
      { version: version.trim(), why: why.trim(), importers: importers.trim() },
    ]),
  );
}

if (import.meta.main) {
  const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
  const complaints = wrongDependencies({
    manifest: read("package.json"),
    owners: read("tools/package-owners.json"),
    page: read("docs/dependencies.md"),
  });
  conclude(complaints, "dependencies: every package is pinned, and says why it is here and who imports it");
}
