/**
 * A plain OpenSSH `sshd` on a port of its own: to jump over, and to compare with.
 *
 * @module
 */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Client } from "./client.ts";
import { makeKey, readPublicKey } from "./client.ts";
import { freePort } from "./free-port.ts";
import { start } from "./program.ts";
import { until } from "./wait.ts";

export interface Sshd extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Everything it has said of itself. */
  said(): string;
  /** Line for a `known_hosts`. */
  readonly knownHost: string;
}

/** Starts one in `folder` that lets `clients` in as the user of this process, and makes it known to them. */
export async function openSshd(
  folder: string,
  clients: readonly Client[],
  settings: readonly string[] = [],
): Promise<Sshd> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 }); // where its unprivileged half is locked up
  const port = await freePort();
  const [key, keys, config] = ["host_key", "authorized_keys", "sshd_config"].map((name) => join(folder, name));
  if (key === undefined || keys === undefined || config === undefined) throw new Error("Cannot name files");
  await makeKey(key, "ed25519", "sshd");
  writeFileSync(keys, clients.map((client) => `${readPublicKey(client.identityFile)}\n`).join(""), { mode: 0o600 });
  const lines = [
    ...settings, // first, as the first that is said of anything holds: sshd_config(5)
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${key}`,
    `AuthorizedKeysFile ${keys}`,
    ...["StrictModes no", "UsePAM no", "UseDNS no", "PidFile none", "PrintMotd no", "PrintLastLog no"],
    ...["PermitRootLogin yes", "AcceptEnv *", "Subsystem sftp internal-sftp", "MaxStartups 100", "MaxSessions 100"],
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const running = start(["/usr/sbin/sshd", "-D", "-e", "-f", config]);
  const knownHost = `[127.0.0.1]:${port} ${readFileSync(`${key}.pub`, "utf8").trim()}`;
  for (const { configFile } of clients) {
    const [, file = ""] = /UserKnownHostsFile (.*)/.exec(readFileSync(configFile, "utf8")) ?? [];
    appendFileSync(file, `${knownHost}\n`);
  }
  await until("sshd to listen", () => canConnect(port)).catch((cause: unknown) => {
    throw new Error(`Cannot start sshd: ${running.stderr()}`, { cause });
  });
  return {
    port,
    pid: running.pid,
    said: () => running.stderr(),
    knownHost,
    [Symbol.asyncDispose]: async () => {
      running.kill();
      await running.ended;
    },
  };
}

async function canConnect(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: "127.0.0.1", port });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  const isUp = await promise;
  socket.destroy();
  return isUp;
}
