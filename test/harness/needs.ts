/**
 * Says why a test of real environments cannot run on this machine.
 *
 * @module
 */
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { plainEnv } from "./program.ts";

/** Programs and files that environments, and the plain OpenSSH clients, are made of; each with its Debian package. */
const NEEDED: Readonly<Record<string, string>> = {
  git: "git",
  ip: "iproute2",
  keyctl: "keyutils",
  nft: "nftables",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  sshd: "openssh-server",
  unshare: "util-linux",
};

/** Says why no environment can be made here, or `undefined` when one can. */
export function whyNoService(): string | undefined {
  if (process.platform === "linux" && process.getuid?.() !== 0) return "environments of this suite need root";
  return whyNoOrdinaryService();
}

/** The same of a service that is no root's. */
export function whyNoOrdinaryService(): string | undefined {
  if (process.platform !== "linux") return "environments need Linux";
  const missing = Object.entries(NEEDED).filter(([program]) => !hasProgram(program));
  if (missing.length === 0) return undefined;
  return `this machine lacks ${missing.map(([program, name]) => `${program} (Debian: ${name})`).join(", ")}`;
}

/** Says why a client cannot be driven here, or `undefined` when it can. A word with "/" is a file, one with "py:" a module. */
export function whyNot(...needs: readonly string[]): string | undefined {
  const missing = needs.filter((need) => !isHere(need));
  return missing.length === 0 ? undefined : `this machine lacks ${missing.join(", ")}`;
}

function isHere(need: string): boolean {
  if (need.startsWith("py:")) return spawnSync("/usr/bin/python3", ["-c", `import ${need.slice(3)}`]).status === 0;
  return need.startsWith("/") ? existsSync(need) : hasProgram(need);
}

function hasProgram(name: string): boolean {
  return (plainEnv("/")["PATH"] ?? "").split(":").some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
