/**
 * What a repository lets run when its environment starts: commands that fail, hang, run side by side or are cut off by a
 * crash, a service that keeps crashing, and a definition that cannot be read.
 *
 * @module
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";
import { killFirstProcess } from "./first-process.ts";

const definitions = {
  failing: {
    onCreateCommand: "echo oops >&2; test -e ~/mended || exit 3",
    postCreateCommand: "echo ran >~/post-create",
  },
  hanging: { onCreateCommand: "echo begun >>~/begun; sleep 3; echo ended >>~/ended" },
  forever: { onCreateCommand: "sleep 1000000" },
  early: {
    waitFor: "onCreateCommand",
    onCreateCommand: "echo created >~/created",
    updateContentCommand: "sleep 2; echo updated >~/updated; exit 4",
    postCreateCommand: "echo never >~/never",
  },
  parallel: {
    onCreateCommand: {
      one: "date +%s%N >~/one; sleep 1; date +%s%N >>~/one",
      two: ["sh", "-c", "date +%s%N >~/two; sleep 1; date +%s%N >>~/two"],
    },
    updateContentCommand: ["touch", "a file"],
  },
  partly: { onCreateCommand: { good: "true", bad: "exit 5", worse: ["false"] } },
  starts: {
    postStartCommand: "echo start >>~/starts",
    waitFor: "postStartCommand",
    postAttachCommand: "echo attach >>~/attaches",
  },
  crashing: { customizations: { slipway: { run: "echo crash >>~/crashes; echo told by the service; exit 9" } } },
  chatty: { customizations: { slipway: { run: "seq 1 3000000; sleep 1000000" } } },
  elsewhere: {
    image: "debian:12",
    features: { "ghcr.io/devcontainers/features/node:1": {} },
    mounts: ["x"],
    onCreatCommand: "typo",
  },
} as const;

const broken = `{
  // a comment is allowed
  "onCreateCommand": 5,
  "forwardPorts": [70000]
}`;

const service = useService({
  repositories: {
    ...Object.fromEntries(
      Object.entries(definitions).map(([name, value]) => [name, { definition: JSON.stringify(value) }]),
    ),
    broken: { definition: broken },
    garbled: { definition: '{ "name": "half' },
    nested: {
      definition: null,
      files: { ".devcontainer/api/devcontainer.json": '{ "containerEnv": { "OF": "api" } }' },
    },
    several: {
      definition: null,
      files: { ".devcontainer/api/devcontainer.json": "{}", ".devcontainer/web/devcontainer.json": "{}" },
    },
  },
});

type Name = keyof typeof definitions | "broken" | "garbled" | "nested" | "several";

const run = (name: Name, command: string) =>
  service()
    .as("ada")
    .ssh([`${name}-main@slipway`, command]);

test.concurrent(
  "a failing onCreateCommand lets its person in and says what failed, until it has been mended",
  async ({ expect }) => {
    const failed =
      'slipway: onCreateCommand failed with exit code 3; "log failing-main" in the lobby shows what it printed\r\n';
    const first = await run("failing", "cat ~/post-create");
    expect([first.exitCode, first.stderr.includes(failed)]).toEqual([1, true]);
    expect((await run("failing", "touch ~/mended")).stderr).toBe(failed);
    expect((await service().as("ada").lobby("log", "failing-main")).stdout).toMatch(
      /^\$ echo oops >&2; test -e ~\/mended \|\| exit 3\noops\nslipway: the command ended with code 3\nslipway: onCreateCommand failed with exit code 3 \(\d+ ms\)\n$/,
    );
    await killFirstProcess(service().as("ada"), "failing-main");
    // By default people are let in before postCreateCommand has ended.
    const mended = await until("postCreateCommand to have run", async () => {
      const { exitCode, stdout } = await run("failing", "cat ~/post-create");
      return exitCode === 0 && stdout;
    });
    expect(mended).toBe("ran\n");
    expect((await run("failing", "true")).stderr).toBe("");
  },
);

test.concurrent(
  "a command that hangs is told, goes on when its person gives up, and is waited for when they come back",
  async ({ expect }) => {
    const first = service().as("ada").startSsh(["hanging-main@slipway", "true"], { timeoutMs: 20_000 });
    await first.untilError(/running onCreateCommand …\r\n/);
    first.kill("SIGINT");
    expect((await first.ended).exitCode).not.toBe(0);
    const second = await run("hanging", "cat ~/begun ~/ended");
    expect([second.exitCode, second.stdout]).toEqual([0, "begun\nended\n"]);
    expect(second.stderr).toMatch(/running onCreateCommand …\r\n.*running onCreateCommand … 3\d\d\d ms\r\n$/s);
  },
);

test.concurrent(
  "a command that never ends can be looked at and taken away with its environment",
  async ({ expect }) => {
    const ada = service().as("ada");
    const waiting = ada.startSsh(["forever-main@slipway", "true"], { timeoutMs: 20_000 });
    await waiting.untilError(/running onCreateCommand …\r\n/);
    expect((await ada.lobby("log", "forever-main")).stdout).toBe("$ sleep 1000000\n");
    expect(JSON.parse((await ada.lobby("ls", "--json")).stdout)).toContainEqual(
      expect.objectContaining({ login: "forever-main" }),
    );
    expect((await ada.lobby("rm", "forever-main", "--force")).stdout).toBe("removed forever-main\n");
    const ended = await waiting.ended;
    expect([ended.exitCode, ended.stderr]).toEqual([
      255,
      expect.stringMatching(/:11: forever-main was removed by ada \(session/),
    ]);
  },
);

test.concurrent(
  "waitFor lets a person in while later commands go on, and the next hears of one that failed",
  async ({ expect }) => {
    const first = await run("early", "cat ~/created; cat ~/updated");
    expect([first.exitCode, first.stdout]).toEqual([1, "created\n"]);
    await until(
      "the command in the background to end",
      async () => (await run("early", "cat ~/updated")).exitCode === 0,
    );
    const warned = await until("the warning", async () => {
      const next = await run("early", "cat ~/never");
      return next.stderr.includes("updateContentCommand") && next;
    });
    expect(warned.stderr).toContain(
      'slipway: updateContentCommand failed with exit code 4; "log early-main" in the lobby shows what it printed\r\n',
    );
    expect(warned.exitCode).toBe(1); // nothing runs behind one that failed
  },
);

test.concurrent("the commands of an object run side by side, and each that fails is named", async ({ expect }) => {
  const { stdout } = await run("parallel", "cat ~/one ~/two; ls 'a file'");
  const [oneBegun = 0n, oneEnded = 0n, twoBegun = 0n, twoEnded = 0n] = stdout.split("\n").slice(0, 4).map(BigInt);
  expect(oneBegun < twoEnded && twoBegun < oneEnded).toBe(true);
  expect(stdout).toMatch(/\na file\n$/);
  const partly = await run("partly", "true");
  expect([partly.exitCode, partly.stderr]).toEqual([
    0,
    expect.stringContaining(
      'slipway: onCreateCommand "bad" failed with exit code 5, onCreateCommand "worse" failed with exit code 1; "log partly-main"',
    ),
  ]);
});

test.concurrent(
  "a definition that cannot be used is complained of with its lines, and its person gets in to mend it",
  async ({ expect }) => {
    const first = await run("broken", "cat .devcontainer/devcontainer.json");
    expect([first.exitCode, first.stdout]).toEqual([0, broken]);
    const complaints = first.stderr.split("\r\n").filter((line) => line.includes("devcontainer.json"));
    expect(complaints).toEqual([
      "slipway: .devcontainer/devcontainer.json cannot be used, so this environment is as without it:",
      "slipway: Cannot use .devcontainer/devcontainer.json: 2 complaints",
      "slipway: .devcontainer/devcontainer.json:3: onCreateCommand: needs a shell line, or a list of a program and its arguments, is 5",
      "slipway: .devcontainer/devcontainer.json:4: forwardPorts[0]: needs a port from 1 to 65535, is 70000",
    ]);
    const garbled = await run("garbled", "true");
    expect([garbled.exitCode, garbled.stderr]).toEqual([
      0,
      expect.stringMatching(/slipway: \.devcontainer\/devcontainer\.json:1: .*JSON/),
    ]);
  },
);

/** A definition in a folder of its own, as the specification allows, was ignored without a word. */
test.concurrent(
  "the one definition in a folder of its own counts, and of several none, which is told",
  async ({ expect }) => {
    expect(await run("nested", "echo $OF")).toMatchObject({ exitCode: 0, stdout: "api\n" });
    const several = await run("several", "true");
    expect([several.exitCode, several.stderr]).toEqual([
      0,
      expect.stringContaining(
        "slipway: none of .devcontainer/api/devcontainer.json, .devcontainer/web/devcontainer.json is used: of several the one that is meant belongs at .devcontainer/devcontainer.json\r\n",
      ),
    ]);
  },
);

