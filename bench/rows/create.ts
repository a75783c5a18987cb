/**
 * How long a person waits for the first connection to a branch, which makes its environment.
 *
 * @module
 */
import { HOST } from "../../test/harness/client.ts";
import { formatMs, median } from "../lib/figures.ts";
import { FILE_COUNT, NEW_BRANCH_COUNT } from "../lib/open-bench.ts";
import { atMost, type Row } from "../lib/row.ts";

export const createRow: Row = {
  name: "create",
  what: `first connection, which creates the environment (${FILE_COUNT} files), to the end of \`true\`, p50`,
  limitMs: 60_000,
  measure: async (bench, signal) => {
    const count = bench.isQuick ? 4 : NEW_BRANCH_COUNT;
    const samples: number[] = [];
    for (let number = 0; number < count; number++) {
      signal.throwIfAborted();
      const { client } = bench.ours;
      const { exitCode, stderr, ms } = await client.ssh([`many-new-${number}@${HOST}`, "true"]);
      if (exitCode !== 0) throw new Error(`Cannot measure a first connection: ${stderr}`);
      samples.push(ms);
    }
    const note = `${count} new branches of a repository already mirrored; slowest ${formatMs(Math.max(...samples))}`;
    const whyShort =
      "what connecting alone takes (first row) is part of it; the rest makes files, namespaces and an sshd";
    return [atMost(250, { what: createRow.what, format: formatMs, note, whyShort }, { ours: median(samples) })];
  },
};
