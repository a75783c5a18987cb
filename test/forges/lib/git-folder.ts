/**
 * Bare repositories behind a forge server, filled by `git fast-import`: one process for any number of branches.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { mustRun, plainEnv } from "../../harness/program.ts";

/** Files by path, for each branch. */
export type Branches = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Makes an empty bare repository unless there is one. */
export async function makeGitFolder(folder: string, defaultBranch: string): Promise<void> {
  if (existsSync(folder)) return;
  const env = plainEnv("/nonexistent");
  await mustRun(["git", "init", "--quiet", "--bare", `--initial-branch=${defaultBranch}`, folder], { env });
}

/** Writes one commit to each branch, which has these files and no others then. */
export async function fillGitFolder(folder: string, branches: Branches): Promise<void> {
  const commits = Object.entries(branches).map(([branch, files]) => {
    const message = `files of ${branch}\n`;
    const lines = [`commit refs/heads/${branch}`, "committer Test <test@forge.invalid> 1700000000 +0000"];
    const contents = Object.entries(files).map(
      ([path, text]) => `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`,
    );
    return `${lines.join("\n")}\ndata ${Buffer.byteLength(message)}\n${message}deleteall\n${contents.join("")}\n`;
  });
  const input = commits.join("");
  await mustRun(["git", "-C", folder, "fast-import", "--quiet", "--force"], { input, env: plainEnv("/nonexistent") });
}