test.concurrent("what a definition asks for and cannot have here is named", async ({ expect }) => {
  const { exitCode, stderr } = await run("elsewhere", "true");
  const lines = stderr.split("\r\n").filter((line) => !line.includes("…"));
  expect([exitCode, lines]).toEqual([
    0,
    [
      'slipway: "image" is not used: the environment has the root file system of its machine, not an image',
      'slipway: "features" is not used: features are not installed; install what is needed in onCreateCommand',
      'slipway: "mounts" is not used: nothing is mounted but the checkout at /workspace/elsewhere',
      'slipway: "onCreatCommand" is not known and has no effect; did you mean "onCreateCommand"?',
      "",
    ],
  ]);
});

test.concurrent(
  "a service that keeps crashing is started again, each time later, and its log says so",
  async ({ expect }) => {
    await run("crashing", "true");
    await until("three starts", async () =>
      (await run("crashing", "cat ~/crashes")).stdout.includes("crash\ncrash\ncrash\n"),
    );
    const { stdout } = await service().as("ada").lobby("log", "crashing-main");
    const line = (seconds: number): string =>
      `told by the service\nslipway: the service command ended with code 9 and starts again in ${seconds} s\n`;
    expect(stdout).toContain(line(1) + line(2));
    expect((await run("crashing", "wc -l <~/crashes")).stdout).toMatch(/^[34]\n$/);
  },
);

