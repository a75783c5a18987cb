/**
 * `kill -9` of the service while bytes go through it, at moments that a seed picks: nobody is told that a transfer worked
 * which did not, and doing it again completes it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { mustRun, type Ended, type Running } from "../harness/program.ts";
import { openSeeded } from "../harness/seeded.ts";
import { until } from "../harness/wait.ts";
import { makeWitness, type Witness } from "../harness/witness.ts";
import { useService } from "../interop/use-service.ts";

const ROUNDS = 20;
const FILE_BYTES = 32 * 2 ** 20;
/** Git reads it several times, before anything is sent and after. */
const GIT_BYTES = 8 * 2 ** 20;
/** About the end of a transfer here, the start of its client included. */
const LATEST_MS = 600;

const ways = ["scp up", "rsync up", "git push", "scp down"] as const;
const seeded = openSeeded("crash-transfer");
const rounds = Array.from({ length: ROUNDS }, (_, at) => {
  return { round: at, way: ways[at % ways.length]!, afterMs: seeded.between(50, LATEST_MS) };
});
const service = useService({ repositories: { hello: {}, other: {} } });

let witness: Witness | undefined;
const ends: string[] = [];

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** What runs in an environment while somebody looks at its processes: a connection, and another that may come. */
const OURS = /^(sh \/opt\/slipway\/(init|door).sh|(\/bin\/sh -c )?node server.js|sshd: dev|ps -eo|sleep 2147483647)/;

/** One transfer that can be begun again. */
interface Transfer {
  readonly words: readonly string[];
  /** SHA-256 of what there is to be at the other end, and of what is there. */
  readonly wanted: string;
  readonly arrived: () => Promise<string>;
}

const folder = (name: string): string => {
  const path = join(service().folder, name);
  mkdirSync(path, { recursive: true });
  return path;
};

async function inside(command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await service().as("ada").ssh(["hello-main@slipway", command]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return stdout.trim();
}

const sumInside = (path: string) => async (): Promise<string> => (await inside(`sha256sum ${path}`)).slice(0, 64);

async function makeTransfer(way: (typeof ways)[number], round: number): Promise<Transfer> {
  const { configFile } = service().as("ada");
  const bytes = seeded.bytes(way === "git push" ? GIT_BYTES : FILE_BYTES);
  const local = join(folder("files"), `file-${round}`);
  writeFileSync(local, bytes);
  const far = `big-${round}`;
  const wanted = sha256(bytes);
  switch (way) {
    case "scp up":
      return {
        words: ["scp", "-q", "-F", configFile, local, `hello-main@slipway:${far}`],
        wanted,
        arrived: sumInside(far),
      };
    case "rsync up":
      return {
        words: ["rsync", "-a", "-e", `ssh -F ${configFile}`, local, `hello-main@slipway:${far}`],
        wanted,
        arrived: sumInside(far),
      };
    case "scp down": {
      await inside(`cp big-0 ${far}`);
      const back = `${local}.back`;
      return {
        words: ["scp", "-q", "-F", configFile, `hello-main@slipway:${far}`, back],
        wanted: await sumInside(far)(),
        arrived: async () => sha256(readFileSync(back)),
      };
    }
    case "git push": {
      const work = join(service().folder, "clone");
      const git = (...words: string[]): Promise<string> =>
        mustRun(["git", "-c", "user.name=A", "-c", "user.email=a@b", "-C", work, ...words]);
      if (round === ways.indexOf("git push")) {
        await mustRun(["git", "clone", "--quiet", join(service().folder, "repositories/hello.git"), work]);
        // What takes time is to be the transfer.
        for (const setting of ["core.compression=0", "core.bigFileThreshold=1m"])
          await git("config", ...setting.split("="));
      }
      copyFileSync(local, join(work, "big"));
      await git("add", "big");
      await git("commit", "--quiet", "-m", `round ${round}`);
      return {
        words: [
          "git",
          "-C",
          work,
          "push",
          "--quiet",
          "ssh://hello-main@slipway/workspace/hello",
          `HEAD:refs/heads/pushed`,
        ],
        wanted,
        arrived: sumInside("<(git fsck --connectivity-only --no-progress >&2; git cat-file blob pushed:big)"),
      };
    }
  }
}

function begin(transfer: Transfer): Running {
  const { start, configFile } = service().as("ada");
  return start(transfer.words, { env: { GIT_SSH_COMMAND: `ssh -F ${configFile}` }, timeoutMs: 25_000 });
}

test.for(rounds)(
  "a service killed in round $round, $way, breaks it loudly, and it can be done again",
  async ({ way, round, afterMs }) => {
    witness ??= await makeWitness(service().as("bob"), "hello-main");
    if (round === 0) expect((await service().as("ada").ssh(["hello-main@slipway", "true"])).exitCode).toBe(0);
    const transfer = await makeTransfer(way, round);
    const first = begin(transfer);
    onTestFinished(() => first.kill("SIGKILL"));
    await sleep(afterMs);
    await service().kill9();
    const ended: Ended = await first.ended;
    await service().restart();
    // A good exit code is a promise.
    if (ended.exitCode === 0) expect(await transfer.arrived()).toBe(transfer.wanted);
    ends.push(`${way} ${afterMs} ms: ${ended.exitCode === 0 ? "done" : `cut, ${ended.exitCode}`}`);

    const again = await begin(transfer).ended;
    expect([again.exitCode, again.stderr]).toEqual([0, ""]);
    expect(await transfer.arrived()).toBe(transfer.wanted);
    await witness.mustBeUnharmed();
    // Nothing is left of the connections that were cut.
    await until("their processes to end", async () => {
      const left = (await inside("ps -eo args=")).split("\n").filter((line) => !OURS.test(line));
      return left.length === 0;
    });
  },
);

test("the moments at which the service was killed cover what it does", (ctx) => {
  if (ends.length < ROUNDS) ctx.skip("not every round was run");
  process.stderr.write(`crash-transfer: ${ends.join("; ")}\n`);
});
