/**
 * A plain OpenSSH `sshd` on a port of the loopback: what Slipway is measured against. Debian's program with its own
 * choice of algorithms; the one account has an empty home and Bash, as an environment has.
 *
 * The account exists in a mount namespace of the sshd alone: this machine's own files stay as they are.
 *
 * @module
 */
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeClient, makeKey, readPublicKey, type Client } from "../../test/harness/client.ts";
import { freePort } from "../../test/harness/free-port.ts";
import { start } from "../../test/harness/program.ts";

export interface PlainSshd extends AsyncDisposable {
  readonly port: number;
  /** Process id of the listener. */
  readonly pid: number;
  readonly client: Client;
  readonly user: string;
  /** Host key blob. */
  readonly hostKey: Buffer;
}

const USER = "bench";
const UID = 299_999;

/**
 * `$1` is the account file, `$2` the configuration. The sshd wants /run/sshd, which Debian's service makes; it ends with
 * the benchmark, however that ends.
 */
const START = `mount --bind "$1" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir /run/sshd &&
exec setpriv --pdeathsig KILL /usr/sbin/sshd -D -e -f "$2"`;

/** Starts it and waits until it listens. Others may pass through `folder` afterwards: sshd reads keys as their user. */
export async function openPlainSshd(folder: string): Promise<PlainSshd> {
  const port = await freePort();
  chmodSync(folder, 0o711);
  const [home, hostKeyFile, passwd] = ["home", "host_ed25519", "passwd"].map((name) => join(folder, name));
  if (home === undefined || hostKeyFile === undefined || passwd === undefined) throw new Error("Cannot name files");
  mkdirSync(home, { recursive: true });
  chownSync(home, UID, UID);
  await makeKey(hostKeyFile, "ed25519", "plain-sshd");
  const knownHosts = join(folder, "known_hosts");
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readPublicKey(hostKeyFile)}\n`);
  const client = await makeClient({
    ...{ name: USER, port, knownHosts },
    folder: join(folder, "person"),
    keyTypes: ["ed25519"],
  });
  copyFileSync("/etc/passwd", passwd);
  writeFileSync(passwd, `${USER}:x:${UID}:${UID}::${home}:/bin/bash\n`, { flag: "a" });
  const keys = join(folder, "authorized_keys");
  writeFileSync(keys, `${readPublicKey(client.identityFile)}\n`);
  const config = join(folder, "sshd_config");
  writeFileSync(config, configText({ port, hostKeyFile, keys }));
  const listener = start(["unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh", passwd, config]);
  await listener.untilError(/Server listening/, 10_000);
  return {
    ...{ port, client },
    pid: listener.pid,
    user: USER,
    hostKey: Buffer.from(readFileSync(`${hostKeyFile}.pub`, "utf8").split(" ")[1] ?? "", "base64"),
    [Symbol.asyncDispose]: async () => {
      listener.kill();
      await listener.ended;
    },
  };
}

/** Limits are lifted where a row needs more; everything else is OpenSSH's default, or makes it faster (no PAM). */
function configText(paths: { port: number; hostKeyFile: string; keys: string }): string {
  return `ListenAddress 127.0.0.1
Port ${paths.port}
HostKey ${paths.hostKeyFile}
AuthorizedKeysFile ${paths.keys}
StrictModes no
UsePAM no
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
MaxStartups 100
MaxSessions 100
AcceptEnv *
Subsystem sftp internal-sftp
`;
}
