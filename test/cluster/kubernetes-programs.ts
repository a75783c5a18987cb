/**
 * Kubernetes' own programs.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { KUBERNETES_VERSION } from "./layout.ts";

export async function ensureKubernetes(_tell: (text: string) => void): Promise<string> {
  const folder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "slipway", `kubernetes-${KUBERNETES_VERSION}`);
  if (!existsSync(folder)) throw new Error("none");
  return Promise.resolve(folder);
}
