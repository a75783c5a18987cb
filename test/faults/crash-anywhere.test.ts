/**
 * `kill -9` of the service while it removes an environment, while it starts, and while it asks an origin.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { findLeftovers } from "../harness/leftovers.ts";
import { oneIn } from "../harness/rounds.ts";
import { openSeeded } from "../harness/seeded.ts";
import { until } from "../harness/wait.ts";
import { makeWitness, type Witness } from "../harness/witness.ts";
import { useService } from "../interop/use-service.ts";

const seeded = openSeeded("crash-anywhere");
const removals = Array.from({ length: 10 }, (_, round) => ({ round, afterMs: seeded.between(60, 350) }));
const service = useService({
  repositories: { hello: { fileCount: 500, branches: ["other", "asked"] } },
  network: "nat",
});

let witness: Witness | undefined;
const ends: string[] = [];

const environmentFolders = (): string[] => readdirSync(join(service().stateFolder, "environments"));

async function isListed(login: string): Promise<boolean> {
  const listed = await service().as("ada").lobby("ls", "--json");
  const rows = JSON.parse(listed.stdout) as { login: string; phase: string }[];
  // One on its way out is listed until it is gone.
  return rows.some((row) => row.login === login && row.phase !== "expiring");
}

test.for(removals)(
  "a service killed in round $round of removing an environment has it whole or gone",
  async ({ round, afterMs }, ctx) => {
    oneIn(3, round, ctx);
    const ada = service().as("ada");
    witness ??= await makeWitness(service().as("bob"), "hello-other");
    expect(
      (await ada.ssh(["hello-main@slipway", "nohup sleep 100000 >/dev/null 2>&1 & echo mine >~/mine"])).exitCode,
    ).toBe(0);
    const before = environmentFolders();
    const removing = ada.startSsh(["slip@slipway", "rm", "hello-main", "--force"]);
    await sleep(afterMs);
    await service().kill9();
    const { exitCode } = await removing.ended;
    await service().restart();
    await until(
      "records and folders to be as many",
      async () => environmentFolders().length === ((await isListed("hello-main")) ? 2 : 1),
    );
    const isThere = await isListed("hello-main");
    ends.push(`${afterMs} ms: ${exitCode === 0 ? "done" : isThere ? "not begun" : "finished by the next"}`);
    // Who was told that it is gone finds it gone.
    if (exitCode === 0) expect(isThere).toBe(false);
    const look = await ada.ssh(["hello-main@slipway", "git status --porcelain; find many -type f | wc -l; cat ~/mine"]);
    expect(look.stdout).toBe(isThere ? "500\nmine\n" : "500\n");
    for (const id of isThere ? [] : before.filter((name) => !environmentFolders().includes(name))) {
      const folder = join(service().stateFolder, "environments", id);
      expect(await findLeftovers({ folder, firstUid: 0, uidCount: 0, environments: [id] })).toEqual([]);
    }
    await witness.mustBeUnharmed();
  },
);

test("a service killed again and again while it starts is whole when it is let", async () => {
  await service().kill9();
  for (let round = 0; round < 6; round++) {
    const starting = service()
      .restart()
      .catch(() => undefined);
    await sleep(seeded.between(150, 700));
    if (service().isUp) await service().kill9();
    await starting;
  }
  if (!service().isUp) await service().restart();
  await witness?.mustBeUnharmed();
  expect((await service().as("ada").ssh(["hello-main@slipway", "git status --porcelain"])).exitCode).toBe(0);
  process.stderr.write(`crash-anywhere: ${ends.join("; ")}\n`);
});

test("a service killed while it asks an origin leaves no git behind, and asks again", async () => {
  // An origin that does not answer: whoever reads its list of references waits for a writer.
  const refs = join(service().folder, "repositories/hello.git/packed-refs");
  renameSync(refs, `${refs}.kept`);
  execFileSync("mkfifo", [refs]);
  const client = service().as("ada").startSsh(["hello-asked@slipway", "true"], { timeoutMs: 20_000 });
  const gits = (): string[] => {
    const text = execFileSync("ps", ["-eo", "args="], { encoding: "utf8" });
    return text.split("\n").filter((line) => line.includes("fetch") && line.includes(service().folder));
  };
  await until("git to ask", () => gits().length > 0);
  await service().kill9();
  await until("git to end", () => gits().length === 0);
  await client.ended;
  rmSync(refs);
  renameSync(`${refs}.kept`, refs);
  await service().restart();
  expect((await service().as("ada").ssh(["hello-asked@slipway", "git branch --show-current"])).stdout).toBe("asked\n");
});
