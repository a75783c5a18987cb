import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { plainEnv, run, type Ended } from "../../harness/program.ts";
import { installationToken } from "./ask.ts";
import { openGithub, type Github } from "./github.ts";

test("git clones over HTTPS what the credential may see, and pushes what it may change", async () => {
  await using github = await openGithub({
    org: "acme",
    repos: ["shop", "other", { name: "site", isPrivate: false }],
    people: [{ login: "root", role: "owner" }, { login: "ada", role: "pull" }, { login: "eve" }],
  });
  await github.fill("acme/shop", { main: { "README.md": "# shop\n" }, "feature/x": { "x.txt": "x\n" } });
  await github.fill("acme/site", { main: { "README.md": "# site\n" } });
  const folder = mkdtempSync(join(tmpdir(), "github-git-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const git = gitOf(github, folder);
  const installed = await installationToken(github, {
    repositories: ["shop"],
    permissions: { contents: "write" },
  });
  const cloned = await git(["clone", "--quiet", addressOf(github, "acme/shop", installed), "shop"]);
  expect([cloned.exitCode, cloned.stderr]).toEqual([0, ""]);
  expect(readFileSync(join(folder, "shop", "README.md"), "utf8")).toBe("# shop\n");
  const commit = [
    "-c",
    "user.name=T",
    "-c",
    "user.email=t@t.invalid",
    "commit",
    "--quiet",
    "--allow-empty",
    "-m",
    "more",
  ];
  expect((await git(["-C", "shop", ...commit])).exitCode).toBe(0);
  const push = (token: string): Promise<Ended> =>
    git(["-C", "shop", "push", addressOf(github, "acme/shop", token), "main"]);
  const pushed = await push(installed);
  expect([pushed.exitCode, pushed.stderr]).toEqual([0, expect.stringContaining("main -> main")]);

  const list = async (name: string, token?: string, user?: string): Promise<string> => {
    const ended = await git(["ls-remote", addressOf(github, name, token, user)]);
    return ended.exitCode === 0 ? "listed" : ended.stderr;
  };
  expect(await list("acme/site")).toBe("listed");
  expect(await list("acme/shop", github.addToken("ada"), "ada")).toBe("listed");
  expect(await list("acme/shop")).toMatch(/Authentication failed|could not read Username/);
  expect(await list("acme/shop", github.addToken("eve"), "eve")).toMatch(/not found/);
  expect(await list("acme/other", installed)).toMatch(/not found/);
  expect(await list("acme/shop", installed, "someone")).toMatch(/Authentication failed/);
  expect((await push(github.addToken("ada"))).stderr).toMatch(/403/);
  github.world.renameRepository("acme/shop", "store");
  expect(await list("acme/shop", installed)).toBe("listed");
  github.world.archive("acme/store");
  expect((await push(installed)).stderr).toMatch(/403/);
  expect(github.git.requests.filter(({ wants }) => wants === "push").map(({ ruling }) => ruling)).toContain("serve");
  const { folder: ofServer } = github.server;
  await github[Symbol.asyncDispose]();
  expect(existsSync(ofServer)).toBe(false);
});

function addressOf(github: Github, name: string, token?: string, user = "x-access-token"): string {
  const url = new URL(`${github.url}/${name}.git`);
  if (token !== undefined) Object.assign(url, { username: user, password: token });
  return url.href;
}

function gitOf(github: Github, cwd: string): (args: readonly string[]) => Promise<Ended> {
  const env = {
    ...plainEnv(cwd),
    GIT_SSL_CAINFO: github.caFile,
    GIT_ALLOW_PROTOCOL: "https",
    GIT_ASKPASS: "/bin/false",
  };
  return (args) => run(["git", ...args], { cwd, env });
}
