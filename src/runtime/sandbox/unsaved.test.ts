import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { mustRun } from "../../../test/harness/program.ts";
import { openTestSandbox } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";
import type { EnvironmentSpec } from "../runtime.ts";

describe("unsaved() finds", () => {
  const why = whyNoService();
  const MAKE_CLEAN =
    "cd ~; rm -rf second outer wt .cache; cd /workspace; rm -rf out wt second new hello/wt plain; cd hello;" +
    " rm -rf ../hello/.git/worktrees; git tag -d kept >/dev/null 2>&1; git branch -D side >/dev/null 2>&1; git reset -q --hard";
  let sandbox: TestSandbox;
  let spec: EnvironmentSpec;

  beforeAll(async () => {
    if (why !== undefined) return;
    sandbox = await openTestSandbox();
    spec = sandbox.makeSpec();
    await sandbox.up(spec);
  });
  afterAll(async () => {
    if (why === undefined) await sandbox[Symbol.asyncDispose]();
  });
  beforeEach(async (ctx) => {
    if (why !== undefined) return ctx.skip(why);
    await sandbox.ssh(spec.id, [MAKE_CLEAN]);
    expect(await sandbox.runtime.unsaved(spec.id)).toEqual(CLEAN);
  });

  const CLEAN = { changedPaths: [], changedCount: 0, commits: [], commitCount: 0 };
  const commit = "echo x > x; git add x; git commit -qm 'my work'";

  test.each([
    [
      "a file in a work tree",
      "git worktree add -q ../wt -b side; echo > ../wt/new",
      { changedPaths: ["/workspace/wt/new"] },
    ],
    [
      "a file in a work tree at home",
      "git worktree add -q ~/wt -b side; echo > ~/wt/new",
      { changedPaths: ["/home/dev/wt/new"] },
    ],
    [
      "a file in a second clone",
      "git clone -q . ~/second; echo > ~/second/new",
      { changedPaths: ["/home/dev/second/new"] },
    ],
    [
      "a commit of a second clone",
      `git clone -q . ../second; cd ../second; ${commit}`,
      { commits: ["/workspace/second main: my work"] },
    ],
    [
      "a commit in a repository of its own",
      `mkdir ../new; cd ../new; git init -q -b trunk; ${commit}`,
      { commits: ["/workspace/new trunk: my work"] },
    ],
    [
      "a commit that only a tag holds",
      `${commit}; git tag kept; git reset -q --hard HEAD~`,
      { commits: ["tags/kept: my work"] },
    ],
    [
      "a commit of a detached work tree",
      `git worktree add -q --detach ../wt; cd ../wt; ${commit}`,
      { commits: ["worktrees/wt/HEAD: my work"] },
    ],
    [
      "files beside the checkout",
      "mkdir ../plain; echo > ../plain/notes",
      { changedPaths: ["/workspace/plain/notes"] },
    ],
    ["what it cannot look at", "mkdir -p ../out/.git", { doubts: ["git could not look at /workspace/out"] }],
  ])("%s", async (_what, line, found) => {
    expect(await sandbox.ssh(spec.id, [`set -e; ${line}`])).toMatchObject({ exitCode: 0, stderr: "" });
    const counts = { changedCount: "changedPaths" in found ? 1 : 0, commitCount: "commits" in found ? 1 : 0 };
    expect(await sandbox.runtime.unsaved(spec.id)).toEqual({ ...CLEAN, ...counts, ...found });
  });

  test("no work in ignored files, plain files at home, caches of tools and tags of the forge", async () => {
    const line =
      "echo .env >> .git/info/exclude; echo > .env; echo > ~/notes; mkdir -p ~/.cache; git init -q ~/.cache/x; echo > ~/.cache/x/y; git tag kept HEAD";
    expect(await sandbox.ssh(spec.id, [line])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.runtime.unsaved(spec.id)).toEqual(CLEAN);
  });

  test("no work in a tag beside all branches when the forge has it", async () => {
    const author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    const words = ["commit-tree", "-m", "release", "refs/heads/main^{tree}"];
    const object = await mustRun(["git", ...author, "--git-dir", spec.source.mirrorPath, ...words]);
    expect(await sandbox.ssh(spec.id, [`git tag kept ${object.trim()}`])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await sandbox.runtime.unsaved(spec.id)).toEqual(CLEAN);
  });

  test.each(["mv .git ../gone", "cd ..; mv hello gone"])(
    "that the checkout is none any more after %j",
    async (line) => {
      await sandbox.ssh(spec.id, [line]);
      const { doubts } = await sandbox.runtime.unsaved(spec.id);
      expect(doubts).toContain("its checkout is no git repository any more, so what of it was pushed cannot be said");
      await sandbox.ssh(spec.id, [
        "cd /workspace; [ -e hello ] || mv gone hello; [ -e hello/.git ] || mv gone hello/.git",
      ]);
    },
  );
});
