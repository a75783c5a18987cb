/**
 * `slip check` as an operator runs it: on a file alone, with nothing to ask and nothing to make.
 *
 * @module
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run, type Ended } from "../../test/harness/program.ts";

const SLIP = join(import.meta.dirname, "slip.ts");
const ADA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIYSZMoGHFMYqkqcO0IsJZ9ZkVZL8yWyDqmNdqSTz9tF ada@laptop";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-check-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Runs `slip` in a folder with the settings, without a word about where its state is. */
async function slip(settings: string, ...words: readonly string[]): Promise<Ended> {
  writeFileSync(join(folder, "slipway.yaml"), settings);
  return run([process.execPath, SLIP, ...words], { cwd: folder });
}

const SOUND = `version: 1
people: { ada: { keysFile: ada.pub } }
repositories: { hello: { url: ./hello.git } }
grants: [{ people: "*", repositories: "*" }]
`;

test("slip check says that settings are sound, of what there is, and makes nothing", async () => {
  writeFileSync(join(folder, "ada.pub"), `${ADA}\n`);
  expect(await slip(SOUND, "check")).toMatchObject({
    exitCode: 0,
    stdout: "slipway.yaml is sound: 1 people, 1 repositories\n",
    stderr: "",
  });
  const json = await slip(SOUND, "check", "--json");
  expect(json).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(json.stdout)).toEqual({
    ...{ path: "slipway.yaml", people: 1, repositories: 1, forges: 0, clusters: 0, pools: 0 },
    ...{ findings: [], missingRoles: [] },
  });
  expect(readdirSync(folder)).toEqual(["ada.pub", "slipway.yaml"]);
});

/** The files of keys were looked at only when nothing was wrong with the YAML: every complaint has to come at once. */
test.each(["check", "check --json", "serve"])(
  "slip %s tells every complaint at once, and makes nothing",
  async (words) => {
    writeFileSync(join(folder, "bob.pub"), `${ADA}\nssh-dss AAAA\n`);
    const unsound = `version: 2
people:
  ada: { keysFile: ada.pub, bogus: 1 }
  bob: { keysFile: bob.pub }
grants: [{ people: [eve], repositories: "*" }]
`;
    const ended = await slip(unsound, ...words.split(" "));
    expect(ended).toMatchObject({ exitCode: 78, stdout: "" });
    expect(ended.stderr.trimEnd().split("\n")).toEqual([
      "slip: Cannot use slipway.yaml: 3 complaints",
      "slipway.yaml:1: version: needs 1, is 2",
      expect.stringMatching(/^slipway.yaml:3: people.ada.bogus: unknown key; known are .*keysFile/),
      'slipway.yaml:5: grants[0].people[0]: "eve" is not under people',
      "Cannot use the keys of people: 2 problems",
      "  ada.pub: cannot be read (ENOENT)",
      expect.stringMatching(/^ {2}bob.pub:2: "ssh-dss" is no type of key that is taken; /),
    ]);
    expect(readdirSync(folder)).toEqual(["bob.pub", "slipway.yaml"]);
  },
);

test("slip check tells complaints about files of keys alone, and a settings file that is not there", async () => {
  const lacking = await slip(SOUND, "check");
  expect(lacking).toMatchObject({ exitCode: 78, stdout: "" });
  expect(lacking.stderr).toBe("slip: Cannot use the keys of people: 1 problem\n  ada.pub: cannot be read (ENOENT)\n");
  const absent = await slip(SOUND, "check", "--settings", "absent.yaml");
  expect(absent).toMatchObject({ exitCode: 78, stdout: "" });
  expect(absent.stderr).toMatch(/^slip: Cannot read the settings: absent.yaml cannot be read; /);
  expect(existsSync(join(folder, ".slipway"))).toBe(false);
});
