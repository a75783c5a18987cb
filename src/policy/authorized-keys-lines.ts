/**
 * Lines of an authorized_keys file for a stock OpenSSH server: sshd(8), AUTHORIZED_KEYS FILE FORMAT. Each key is
 * restricted to what the operator allows again, and says by itself who comes and where they are to go.
 *
 * Called by `cmd/control/`. Who is in it is decided elsewhere.
 *
 * @module
 */

/** A key of somebody who may come in. */
export interface AllowedKey {
  /** Id of the person. */
  readonly person: string;
  readonly login: string;
  readonly type: string;
  /** Wire form in base64. */
  readonly key: string;
  /** It is not taken after this; epoch ms. sshd reads it as it is written here from OpenSSH 9.1 on. */
  readonly expiresAt?: number;
}

export interface LineOptions {
  /** Unix user that they come in as. */
  readonly user: string;
  /** What people call the repository. */
  readonly repository: string;
  /** Run instead of what the client asks for; placeholders are filled in, quoted for a shell. */
  readonly command: string;
  /** Options of the format that are allowed again after `restrict`. */
  readonly allow: readonly string[];
}

/**
 * Writes a line for each key, in their order.
 *
 * @throws {Error} when a value cannot stand on a line, which whoever calls has to take for nobody
 */
export function authorizedKeysLines(keys: readonly AllowedKey[], options: LineOptions): string[] {
  return keys.map((key) => lineOf(key, options));
}

function lineOf({ person, login, type, key, expiresAt }: AllowedKey, options: LineOptions): string {
  const { user, repository, allow } = options;
  const values: Readonly<Record<string, string>> = { person, login, repository, user };
  // What has no meaning stays as it is; the settings have none such.
  const command = options.command.replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? shellWord(values[name] ?? "") : whole,
  );
  const words = [
    "restrict",
    ...allow,
    ...(expiresAt === undefined ? [] : [`expiry-time=${quoted(timeOf(expiresAt))}`]),
    `environment=${quoted(`SLIPWAY_PERSON=${person}`)}`,
    `environment=${quoted(`SLIPWAY_REPOSITORY=${repository}`)}`,
    `command=${quoted(command)}`,
  ];
  if (!/^[A-Za-z0-9@.-]+$/.test(type) || !/^[A-Za-z0-9+/]+=*$/.test(key)) {
    throw new Error("Cannot write a line of authorized_keys: the key is not in its wire form");
  }
  return `${words.join(",")} ${type} ${key} ${login.replace(/[^A-Za-z0-9._@-]/g, "?")}`;
}

/** Quotes one word for any POSIX shell: XCU 2.2.2. */
function shellWord(text: string): string {
  return /^[A-Za-z0-9_./@+-]+$/.test(text) && !text.startsWith("-") ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Quotes a value as sshd takes it apart: only `\"` means something, in opt_dequote of OpenSSH's misc.c. */
function quoted(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new Error("Cannot write a line of authorized_keys: a value has control characters");
  if (text.endsWith("\\")) throw new Error('Cannot write a line of authorized_keys: a value ends in "\\"');
  return `"${text.replaceAll('"', '\\"')}"`;
}

/** `20261121130000Z`: sshd(8), expiry-time. */
function timeOf(ms: number): string {
  return `${new Date(ms).toISOString().replace(/[-:T]|\..*$/g, "")}Z`;
}
