/**
 * Who gets in where: spellings of a login, refusals and what they say, and what strangers learn.
 *
 * @module
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeKey } from "../harness/client.ts";
import type { Ended } from "../harness/program.ts";
import { useService } from "./use-service.ts";

const service = useService({
  repositories: { hello: { branches: ["a/b", "a-b", "feature/greeting"] }, secret: {} },
  grants: [
    { people: ["ada"], repositories: ["hello", "secret"] },
    { people: ["bob"], repositories: ["hello"] },
  ],
});

/** The sentence of a refusal, without what differs from one session to the next. */
function sentenceOf({ stderr }: Ended): string {
  const [, sentence = stderr] = /Received disconnect from \S+ port \d+:\d+: (.*?)\r?\n/.exec(stderr) ?? [];
  return sentence.replace(/session s-[a-z0-9]{8}/, "session S");
}

test.for(["hello-feature-greeting", "hello+feature-greeting", "HELLO-Feature-Greeting", "hello+FEATURE-greeting"])(
  "%s leads to the branch feature/greeting",
  async (login) => {
    const ended = await service()
      .as("ada")
      .ssh([`${login}@slipway`, "git branch --show-current; echo $SLIPWAY_LOGIN"]);
    expect(ended.stdout.split("\n")[0]).toBe("feature/greeting");
    expect(ended.stdout.split("\n")[1]?.toLowerCase()).toBe(login.toLowerCase());
  },
);

test("all spellings of a login lead to one environment", async () => {
  const rows = JSON.parse((await service().as("ada").lobby("ls", "--json")).stdout) as { branch: string }[];
  expect(rows.filter(({ branch }) => branch === "feature/greeting")).toHaveLength(1);
});

test.for([
  {
    what: "an unknown branch",
    login: "hello-mian",
    told: "no repository and branch of yours fits hello-mian; nearest: hello-main, hello-a-b, hello-feature-greeting (session S)",
  },
  {
    what: "an unknown repository",
    login: "helo-main",
    told: "no repository and branch of yours fits helo-main; nearest: hello-main (session S)",
  },
  { what: "nothing near", login: "zzzzzzzzzz", told: "no repository and branch of yours fits zzzzzzzzzz (session S)" },
  { what: "a place above", login: "hello-..", told: "", malformed: "it has two dots in a row" },
  { what: "a colon", login: "hello:main", told: "", malformed: "it has a character other than" },
  { what: "a letter of another alphabet", login: "hellö-main", told: "", malformed: "it has a character other than" },
  {
    what: "300 characters",
    login: `hello-${"x".repeat(294)}`,
    told: "",
    malformed: "it is longer than 200 characters",
  },
])("a login that means $what is refused with 255 and a sentence", async ({ login, told, malformed }) => {
  const ended = await service().as("ada").ssh(["-l", login, "slipway", "true"]);
  expect(ended).toMatchObject({ exitCode: 255, stdout: "" });
  if (malformed === undefined) expect(sentenceOf(ended)).toBe(told);
  else expect(sentenceOf(ended)).toContain(malformed);
});

test("an ambiguous login is refused with the choices, each of which leads to its own branch", async () => {
  const { ssh } = service().as("ada");
  const ended = await ssh(["hello-a-b@slipway", "true"]);
  expect(ended.exitCode).toBe(255);
  const sentence = sentenceOf(ended);
  expect(sentence).toMatch(/^hello-a-b fits several branches; type one of: /);
  const choices = [...sentence.matchAll(/(\S+) \(branch (\S+?)\)/g)].map(([, login = "", branch = ""]) => ({
    login,
    branch,
  }));
  expect(choices.map(({ branch }) => branch).sort()).toEqual(["a-b", "a/b"]);
  for (const { login, branch } of choices) {
    expect((await ssh([`${login}@slipway`, "git branch --show-current"])).stdout).toBe(`${branch}\n`);
  }
});

test("a refusal names the session by which the log knows more", async () => {
  const ended = await service().as("ada").ssh(["hello-nowhere@slipway", "true"]);
  const [id = ""] = /s-[a-z0-9]{8}/.exec(ended.stderr) ?? [];
  expect(
    service()
      .events("session.refused")
      .find(({ session }) => session === id),
  ).toMatchObject({
    code: "login.unknown",
    person: "ada",
    login: "hello-nowhere",
    from: "127.0.0.1",
  });
});

test("a repository without a grant is told of like one that does not exist", async () => {
  const { ssh } = service().as("bob");
  const [hidden, absent] = await Promise.all(
    ["secret-main", "absent-main"].map((login) => ssh([`${login}@slipway`, "true"])),
  );
  if (hidden === undefined || absent === undefined) throw new Error("Cannot compare: an answer is missing");
  expect(sentenceOf(hidden).replace("secret", "absent")).toBe(sentenceOf(absent));
  expect((await service().as("ada").ssh(["secret-main@slipway", "pwd"])).stdout).toBe("/workspace/secret\n");
});

test("the environment of somebody else is not entered by its name", async () => {
  await service().as("ada").ssh(["hello-main@slipway", "true"]);
  const ended = await service().as("bob").ssh(["-l", "hello+main+@ada", "slipway", "true"]);
  expect(ended.exitCode).toBe(255);
  expect(sentenceOf(ended)).toMatch(/^no repository and branch of yours fits hello\+main\+@ada/);
});

/** Options for a connection with another key than the configuration's. */
function withKey(key: string): string[] {
  const options = [
    "IdentitiesOnly=yes",
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${service().knownHosts}`,
  ];
  return ["-F", "none", "-i", key, "-p", String(service().port), ...options.flatMap((option) => ["-o", option])];
}

test("a stranger learns nothing: not which repositories, branches and people there are", async () => {
  const { ssh, folder } = service().as("bob");
  const key = join(folder, "strange");
  await makeKey(key, "ed25519", "strange");
  const logins = ["hello-main", "hello-nowhere", "absent-main", "slip", "ada", "x:y"];
  const all = await Promise.all(logins.map((login) => ssh([...withKey(key), "-l", login, "127.0.0.1", "true"])));
  const said = all.map(({ stderr }, at) => stderr.replace(logins[at] ?? "", "LOGIN"));
  expect(new Set(said)).toEqual(new Set(["LOGIN@127.0.0.1: Permission denied (publickey).\r\n"]));
  expect(all.map(({ exitCode }) => exitCode)).toEqual(logins.map(() => 255));
});

test("a password is not asked for", async () => {
  const { ssh, identityFile } = service().as("ada");
  const options = ["-v", "-o", "PubkeyAuthentication=no", ...withKey(identityFile)];
  const ended = await ssh([...options, "hello-main@127.0.0.1", "true"]);
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain("Authentications that can continue: publickey\r\n");
});
