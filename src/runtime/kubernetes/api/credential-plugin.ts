/**
 * Asks a program for credentials, as kubectl does: `users[].user.exec` of a kubeconfig.
 *
 * It asks once; `credentials.ts` keeps the answer. The program is the operator's own choice and runs as we do, with the
 * environment it is given and without a terminal.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { z } from "zod";

import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import type { CredentialPlugin } from "./access.ts";

export interface PluginAnswer {
  readonly token?: string;
  /** PEM. */
  readonly certificate?: string;
  /** PEM. */
  readonly key?: string;
  /** Epoch ms. */
  readonly expiresAt?: number;
}

/** Plugins of clouds ask over the network and may have to log in anew first (guess). */
const ANSWER_MS = 30_000;
const OUTPUT_MAX_BYTES = 2 ** 20;
const STDERR_MAX_LENGTH = 500;

/** https://kubernetes.io/docs/reference/config-api/client-authentication.v1/#ExecCredential */
const ExecCredential = z.object({
  apiVersion: z.string(),
  kind: z.literal("ExecCredential"),
  status: z
    .object({
      token: z.string().min(1).optional(),
      clientCertificateData: z.string().min(1).optional(),
      clientKeyData: z.string().min(1).optional(),
      expirationTimestamp: z.iso.datetime({ offset: true }).nullish(),
    })
    .refine(({ token, clientCertificateData }) => token !== undefined || clientCertificateData !== undefined)
    .refine((status) => (status.clientCertificateData === undefined) === (status.clientKeyData === undefined)),
});

/**
 * Runs the program and reads its answer.
 *
 * @throws {Fault} `cluster.unreached` when it cannot be started, fails, takes longer than 30 s or answers something else
 */
export async function askPlugin(
  plugin: CredentialPlugin,
  options: { readonly name: string; readonly clock: Clock },
): Promise<PluginAnswer> {
  const failed = (why: string, cause?: unknown): Fault => {
    const hint = plugin.installHint === undefined ? "" : `; ${plugin.installHint.trim()}`;
    const message = `Cannot get credentials for cluster "${options.name}" from ${JSON.stringify(plugin.command)}: ${why}${hint}`;
    return new Fault("cluster.unreached", message, { cause });
  };
  const ran = await runPlugin(plugin, options.clock);
  if ("error" in ran) throw failed(`it cannot be started (${ran.error.message})`, ran.error);
  if (ran.why !== undefined) throw failed(ran.why);
  const answer = ExecCredential.safeParse(fromJson(ran.stdout));
  if (!answer.success) throw failed("its answer is no ExecCredential with a token or a certificate and its key");
  const { apiVersion, status } = answer.data;
  if (apiVersion !== plugin.apiVersion) {
    throw failed(`it answers in ${JSON.stringify(apiVersion)}, needs ${JSON.stringify(plugin.apiVersion)}`);
  }
  return {
    ...(status.token !== undefined && { token: status.token }),
    ...(status.clientCertificateData !== undefined && { certificate: status.clientCertificateData }),
    ...(status.clientKeyData !== undefined && { key: status.clientKeyData }),
    ...(typeof status.expirationTimestamp === "string" && { expiresAt: Date.parse(status.expirationTimestamp) }),
  };
}

type Ran = { readonly stdout: string; readonly why?: string } | { readonly error: Error };

async function runPlugin({ apiVersion, command, args, env, cluster }: CredentialPlugin, clock: Clock): Promise<Ran> {
  const spec = { interactive: false, ...(cluster !== undefined && { cluster }) };
  const info = JSON.stringify({ apiVersion, kind: "ExecCredential", spec });
  const child = spawn(command, args, {
    env: { ...env, KUBERNETES_EXEC_INFO: info },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  let byteCount = 0;
  let stderr = "";
  let why: string | undefined;
  const stop = (reason: string): void => {
    why ??= reason;
    child.kill("SIGKILL");
    // What it started may hold the pipes open for ever.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  child.stdout.on("data", (chunk: Buffer) => {
    byteCount += chunk.length;
    if (byteCount > OUTPUT_MAX_BYTES) stop(`its answer is longer than ${OUTPUT_MAX_BYTES} bytes`);
    else chunks.push(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-STDERR_MAX_LENGTH)));
  const cancel = clock.after(ANSWER_MS, () => stop(`there was no answer within ${ANSWER_MS} ms`));
  const ended = Promise.withResolvers<Ran>();
  child.on("error", (error) => ended.resolve({ error }));
  child.on("close", (exitCode, signal) => {
    if (exitCode !== 0) why ??= `it ended with ${signal ?? `exit code ${String(exitCode)}`}: ${oneLine(stderr)}`;
    ended.resolve({ stdout: Buffer.concat(chunks).toString("utf8"), ...(why !== undefined && { why }) });
  });
  try {
    return await ended.promise;
  } finally {
    cancel();
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{C}]+/gu, " ").trim();
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
