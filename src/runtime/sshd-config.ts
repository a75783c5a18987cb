/**
 * The configuration of the inner `sshd`, one file for each connection: the variables of a session may be secret, and a
 * file can be read by the environment's user alone, where an argument could be read by every user of this machine. Called by
 * the runtimes.
 *
 * @module
 */
/** Where things are inside. Absolute, without white space. */
export interface SshdPaths {
  readonly hostKeyFile: string;
  readonly authorizedKeysFile: string;
  /** Where SFTP begins. */
  readonly sftpFolder: string;
}

/**
 * What is the same for all connections. Whoever can reach this sshd has been admitted by the gateway, which is the only
 * holder of the key, so nothing is forbidden here: what may be forwarded and when to rekey is the gateway's decision.
 */
const COMMON = `StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
LoginGraceTime 30
MaxSessions 1000
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
StreamLocalBindUnlink yes
AllowAgentForwarding yes
X11Forwarding no
PermitTunnel no
PermitUserRC yes
AcceptEnv *
ClientAliveInterval 0
Compression no
Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes256-ctr,aes128-ctr
LogLevel INFO
RekeyLimit 1024G none
`;

/**
 * Makes the text of an `sshd_config`. SFTP is served in the process itself: no program to start, and a `.bashrc` that
 * prints cannot break it.
 *
 * @param env for every process of the connection; no NUL, no line break
 */
export function makeSshdConfig(paths: SshdPaths, env: Readonly<Record<string, string>>): string {
  const { hostKeyFile, authorizedKeysFile, sftpFolder } = paths;
  const files = `HostKey ${checkPath(hostKeyFile)}\nAuthorizedKeysFile ${checkPath(authorizedKeysFile)}\n`;
  const sftp = `Subsystem sftp internal-sftp -d ${checkPath(sftpFolder)}\n`;
  const variables = Object.entries(env).map(([name, value]) => ` ${quote(`${name}=${value}`)}`);
  const setEnv = variables.length === 0 ? "" : `SetEnv${variables.join("")}\n`; // a second SetEnv would be ignored
  return `${files}${sftp}${COMMON}${setEnv}`;
}

/** `%` and `~` would be replaced: sshd_config(5), TOKENS. */
function checkPath(path: string): string {
  if (!/^\/[^\s%~"'\\#]*$/.test(path))
    throw new Error(`Cannot write ${JSON.stringify(path)} for sshd: it is no plain path`);
  return path;
}

/** Between double quotes sshd reads `\\` and `\"` as the one character and all else as it stands: misc.c, argv_split. */
function quote(value: string): string {
  if (/[\0\r\n]/.test(value)) throw new Error("Cannot write a value for sshd: it has a NUL or a line break");
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
