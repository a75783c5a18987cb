/**
 * `slip pool`: how the pools of a running service are, asked over its control socket.
 *
 * @module
 */
import type { Invocation } from "../base/command-line.ts";
import { poolCells, poolText } from "../gateway/lobby/pool-words.ts";
import { controlRequests } from "../wire/control.ts";
import { askService } from "./control/ask-service.ts";
import type { Print } from "./key-commands.ts";
import type { StateFolder } from "./state-folder.ts";

/** Prints a row for each pool. */
export async function listPools(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const path = "/pools/list";
  const rows = await askService({ socket: state.control, path, asked: {} }, controlRequests[path].answer);
  if (call.options["json"] === true) print(JSON.stringify(rows, undefined, 2));
  else for (const row of rows) print(poolCells(row).join("\t"));
}

/** Prints everything that is known of a pool. */
export async function explainPool(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const path = "/pools/explain";
  const asked = { name: call.args[0] ?? "" };
  const answer = await askService({ socket: state.control, path, asked }, controlRequests[path].answer);
  print(call.options["json"] === true ? JSON.stringify(answer, undefined, 2) : poolText(answer));
}
