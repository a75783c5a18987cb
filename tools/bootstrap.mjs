/**
 * Makes `node_modules` agree with `package-lock.json`, so that a clean clone needs nothing typed before `npm start`.
 *
 * The first step of each npm script. It runs on whatever Node the machine has (18 or later), which is why it is plain
 * JavaScript without a dependency; what follows it in the script runs on the Node that the lock file pins. It prints
 * one line when there is something to install, and all of npm's output when that fails.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Says why the packages below `root` are not those of the lock file, or `undefined` when they are.
 *
 * Compares with the record that npm leaves as the last act of an install, so an interrupted one does not pass. Packages
 * marked optional may be absent: they are for other kinds of machine.
 *
 * @param {string} root
 * @returns {string | undefined}
 */
function staleBecause(root) {
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return "they are not installed";
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const locked = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  for (const [path, wanted] of Object.entries(locked)) {
    const present = installed[path];
    if (path === "" || (present === undefined && wanted.optional)) continue;
    if (present?.version !== wanted.version || present?.integrity !== wanted.integrity) {
      return `${path.replace(/^.*node_modules\//, "")} is not the one of the lock file`;
    }
  }
  return existsSync(join(root, "node_modules", ".bin", "node")) ? undefined : "the pinned Node is missing";
}

/**
 * Runs `npm ci` in `root` on the machine's own Node: the pinned one is among what gets replaced.
 *
 * @param {string} root
 * @returns {Promise<{ exitCode: number, output: string }>}
 */
function install(root) {
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.endsWith("node_modules/.bin"));
  const env = { ...process.env, PATH: path.join(delimiter) };
  return new Promise((resolve, reject) => {
    const npm = spawn("npm", ["ci"], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk) => (output += chunk));
    npm.on("error", reject);
    npm.on("close", (exitCode) => resolve({ exitCode: exitCode ?? 1, output }));
  });
}

async function main() {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const because = staleBecause(root);
  if (because === undefined) return 0;
  const beganAt = Date.now();
  process.stderr.write(`slipway: installing the locked npm packages (${because}) … `);
  const { exitCode, output } = await install(root);
  const still = exitCode === 0 ? staleBecause(root) : `npm ci ended with ${exitCode}`;
  process.stderr.write(
    still === undefined ? `${((Date.now() - beganAt) / 1000).toFixed(1)} s\n` : `failed: ${still}\n${output}`,
  );
  return still === undefined ? 0 : 1;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main();
}
