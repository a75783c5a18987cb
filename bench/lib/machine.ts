/**
 * What the figures were measured on.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** Instructions that decide how fast ciphers and hashes are. */
const FLAGS = ["aes", "pclmulqdq", "avx2", "avx512f", "vaes", "vpclmulqdq", "sha_ni", "asimd", "pmull", "sha1", "sha2"];

/** Describes this machine, one line each. The load is that of now. */
export function describeMachine(): string[] {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const present = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1]?.trim().split(" "));
  const ssh = spawnSync("ssh", ["-V"], { encoding: "utf8" });
  return [
    `date: ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `processor: ${availableParallelism()} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
    `instructions: ${FLAGS.filter((flag) => present.has(flag)).join(", ")}; without ${absentOf(present)}`,
    `memory: ${(totalmem() / 2 ** 30).toFixed(1)} GiB; kernel: Linux ${release()}`,
    `OpenSSH, both the client and the sshd compared with: ${ssh.stderr.trim()}`,
    `Node: ${process.version} with OpenSSL ${process.versions.openssl}`,
    `load average at the start: ${loadavg()
      .map((load) => load.toFixed(2))
      .join(" ")}`,
  ];
}

function absentOf(present: ReadonlySet<string>): string {
  const wanted = present.has("asimd") ? ["aes", "pmull", "sha2"] : ["aes", "vaes", "vpclmulqdq", "sha_ni"];
  return wanted.filter((flag) => !present.has(flag)).join(", ") || "none that would help";
}
