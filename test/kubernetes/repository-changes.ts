/**
 * Pushes to the repositories of a test's service, as somebody with a laptop does.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { mustRun } from "../harness/program.ts";
import type { TestService } from "../harness/service.ts";

/** Commits files on a branch of a repository, which is made from `main` where there is none, and pushes it. */
export async function pushFiles(
  { folder }: Pick<TestService, "folder">,
  { repository, branch }: { readonly repository: string; readonly branch: string },
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const work = mkdtempSync(join(folder, "push-"));
  try {
    const author = ["-c", "user.name=Tess Ter", "-c", "user.email=tess@example.org"];
    const git = (...words: string[]): Promise<string> => mustRun(["git", ...author, "-C", work, ...words]);
    await git("clone", "--quiet", join(folder, "repositories", `${repository}.git`), "checkout");
    const checkout = join(work, "checkout");
    await git("-C", checkout, "checkout", "--quiet", "-B", branch, `origin/${branch}`).catch(() =>
      git("-C", checkout, "checkout", "--quiet", "-b", branch),
    );
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(checkout, path)), { recursive: true });
      writeFileSync(join(checkout, path), text);
    }
    await git("-C", checkout, "add", "--all");
    await git("-C", checkout, "commit", "--quiet", "--message", "A change");
    await git("-C", checkout, "push", "--quiet", "origin", branch);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
