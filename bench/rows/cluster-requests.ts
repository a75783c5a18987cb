/**
 * How many requests the API server gets for each thing that happens to one environment.
 *
 * @module
 */
import { HOST } from "../../test/harness/client.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { between, isWriting, readSettledRequests, sumOf, writeRequests } from "../lib/requests.ts";
import type { Outcome, Row } from "../lib/row.ts";
import { timedSsh } from "../lib/timed.ts";

/** Not one of those that other rows make. */
const LOGIN = "many-requests";

export const clusterRequestsRow: Row<ClusterBench> = {
  name: "cluster-requests",
  what: "requests to the API server for a change",
  limitMs: 240_000,
  measure: async ({ client, service }, signal) => {
    const enter = (): Promise<unknown> => timedSsh(client, `${LOGIN}@${HOST}`, "true");
    const lobby = (...words: readonly string[]): Promise<unknown> => timedSsh(client, `slip@${HOST}`, ...words);
    const acts = {
      "make an environment and enter it": enter,
      "enter it again": enter,
      "put it to sleep": () => lobby("sleep", LOGIN),
      "wake it and enter it": enter,
      "remove it": () => lobby("rm", LOGIN, "--force"),
    };
    const outcomes: Outcome[] = [];
    let before = await readSettledRequests(service, signal);
    for (const [what, act] of Object.entries(acts)) {
      await act();
      const after = await readSettledRequests(service, signal);
      const requests = between(before, after);
      before = after;
      outcomes.push({
        what: `requests to the API server: ${what}`,
        ours: `${sumOf(requests)}`,
        note: `${sumOf(requests, isWriting)} of them write; ${writeRequests(requests)}`,
      });
    }
    return outcomes;
  },
};
