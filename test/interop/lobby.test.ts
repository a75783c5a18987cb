/**
 * The lobby, `ssh slip@host …`, as a stock client has it.
 *
 * @module
 */
import { z } from "zod";
import { expect, test } from "vitest";
import { EnvironmentRow, SessionRow } from "../../src/wire/lobby.ts";
import type { Running } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService({ repositories: { hello: { branches: ["feature/greeting", "other", "gone", "logged"] } } });

async function listEnvironments(person: string, ...options: readonly string[]): Promise<EnvironmentRow[]> {
  const ended = await service()
    .as(person)
    .lobby("ls", "--json", ...options);
  expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
  return z.array(EnvironmentRow).parse(JSON.parse(ended.stdout));
}

async function listSessions(person: string): Promise<SessionRow[]> {
  const ended = await service().as(person).lobby("who", "--json");
  return z.array(SessionRow).parse(JSON.parse(ended.stdout));
}

/** A session that lasts until it is ended. */
async function stay(person: string, login: string): Promise<{ running: Running; id: string }> {
  const running = service()
    .as(person)
    .startSsh([`${login}@slipway`, "echo up; cat"]);
  await running.untilOutput(/up/);
  const own = (await listSessions(person)).filter((session) => session.login === login && session.person === person);
  return { running, id: own.at(-1)?.id ?? "" };
}

test("ls of somebody without environments prints nothing", async () => {
  expect(await service().as("bob").lobby("ls")).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  expect(await listEnvironments("bob")).toEqual([]);
});

test("new makes an environment, which the next connection finds there", async () => {
  const ada = service().as("ada");
  const made = await ada.lobby("new", "hello", "other");
  expect(made).toMatchObject({ exitCode: 0, stdout: "hello-other\n" });
  expect(made.stderr).toContain("slipway: checking out other … ");
  expect(await ada.ssh(["hello-other@slipway", "git branch --show-current"])).toMatchObject({
    stdout: "other\n",
    stderr: "",
  });
  const again = await ada.lobby("new", "hello", "other", "--json");
  expect([again.stdout, again.stderr]).toEqual([`${JSON.stringify({ login: "hello-other" }, undefined, 2)}\n`, ""]);
});

test("new --from makes a branch that does not exist yet", async () => {
  const ada = service().as("ada");
  const made = await ada.lobby("new", "hello", "topic/fresh", "--from", "feature/greeting");
  expect(made).toMatchObject({ exitCode: 0, stdout: "hello-topic-fresh\n" });
  const state = "git branch --show-current; git rev-parse HEAD origin/feature/greeting | uniq | wc -l";
  expect((await ada.ssh(["hello-topic-fresh@slipway", state])).stdout).toBe("topic/fresh\n1\n");
});

test.for([
  { words: ["new", "hello", "a..b"], exitCode: 2, told: 'slipway: "a..b" is no name for a branch' },
  {
    words: ["new", "helo", "main"],
    exitCode: 1,
    told: 'slipway: there is no repository of yours called "helo"; nearest: hello',
  },
  {
    words: ["new", "hello", "x", "--from", "mian"],
    exitCode: 1,
    told: 'there is no branch of hello called "mian"; nearest: main',
  },
  {
    words: ["new", "hello"],
    exitCode: 2,
    told: "slipway: usage: new <repository> <branch> [--from <branch>] [--json]",
  },
  { words: ["rm", "hello-absent"], exitCode: 1, told: "slipway: there is no environment hello-absent" },
  { words: ["log", "hello-absent"], exitCode: 1, told: "slipway: there is no environment hello-absent" },
  { words: ["kill", "s-nowhere1"], exitCode: 1, told: 'slipway: there is no session "s-nowhere1"; "who" lists them' },
  { words: ["lss"], exitCode: 2, told: 'slipway: there is no command "lss"; "help" lists them' },
  { words: ["ls", "--frobnicate"], exitCode: 2, told: "; usage: ls [--all] [--json]" },
  { words: ["'ls"], exitCode: 2, told: "slipway: the command cannot be read: the ' is not closed" },
])("$words.0 $words.1 $words.2 is refused with $exitCode: $told", async ({ words, exitCode, told }) => {
  const ended = await service()
    .as("ada")
    .lobby(...words);
  expect(ended).toMatchObject({ exitCode, stdout: "" });
  expect(ended.stderr).toContain(told);
});

