/**
 * How the API server is reached from inside of a pod: by the files of its service account.
 * https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { Fault } from "../../../base/fault.ts";
import type { ResolvedAccess } from "./access.ts";

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST`. */
  readonly host: string | undefined;
  /** `KUBERNETES_SERVICE_PORT`. */
  readonly port: string | undefined;
  /** @default /var/run/secrets/kubernetes.io/serviceaccount */
  readonly folder?: string;
}

const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Says which namespace the pod around us is in; `undefined` when nobody has written it down. */
export function readOwnNamespace(folder = FOLDER): string | undefined {
  const path = join(folder, "namespace");
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}

/** Says how the cluster around us is reached. @throws {Fault} `settings.invalid` when we are not in one */
export function inClusterAccess({ host, port, folder }: InClusterOptions): ResolvedAccess {
  const source = folder ?? FOLDER;
  if (host === undefined || host === "" || port === undefined || !/^\d{1,5}$/.test(port)) {
    const needs = "needs KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which a pod has";
    const told = `"in-cluster" needs the service to run in a pod of the cluster`;
    throw new Fault("settings.invalid", `Cannot reach the cluster around us: there is none, ${needs}`, { told });
  }
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    source,
    isInsecure: false,
    authority: { path: join(source, "ca.crt") },
    token: { path: join(source, "token") },
  };
}
