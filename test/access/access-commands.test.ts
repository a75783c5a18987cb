/**
 * What an operator can ask: `slip access`, and `slip check --online` against the GitHub of the tests.
 *
 * @module
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AccessExplanation, AccessRow } from "../../src/wire/control.ts";
import { openGithub, type Github } from "../forges/github/github.ts";
import { freePort } from "../harness/free-port.ts";
import { whyNoService } from "../harness/needs.ts";
import { run, type Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { openForgeService } from "./open-forge-service.ts";

const SLIP = join(import.meta.dirname, "../../src/cmd/slip.ts");

test(
  "slip access says who may use what, by which route, and from which answer",
  { timeout: 60_000 },
  async (context) => {
    const why = whyNoService();
    if (why !== undefined) context.skip(why);
    await using world = await openForgeService({ webhooks: true });
    const { github, service } = world;
    github.world.setCollaborator("acme/shop", "ivy", "push");
    const explain = async (...words: string[]): Promise<AccessExplanation> =>
      AccessExplanation.parse(JSON.parse(await service.slip("access", "explain", ...words, "--json")));
    const ivy = await until("ivy to be known", async () => {
      const answer = await explain("ivy", "acme/shop").catch(() => undefined);
      // Their keys are asked for by themselves, and may come later.
      return answer?.allowed === true && answer.notes.length === 0 && answer;
    });
    const repository = { id: `github.${github.world.repository("acme/shop").id}`, name: "acme/shop" };
    const person = { id: `github.${github.world.user("ivy").id}`, login: "ivy" };
    expect(ivy).toMatchObject({ person, repository, route: "forge", role: "write", isStale: false, notes: [] });
    expect(Date.now() - Date.parse(ivy.verifiedAt ?? "")).toBeLessThan(60_000);
    expect(ivy.sources.join("\n")).toMatch(/^GET \/repos/m);
    expect(await service.slip("access", "explain", "github/ivy", repository.id)).toMatch(
      /^yes: ivy may use acme\/shop\n {2}person {6}github\.\d+\n {2}repository {2}github\.\d+\n {2}route {7}the forge, role write\n {2}verified {4}20/,
    );
    const rows = AccessRow.array().parse(
      JSON.parse(await service.slip("access", "list", "--repository", "shop", "--json")),
    );
    expect(rows.map(({ login, role, keyCount }) => [login, role, keyCount])).toContainEqual(["ivy", "write", 1]);
    expect(await service.slip("access", "list", "--person", "ivy")).toMatch(
      /^acme\/shop\tivy\tgithub\.\d+\twrite\t1 key\t20\S+\n$/,
    );
    github.world.removeCollaborator("acme/shop", "ivy");
    const no = await until("ivy to be out", async () => {
      const answer = await explain("ivy", "acme/shop");
      return !answer.allowed && answer;
    });
    expect(no).toMatchObject({ told: "ivy is no collaborator of acme/shop" });
    expect(await service.slip("access", "list", "--person", "ivy")).toBe("");
    await expect(service.slip("access", "explain", "iyv", "acme/shop")).rejects.toThrow(
      /no person is known as .*did you mean/,
    );
  },
);

/** Runs `slip check --online` on a forge of the settings. */
async function check(forge: Readonly<Record<string, unknown>>, secret: string, ...words: string[]): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-check-"));
  try {
    const settings = { version: 1, forges: { github: { organizations: ["acme"], ...forge } } };
    writeFileSync(join(folder, "slipway.yaml"), JSON.stringify(settings));
    writeFileSync(join(folder, "secret"), secret);
    chmodSync(join(folder, "secret"), 0o600);
    const ended = await run([process.execPath, SLIP, "check", "--online", ...words], { cwd: folder });
    expect(ended.stdout + ended.stderr).not.toContain(secret);
    return ended;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function asApp({ url, apiUrl, app }: Github): Readonly<Record<string, unknown>> {
  return { url, apiUrl, app: { id: app.id, privateKeyFile: "secret" } };
}

test("slip check --online is content with an App that has what is needed, and says what it is", async () => {
  await using github = await openGithub({ org: "acme", repos: ["shop"] });
  const ended = await check(asApp(github), github.app.privateKey);
  expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
  expect(ended.stdout).toContain("github\tok\tthe App has Organization permissions → Members: read\n");
  expect(ended.stdout).toMatch(/\nslipway\.yaml is sound: 0 people, 0 repositories, 1 forge\n$/);
});

test("slip check --online names each permission that an App lacks, and exits with 1", async () => {
  const app = { permissions: { metadata: "read" } } as const;
  await using github = await openGithub({ org: "acme", repos: ["shop"], app });
  const ended = await check(asApp(github), github.app.privateKey);
  expect(ended.exitCode).toBe(1);
  expect(ended.stdout).toContain("github\tmissing\tthe App needs Repository permissions → Contents: read\n");
  expect(ended.stdout).toContain("github\tmissing\tthe App needs Organization permissions → Members: read\n");
  const { stdout } = await check(asApp(github), github.app.privateKey, "--json");
  expect(JSON.parse(stdout)).toMatchObject({ forges: 1, findings: expect.arrayContaining([]) as unknown });
});

test("slip check --online names each scope that a token lacks, says that a wrong one is refused, and who is not there", async () => {
  await using github = await openGithub({ org: "acme", people: [{ login: "ada", role: "owner" }], app: false });
  const { url, apiUrl } = github;
  const lacking = await check({ url, apiUrl, tokenFile: "secret" }, github.addToken("ada", ["read:user"]));
  expect(lacking.exitCode).toBe(1);
  expect(lacking.stdout).toMatch(/^github\tmissing\tthe token needs the scope repo to /m);
  expect(lacking.stdout).toMatch(/^github\tmissing\tthe token needs the scope read:org to /m);
  const wrong = await check({ url, apiUrl, tokenFile: "secret" }, "ghp_notoneofours");
  expect(wrong.exitCode).toBe(1);
  expect(wrong.stdout).toMatch(/^github\tmissing\t/);
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  const away = await check({ url: nowhere, tokenFile: "secret" }, "ghp_notoneofours");
  expect(away.exitCode).toBe(1);
  expect(away.stdout).toMatch(/^github\tmissing\tCannot /);
});
