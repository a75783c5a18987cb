/**
 * Bare git repositories for environments of tests.
 *
 * @module
 */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { mustRun } from "./program.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");
const AUTHOR = ["-c", "user.name=Tess Ter", "-c", "user.email=tess@example.org", "-c", "init.defaultBranch=main"];

export interface RepositoryOptions {
  /** Beside `main`, all at the same commit. */
  readonly branches?: readonly string[];
  /** Files beside those of the example. @default 0 */
  readonly fileCount?: number;
  /** Text of a devcontainer.json in place of the example's; `null` for none. */
  readonly definition?: string | null;
  /** Folder of `examples/` that it is a copy of. @default hello */
  readonly example?: string;
  /** Texts of files by their paths, in the stead of those of the example. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Makes a bare repository at `path` with one commit of an example. */
export async function makeRepository(path: string, options: RepositoryOptions = {}): Promise<void> {
  const { branches = [], fileCount = 0, definition, example = "hello", files = {} } = options;
  const work = `${path}.work`;
  const keep = (from: string): boolean => definition === undefined || !from.includes(".devcontainer");
  cpSync(join(EXAMPLES, example), work, { recursive: true, filter: keep });
  if (typeof definition === "string") {
    mkdirSync(join(work, ".devcontainer"));
    writeFileSync(join(work, ".devcontainer/devcontainer.json"), definition);
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(work, dirname(path)), { recursive: true });
    writeFileSync(join(work, path), text);
  }
  for (let number = 0; number < fileCount; number++) {
    const folder = join(work, "many", String(number % 20));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${number}.txt`), `${number} `.repeat(200));
  }
  const git = (...words: string[]): Promise<string> => mustRun(["git", ...AUTHOR, "-C", work, ...words]);
  await git("init", "--quiet");
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "A page and the service that shows it");
  for (const branch of branches) await git("branch", branch);
  await mustRun(["git", "clone", "--quiet", "--bare", work, path]);
}