test.concurrent("the log of a service that says a lot is cut, and its end can be read", async ({ expect }) => {
  await run("chatty", "true");
  const folder = join(service().stateFolder, "environments");
  const sizes = (): number[] =>
    readdirSync(folder).map((id) => statSync(join(folder, id, "log"), { throwIfNoEntry: false })?.size ?? 0);
  await until("all of it to be written", async () =>
    (await service().as("ada").lobby("log", "chatty-main")).stdout.endsWith("3000000\n"),
  );
  await until("it to be cut", () => Math.max(...sizes()) <= 8 * 2 ** 20, 15_000);
  const { stdout } = await service().as("ada").lobby("log", "chatty-main");
  expect([stdout.endsWith("\n2999999\n3000000\n"), stdout.length]).toEqual([true, expect.closeTo(256 * 1024, -2)]);
});

test("postStartCommand runs at each start of the environment, postAttachCommand at each connection", async ({
  expect,
}) => {
  const count = async (): Promise<string> =>
    (await run("starts", "sleep 0.3; wc -l <~/starts; wc -l <~/attaches")).stdout;
  expect(await count()).toBe("1\n1\n");
  expect(await count()).toBe("1\n2\n");
  await killFirstProcess(service().as("ada"), "starts-main");
  expect(await count()).toMatch(/^2\n[34]\n$/); // looking for the process was a connection too
  await service().kill9();
  await service().restart();
  expect(await count()).toMatch(/^2\n[45]\n$/);
});

test("a command that is cut off by a crash of the service runs again, and never twice at once", async ({ expect }) => {
  const bob = service().as("bob");
  const first = bob.startSsh(["hanging-main@slipway", "true"], { timeoutMs: 20_000 });
  await first.untilError(/running onCreateCommand …\r\n/);
  await service().kill9();
  await first.ended;
  await service().restart();
  const second = await bob.ssh(["hanging-main@slipway", "cat ~/begun ~/ended"]);
  expect([second.exitCode, second.stdout]).toEqual([0, "begun\nbegun\nended\n"]);
});
