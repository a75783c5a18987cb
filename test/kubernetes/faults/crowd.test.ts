/**
 * Many environments made and removed at the same time: all of them come, all of them go, and nothing is left over.
 * `SLIPWAY_TEST_CROWD` says how many.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openFaulty, tellLog, untilNoneLeft } from "./use-faulty.ts";

const COUNT = Number(process.env["SLIPWAY_TEST_CROWD"] ?? 50);

/** What one takes at most when all share a machine with everything else (guess). */
const EACH_MS = 30_000;

test(
  "a crowd of environments is made at the same time, and removed at the same time",
  { timeout: COUNT * EACH_MS + 240_000 },
  async () => {
    const branches = Array.from({ length: COUNT }, (_, number) => `b${number}`);
    const faulty = await openFaulty({
      repositories: { plain: { definition: "{}", branches } },
      limits: { environmentsPerPerson: COUNT },
      // Small, so that all have room on one node.
      cluster: { capacity: COUNT, tiers: { lightweight: { cpus: 0.5, memory: "128MiB", request: 0.02 } } },
      mayLogErrors: false,
    });
    await using service = faulty.service;
    tellLog(service);
    const ada = service.as("ada");
    const options = { timeoutMs: COUNT * EACH_MS };
    const all = async (words: (branch: string) => readonly string[]): Promise<number> => {
      const begun = performance.now();
      const ended = await Promise.all(branches.map((branch) => ada.ssh(words(branch), options)));
      const failed = ended.filter(({ exitCode }) => exitCode !== 0).map(({ stderr }) => stderr);
      expect(failed).toEqual([]);
      return performance.now() - begun;
    };
    const madeMs = await all((branch) => [
      `plain-${branch}@slipway`,
      `test "$(git branch --show-current)" = ${branch}`,
    ]);
    expect(await faulty.namespaces()).toHaveLength(COUNT);
    const memory = memoryOf(service.pid);
    const requests = await requestsOf(service.httpPort);
    const removedMs = await all((branch) => ["slip@slipway", "rm", `plain-${branch}`]);
    await untilNoneLeft(faulty);
    const rows = JSON.parse((await ada.lobby("ls", "--json")).stdout) as unknown[];
    expect(rows).toEqual([]);
    const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
    process.stderr.write(
      `crowd: ${COUNT} made in ${seconds(madeMs)}, removed in ${seconds(removedMs)}; ` +
        `${memory} MiB resident with all of them; requests ${requests} when made, ${await requestsOf(service.httpPort)} at the end\n`,
    );
  },
);

/** MiB of memory that a process has. */
function memoryOf(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kib) / 1_024);
}

/** Requests to the API server so far, as the service counts them itself. */
async function requestsOf(httpPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const counts = [...text.matchAll(/^slipway_cluster_requests_total\{[^}]*\} ([0-9]+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