test.for([
  ["ls", "--all"],
  ["rm", "hello-other", "--person", "ada"],
  ["log", "hello-other", "--person", "ada"],
])("%s %s is for administrators", async (words) => {
  const ended = await service()
    .as("bob")
    .lobby(...words);
  expect(ended).toMatchObject({ exitCode: 77, stdout: "" });
  expect(ended.stderr).toMatch(/^slipway: only administrators may /);
});

test("ls prints a row of tab-separated cells for each environment, and objects with --json", async () => {
  await service().as("bob").ssh(["hello-main@slipway", "true"]);
  const printed = await service().as("bob").lobby("ls");
  expect(printed.stdout).toMatch(/^hello-main\t(active|idle)\trunning\t\d\t\d{4}-\d\d-\d\dT\S+Z\tbob(\tone)?\n$/); // its cluster, where there is one
  expect(await listEnvironments("bob")).toMatchObject([
    { login: "hello-main", person: "bob", repository: "hello", branch: "main", power: "running", ports: [3_000] },
  ]);
  const all = await listEnvironments("ada", "--all");
  expect(new Set(all.map(({ person }) => person))).toEqual(new Set(["ada", "bob"]));
});

test("rm refuses to lose work, says which, and does it when forced", async () => {
  const { ssh, lobby } = service().as("ada");
  const work =
    "echo x >>README.md; echo new >'a file'; git commit -q --allow-empty -m 'Kept nowhere else'; echo y >z; git add z; git stash -q -- z";
  await ssh(["hello-gone@slipway", work]);
  const refused = await lobby("rm", "hello-gone");
  expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
  expect(refused.stderr.trim().split("\n")).toEqual([
    "slipway: hello-gone has work that is not pushed:",
    "  changed README.md",
    "  changed a file",
    "  commit  gone: Kept nowhere else",
    expect.stringMatching(/^ {2}commit {2}stash: /),
    "nothing was removed; push it, or give it up with: rm hello-gone --force (home and ignored files go too)",
  ]);
  expect((await ssh(["hello-gone@slipway", "cat 'a file'"])).stdout).toBe("new\n");
  const forced = await lobby("rm", "hello-gone", "--force", "--json");
  expect(JSON.parse(forced.stdout)).toEqual({ removed: "hello-gone" });
  expect((await listEnvironments("ada")).map(({ login }) => login)).not.toContain("hello-gone");
  const fresh = await ssh(["hello-gone@slipway", "git status --porcelain; git stash list"]);
  expect(fresh).toMatchObject({ exitCode: 0, stdout: "" });
});

test("rm of an environment without work of its own needs no force", async () => {
  const { ssh, lobby } = service().as("ada");
  await ssh(["hello-feature-greeting@slipway", "true"]);
  expect(await lobby("rm", "hello-feature-greeting")).toMatchObject({
    exitCode: 0,
    stdout: "removed hello-feature-greeting\n",
  });
});

test("who lists one's own sessions, and everybody's to an administrator", async () => {
  const [ada, bob] = await Promise.all([stay("ada", "hello-other"), stay("bob", "hello-main")]);
  const toBob = await listSessions("bob");
  expect(new Set(toBob.map(({ person }) => person))).toEqual(new Set(["bob"]));
  const row = toBob.find(({ id }) => id === bob.id);
  expect(row).toMatchObject({ login: "hello-main", from: "127.0.0.1", channelCount: 1 });
  expect(row?.client).toMatch(/^SSH-2.0-OpenSSH/);
  expect(row?.bytesToClient).toBeGreaterThan(0);
  expect((await listSessions("ada")).map(({ id }) => id)).toEqual(expect.arrayContaining([ada.id, bob.id]));
  const printed = await service().as("bob").lobby("who");
  expect(printed.stdout).toMatch(
    new RegExp(`^${bob.id}\\tbob\\thello-main\\t127.0.0.1\\t\\S+\\t\\S+\\tSSH-2.0-OpenSSH`, "m"),
  );
  for (const { running } of [ada, bob]) {
    running.stdin.end();
    expect((await running.ended).exitCode).toBe(0);
  }
});

