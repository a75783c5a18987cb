/**
 * Checks that the code map of `ARCHITECTURE.md` names the folders of `src/`, no more and no fewer, that each "open
 * first" file is there, and that each module opens by saying what it is for (`@module`).
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { conclude, ROOT, sourceFiles } from "./source-files.ts";

/** A line of the map: `| \`src/base/\` | what lives there | \`fault.ts\` |`. */
export interface MapRow {
  /** Below `src/`. */
  readonly folder: string;
  readonly openFirst?: string;
}

/** Reads the rows of the code map; other tables of the page do not begin with a folder of `src/`. */
export function mapRows(markdown: string): MapRow[] {
  const rows = markdown.matchAll(/^\|\s*`src\/([^`]+)\/`\s*\|([^|]*)\|\s*(?:`([^`]+)`)?/gm);
  return [...rows].map(([, folder = "", , openFirst]) => ({
    folder,
    ...(openFirst === undefined ? {} : { openFirst }),
  }));
}

/** Words what is wrong with the map of the project below `root`. */
export function wrongMap(root = ROOT): string[] {
  const rows = mapRows(readFileSync(join(root, "ARCHITECTURE.md"), "utf8"));
  const files = sourceFiles("src", root);
  const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const mapped = new Set(rows.map((row) => row.folder));
  return [
    ...folders
      .filter(({ name }) => !mapped.has(name) && files.some((path) => path.startsWith(`src/${name}/`)))
      .map(({ name }) => `ARCHITECTURE.md: the code map has no line for src/${name}/`),
    ...rows
      .filter(({ folder }) => !existsSync(join(root, "src", folder)))
      .map(({ folder }) => `ARCHITECTURE.md: the code map has a line for src/${folder}/, which does not exist`),
    ...rows
      .filter(({ folder, openFirst }) => openFirst !== undefined && !existsSync(join(root, "src", folder, openFirst)))
      .map(
        ({ folder, openFirst = "" }) => `ARCHITECTURE.md: src/${folder}/${openFirst}, to open first, does not exist`,
      ),
    ...files
      .filter((path) => !path.endsWith(".test.ts") && !opensWell(readFileSync(join(root, path), "utf8")))
      .map((path) => `${path}: does not open with a comment that says what it is for and ends with @module`),
  ];
}

/** Says whether a file begins with a docstring for the whole module. */
export function opensWell(text: string): boolean {
  const head = /^(?:#!.*\n)?\/\*\*[\s\S]*?\*\//.exec(text)?.[0];
  return head !== undefined && /^ \* [^@\s]/m.test(head) && /^ \* @module$/m.test(head);
}

if (import.meta.main) conclude(wrongMap(), "map: ARCHITECTURE.md and src/ agree, every module says what it is for");
