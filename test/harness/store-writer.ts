/**
 * A process of its own that writes to a store, to be killed.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { StoreTarget } from "../../src/store/store.ts";

/** A process that adds environments until it is killed, and prints how many it was told are safe. */
export function startWriter(target: StoreTarget) {
  const program = `
    import { openStore } from ${JSON.stringify(new URL("../../src/store/store.ts", import.meta.url).href)};
    import { makeClock } from ${JSON.stringify(new URL("../../src/base/clock.ts", import.meta.url).href)};
    import { makeLog } from ${JSON.stringify(new URL("../../src/base/log.ts", import.meta.url).href)};
    const { environments } = await openStore(${JSON.stringify(target)}, { clock: makeClock(), log: makeLog("error") });
    for (let number = (await environments.list()).length + 1; ; number++) {
      const id = "e" + number, branch = String(number);
      const allowance = { perPerson: 1e6, firstUid: 1000, uidCount: 1e6 };
      const before = await environments.find(id);
      if (before === undefined) await environments.add({ id, person: "ada", repository: "r", branch, login: "r-" + branch, fromBranch: undefined, hostname: "h", inventory: [] }, allowance);
      await environments.end(id, (await environments.begin(id, "starting")).fence, { power: "running" });
      for (const half of await environments.list()) {
        if (half.power !== "running") await environments.end(half.id, (await environments.begin(half.id, "starting")).fence, { power: "running" });
      }
      process.stdout.write(number + "\\n");
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const next = await lines.next();
    if (next.done === true) throw new Error("Cannot read from the writer: it ended by itself");
    return next.value;
  };
  return {
    pid: child.pid,
    line,
    /** Kills it and returns the lines that were still in the pipe. */
    kill: async (): Promise<string[]> => {
      child.kill("SIGKILL");
      const rest: string[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next()) rest.push(next.value);
      return rest;
    },
  };
}