test("kill ends a session: its client exits with 255 and says by whom", async () => {
  const { running, id } = await stay("bob", "hello-main");
  const killed = await service().as("ada").lobby("kill", id);
  expect(killed).toMatchObject({ exitCode: 0, stdout: `killed ${id}\n` });
  const ended = await running.ended;
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain(`: this session was ended by ada (session ${id})`);
  expect((await listSessions("ada")).map((session) => session.id)).not.toContain(id);
});

test("kill of somebody else's session is refused as if there were none", async () => {
  const { running, id } = await stay("ada", "hello-other");
  const refused = await service().as("bob").lobby("kill", id);
  expect(refused).toMatchObject({ exitCode: 1, stderr: `slipway: there is no session "${id}"; "who" lists them\n` });
  running.stdin.end();
  expect((await running.ended).exitCode).toBe(0);
});

test("log prints what the start-up commands and the service said", async () => {
  const { ssh, lobby } = service().as("ada");
  await ssh(["hello-logged@slipway", "true"]);
  const text = await until("the service to say something", async () => {
    const { stdout } = await lobby("log", "hello-logged");
    return stdout.includes("listening on 127.0.0.1:3000") && stdout;
  });
  expect(text).toContain("$ printf 'made on %s\\n'");
  const { log } = JSON.parse((await lobby("log", "hello-logged", "--json")).stdout) as { log: string };
  expect(log).toContain("listening on 127.0.0.1:3000");
});

test("help names every command, and is what a shell in the lobby prints", async () => {
  const { lobby, ssh } = service().as("ada");
  const help = await lobby("help");
  const shell = await ssh(["-T", "slip@slipway"]);
  expect(shell).toMatchObject({ exitCode: 0, stdout: help.stdout });
  const { commands } = JSON.parse((await lobby("help", "--json")).stdout) as {
    commands: { name: string; usage: string }[];
  };
  expect(commands.map(({ name }) => name)).toEqual([
    "ls",
    "new",
    "rm",
    "sleep",
    "migrate",
    "pool ls",
    "pool explain",
    "whoami",
    "who",
    "kill",
    "log",
    "help",
  ]);
  for (const { usage } of commands) expect(help.stdout).toContain(`  ${usage}\n`);
});

test("a command of the lobby on a terminal ends its lines as terminals need it", async () => {
  const ended = await service().as("bob").ssh(["-tt", "slip@slipway", "ls"]);
  expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/\tbob(\tone)?\r\n$/) as unknown });
});

test("several commands of the lobby run over one connection", async () => {
  const { ssh, run, folder } = service().as("ada");
  const path = `${folder}/control-lobby`;
  await ssh(["-M", "-S", path, "-f", "-N", "slip@slipway"]);
  const all = await Promise.all([1, 2, 3].map(() => run(["ssh", "-F", "none", "-S", path, "slip@slipway", "help"])));
  await run(["ssh", "-F", "none", "-S", path, "-O", "exit", "slip@slipway"]);
  expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(1);
  expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
});

test("sftp to the lobby is refused with a sentence", async () => {
  const ended = await service().as("ada").sftp("slip", ["ls"]);
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain(`slipway: the lobby has no "sftp"; use an environment's login`);
});

test("a forward through the lobby is refused with a sentence", async () => {
  const ended = await service().as("ada").ssh(["-W", "localhost:22", "slip@slipway"]);
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain("the lobby takes commands only; forward through an environment's login");
});
