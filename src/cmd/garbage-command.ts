/**
 * `slip gc`: has a running service clear away what is on its clusters and in no record, asked over its control socket.
 *
 * @module
 */
import type { Invocation } from "../base/command-line.ts";
import { controlRequests } from "../wire/control.ts";
import { askService } from "./control/ask-service.ts";
import type { Print } from "./key-commands.ts";
import type { StateFolder } from "./state-folder.ts";

/** Prints a row for each thing that was found. */
export async function sweepGarbage(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const path = "/garbage/sweep";
  const isDry = call.options["dry-run"] === true;
  const report = await askService({ socket: state.control, path, asked: { isDry } }, controlRequests[path].answer);
  if (call.options["json"] === true) {
    print(JSON.stringify(report, undefined, 2));
    return;
  }
  for (const { id, cluster, ageMs, outcome, because } of report.rows) {
    const what = outcome === "removed" && isDry ? "would be removed" : outcome;
    print([cluster, id, `${Math.round(ageMs / 60_000)} min`, what, because].join("\t"));
  }
  for (const cluster of report.away) print(`${cluster}\tcannot be looked at`);
}
