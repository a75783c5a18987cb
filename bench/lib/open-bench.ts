/**
 * Slipway and a plain `sshd`, both running and both entered once, so that no row pays for what happens only once.
 *
 * @module
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOST } from "../../test/harness/client.ts";
import { openTestService } from "../../test/harness/service.ts";
import { openPlainSshd } from "./plain-sshd.ts";
import type { Bench } from "./row.ts";

/** Branches of repository `many` that nothing has connected to: `new-0` and up. */
export const NEW_BRANCH_COUNT = 12;
/** Files of repository `many`. */
export const FILE_COUNT = 500;

/** Starts both. */
export async function openBench(isQuick: boolean): Promise<Bench & AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "slipway-bench-"));
  parts.defer(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  chmodSync(folder, 0o711); // the account of sshd passes through
  mkdirSync(join(folder, "sshd"));
  const sshd = parts.use(await openPlainSshd(join(folder, "sshd")));
  const branches = Array.from({ length: NEW_BRANCH_COUNT }, (_, number) => `new-${number}`);
  const service = parts.use(
    await openTestService({
      people: { ada: {} },
      // Nothing of the repository's own runs: it is Slipway that is measured.
      repositories: { many: { branches, fileCount: FILE_COUNT, definition: null } },
      limits: {
        sessionsPerPerson: 10_000,
        environmentsPerPerson: 100,
        environment: { memory: null, processes: null, cpus: null },
      },
      logLevel: "info",
    }),
  );
  const bench: Bench = {
    ...{ isQuick, service, sshd, folder },
    ours: { name: "slipway", client: service.as("ada"), destination: `many-main@${HOST}` },
    plain: { name: "sshd", client: sshd.client, destination: `${sshd.user}@${HOST}` },
  };
  for (const { name, client, destination } of [bench.ours, bench.plain]) {
    const { exitCode, stderr } = await client.ssh([destination, "true"]);
    if (exitCode !== 0) throw new Error(`Cannot measure: a first connection to ${name} failed: ${stderr}`);
  }
  const owned = parts.move();
  return { ...bench, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
