/**
 * What environments cost that nobody uses: processor time and memory of the service, requests to the API server, and processor
 * time of that and of etcd, with a thousand of them that run and have no session. And that a service that is started and finds all as it should be changes
 * nothing.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openClusterService } from "../lib/cluster-service.ts";
import { describeControlPlane, measureControlPlane } from "../lib/control-plane.ts";
import { formatMegabytes, formatMs } from "../lib/figures.ts";
import { makeUpEnvironments } from "../lib/made-up-environments.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { readCpuMs, readMemory } from "../lib/process-figures.ts";
import { between, isWriting, readRequests, readSettledRequests, sumOf, writeRequests } from "../lib/requests.ts";
import type { Outcome, Row } from "../lib/row.ts";
import { untilSo } from "../lib/until-so.ts";

/** The service looks at everything every 30 s: whole rounds of that. */
const ROUND_MS = 30_000;

export const clusterRestRow: Row<ClusterBench> = {
  name: "cluster-rest",
  what: "environments at rest",
  limitMs: 700_000,
  clearMs: 600_000,
  measure: async (bench, signal) => {
    const { count, rounds } = bench.isQuick ? { count: 250, rounds: 1 } : { count: 1_000, rounds: 2 };
    await using opened = await openClusterService(bench, {});
    const { service } = opened;
    // Else it would be made while we measure.
    const hasRsaKey = (): boolean =>
      readdirSync(join(service.stateFolder, "hostkeys")).some((name) => name.includes("rsa"));
    await untilSo("the RSA host key", hasRsaKey, { waitMs: 60_000, signal });
    const emptyBytes = readMemory(service.pid).rssBytes;
    const rest = (): Promise<unknown> => sleep(rounds * ROUND_MS, undefined, { signal });
    const idlePlane = await measureControlPlane(bench.kubeconfig, rest);
    await service.stop();
    await makeUpEnvironments(bench, opened, count, signal);
    const begunAt = performance.now();
    await service.restart();
    const takenUp = (): boolean => service.events("environment.opened").length >= count;
    await untilSo(`${count} environments taken up`, takenUp, { waitMs: 120_000, signal });
    const takenUpMs = performance.now() - begunAt;
    const start = await readSettledRequests(service, signal);
    const readCpu = (): { full: number; few: number } => ({
      full: readCpuMs(service.pid),
      few: readCpuMs(bench.service.pid),
    });
    const before = readCpu();
    const restPlane = await measureControlPlane(bench.kubeconfig, rest);
    const after = readCpu();
    const requests = between(start, await readRequests(service));
    const minutes = (rounds * ROUND_MS) / 60_000;
    const perMinute = (value: number): number => value / minutes;
    const name = `${count.toLocaleString("en")} environments`;
    const perHour = (perMinute(sumOf(requests)) * 60) / count;
    const outcomes: Outcome[] = [
      {
        what: `${name} that run, at rest: processor time of \`slip serve\` in a minute`,
        ours: formatMs(perMinute(after.full - before.full)),
        note:
          `${formatMs(perMinute(after.few - before.few))} of a service with a handful; measured for` +
          ` ${(rounds * ROUND_MS) / 1e3} s; simulated: whole objects on the real API server, without kubelets`,
      },
      describeControlPlane(`${name} at rest`, { idle: idlePlane, rest: restPlane }, minutes),
      {
        what: `${name} at rest: memory of \`slip serve\`, RSS`,
        ours: formatMegabytes(readMemory(service.pid).rssBytes),
        note: `${formatMegabytes(emptyBytes)} without any`,
      },
      {
        what: `${name} at rest: requests for one environment in an hour`,
        ours: perHour.toFixed(3),
        note:
          `${sumOf(requests)} in ${(rounds * ROUND_MS) / 1e3} s${sumOf(requests) === 0 ? "" : `: ${writeRequests(requests)}`};` +
          " two watches are begun anew every 5 to 10 minutes each, 12 to 24 requests an hour for all environments together",
      },
      {
        what: `${name}: requests of a start that finds all as it was, those that write`,
        ours: `${sumOf(start, isWriting)}`,
        reach: "0",
        isMet: sumOf(start, isWriting) === 0,
        note: `${writeRequests(start)}; all taken up ${formatMs(takenUpMs)} after the start`,
      },
    ];
    return outcomes;
  },
};
