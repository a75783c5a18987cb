/**
 * A person at a laptop: a folder with keys and a configuration of OpenSSH, and runners for the programs they use.
 *
 * Host keys are pinned: nothing is ever accepted on first sight.
 *
 * @module
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun, run, start, type Ended, type RunOptions, type Running } from "./program.ts";

/** Name of the service in the configuration: `ssh hello-main@slipway`. */
export const HOST = "slipway";

export type KeyType = "ed25519" | "ecdsa-256" | "ecdsa-384" | "ecdsa-521" | "rsa-2048" | "rsa-3072";

export interface Client {
  readonly name: string;
  /** Their home folder. */
  readonly folder: string;
  /** First of their private keys; the others are beside it, `id_<type>`. */
  readonly identityFile: string;
  /** For `-F` of `ssh`, `scp`, `sftp` and whatever starts them. */
  readonly configFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs `ssh` with the configuration. Arguments begin with options or `login@slipway`. */
  readonly ssh: (args: readonly string[], options?: RunOptions) => Promise<Ended>;
  /** Starts `ssh`; standard input stays open. */
  readonly startSsh: (args: readonly string[], options?: Omit<RunOptions, "input">) => Running;
  /** Runs `sftp` with a batch of commands. */
  readonly sftp: (login: string, batch: readonly string[], args?: readonly string[]) => Promise<Ended>;
  /** Runs any program as this person. */
  readonly run: (words: readonly string[], options?: RunOptions) => Promise<Ended>;
  readonly start: (words: readonly string[], options?: Omit<RunOptions, "input">) => Running;
  /** Runs a command of the lobby. */
  readonly lobby: (...words: readonly string[]) => Promise<Ended>;
}

export interface ClientOptions {
  readonly name: string;
  readonly folder: string;
  /** Of the service. @default 127.0.0.1 */
  readonly address?: string;
  readonly port: number;
  readonly knownHosts: string;
  readonly keyTypes: readonly KeyType[];
}

/** Makes a person's folder and keys. */
export async function makeClient(options: ClientOptions): Promise<Client> {
  const { name, folder, keyTypes } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const type of keyTypes) await makeKey(join(folder, `id_${type}`), type, `${name}@laptop`);
  const identityFile = join(folder, `id_${keyTypes[0] ?? "ed25519"}`);
  const configFile = join(folder, "config");
  writeFileSync(configFile, configText(options, identityFile));
  chmodSync(configFile, 0o600);
  const env = { HOME: folder };
  const withEnv = (given?: RunOptions): RunOptions => ({ ...given, env: { ...env, ...given?.env } });
  return {
    ...{ name, folder, identityFile, configFile, env },
    ssh: (args, given) => run(["ssh", "-F", configFile, ...args], withEnv(given)),
    startSsh: (args, given) => start(["ssh", "-F", configFile, ...args], withEnv(given)),
    sftp: (login, batch, args = []) =>
      run(
        ["sftp", "-F", configFile, "-b", "-", ...args, `${login}@${HOST}`],
        withEnv({ input: batch.join("\n") + "\n" }),
      ),
    run: (words, given) => run(words, withEnv(given)),
    start: (words, given) => start(words, withEnv(given)),
    lobby: (...words) => run(["ssh", "-F", configFile, `slip@${HOST}`, ...words], withEnv()),
  };
}

/** Makes a key pair without a passphrase. */
export async function makeKey(path: string, type: KeyType, comment: string): Promise<void> {
  const [kind = "", bits] = type.split("-");
  const size = bits === undefined ? [] : ["-b", bits];
  await mustRun(["ssh-keygen", "-q", "-t", kind, ...size, "-N", "", "-C", comment, "-f", path]);
}

/** Reads the line of a public key, as it stands in `authorized_keys`. */
export function readPublicKey(privatePath: string): string {
  return readFileSync(`${privatePath}.pub`, "utf8").trim();
}

function configText({ address = "127.0.0.1", port, knownHosts }: ClientOptions, identityFile: string): string {
  return `Host ${HOST}
  HostName ${address}
  Port ${port}
Host *
  IdentityFile ${identityFile}
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${knownHosts}
  GlobalKnownHostsFile none
  UpdateHostKeys no
  ConnectTimeout 15
`;
}
