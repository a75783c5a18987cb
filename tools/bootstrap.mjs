/**
 * Makes `node_modules` agree with `package-lock.json`, so that a clean clone needs nothing typed before `npm start`.
 *
 * The first step of each npm script. It runs on whatever Node the machine has (18 or later), which is why it is plain
 * JavaScript without a dependency; what follows it in the script runs on the Node that the lock file pins. It prints
 * one line when there is something to install, and all of npm's output when that fails. With `--for start` the packages
 * for development, which are most of the bytes, are left out where they are not there yet.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Says why the packages below `root` are not those of the lock file, or `undefined` when they are.
 *
 * Compares with the record that npm leaves as the last act of an install, so an interrupted one does not pass. Packages
 * for other kinds of machine may be absent.
 *
 * @param {string} root
 * @param {boolean} withDev whether those for development have to be there
 * @returns {string | undefined}
 */
function staleBecause(root, withDev) {
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return "they are not installed";
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const locked = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  for (const [path, wanted] of Object.entries(locked)) {
    const present = installed[path];
    if (path === "" || (present === undefined && wanted.optional && !isForHere(wanted))) continue;
    if (present === undefined && !withDev && (wanted.dev || wanted.devOptional)) continue;
    if (present?.version !== wanted.version || present?.integrity !== wanted.integrity) {
      return `${path.replace(/^.*node_modules\//, "")} is not the one of the lock file`;
    }
  }
  return undefined;
}

/**
 * Says whether an optional package is meant for this kind of machine and no other.
 *
 * @param {{ os?: string | string[], cpu?: string | string[], libc?: string[] }} wanted
 * @returns {boolean}
 */
function isForHere({ os, cpu, libc }) {
  if (!os?.includes(process.platform) || !cpu?.includes(process.arch)) return false;
  if (libc === undefined) return true;
  process.report.excludeNetwork = true; // else it would look up names
  const hasGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return libc.includes(hasGlibc ? "glibc" : "musl");
}

/**
 * Sees to it that `node_modules/.bin/node` is the pinned Node. npm 10 makes that link for the package of this machine's
 * kind of processor, then removes it with the package of another kind, which has a program of the same name (seen with
 * npm 10.9.9; 11.19.1 and 12.2.0 leave it).
 *
 * @param {string} root
 * @returns {boolean} whether it is there now
 */
function linkNode(root) {
  const link = join(root, "node_modules", ".bin", "node");
  if (existsSync(link)) return true;
  const target = `node-linux-${process.arch}/bin/node`;
  if (!existsSync(join(root, "node_modules", target))) return false;
  rmSync(link, { force: true }); // one that leads nowhere
  symlinkSync(join("..", target), link);
  return true;
}

/**
 * Runs `npm ci` in `root` until nothing is stale.
 *
 * First on the machine's own Node, since the pinned one is among what gets replaced. npm leaves out an optional package
 * that does not want that Node (rolldown's on 18, without which vitest does not start); then once more on a copy of the
 * pinned one.
 *
 * @param {string} root
 * @param {boolean} withDev
 * @returns {Promise<{ complaint: string | undefined, output: string }>}
 */
async function install(root, withDev) {
  const first = await runNpm(root, withDev, "");
  const pinned = join(root, "node_modules", ".bin", "node");
  if (first.exitCode !== 0) return { complaint: `npm ci ended with ${first.exitCode}`, output: first.output };
  if (!linkNode(root))
    return { complaint: `no pinned Node for ${process.platform} ${process.arch}`, output: first.output };
  if (staleBecause(root, withDev) === undefined) return { complaint: undefined, output: "" };
  const folder = mkdtempSync(join(tmpdir(), "slipway-node-"));
  copyFileSync(realpathSync(pinned), join(folder, "node"));
  const second = await runNpm(root, withDev, folder);
  rmSync(folder, { recursive: true });
  if (second.exitCode !== 0) return { complaint: `npm ci ended with ${second.exitCode}`, output: second.output };
  linkNode(root);
  return { complaint: staleBecause(root, withDev), output: second.output };
}

/**
 * @param {string} root
 * @param {boolean} withDev
 * @param {string} nodeFolder where `node` is; empty for the machine's own
 * @returns {Promise<{ exitCode: number, output: string }>}
 */
function runNpm(root, withDev, nodeFolder) {
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.endsWith("node_modules/.bin"));
  if (nodeFolder !== "") path.unshift(nodeFolder);
  const env = { ...process.env, PATH: path.join(delimiter) };
  return new Promise((resolve, reject) => {
    const npm = spawn("npm", ["ci", ...(withDev ? [] : ["--omit=dev"])], {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk) => (output += chunk));
    npm.on("error", reject);
    npm.on("close", (exitCode) => resolve({ exitCode: exitCode ?? 1, output }));
  });
}

/**
 * Says whether somebody develops here: whoever has those packages keeps them.
 *
 * @param {string} root
 * @returns {boolean}
 */
function hasDev(root) {
  return existsSync(join(root, "node_modules", "vitest"));
}

async function main() {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const withDev = !process.argv.slice(2).join(" ").includes("--for start") || hasDev(root);
  const because = staleBecause(root, withDev) ?? (linkNode(root) ? undefined : "the pinned Node is missing");
  if (because === undefined) return 0;
  const beganAt = Date.now();
  process.stderr.write(`slipway: installing the locked npm packages (${because}) … `);
  const { complaint, output } = await install(root, withDev);
  const tookS = ((Date.now() - beganAt) / 1000).toFixed(1);
  process.stderr.write(complaint === undefined ? `${tookS} s\n` : `failed: ${complaint}\n${output}`);
  return complaint === undefined ? 0 : 1;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main();
}
