/**
 * Public keys as people write them: lines of an authorized_keys file, without options (sshd(8), AUTHORIZED_KEYS FILE
 * FORMAT). Decodes the wire form (RFC 4253 section 6.6) far enough to say at once what is wrong with a key; whether its
 * numbers are on the curve is found out where signatures are verified.
 *
 * Called by `settings.ts`, and by `forge/` for the files and answers that it reads.
 *
 * @module
 */

/** Algorithms that may log in, in the order in which to recommend them. */
export const keyTypes = [
  "ssh-ed25519",
  "sk-ssh-ed25519@openssh.com",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ecdsa-sha2-nistp256@openssh.com",
  "ssh-rsa",
] as const;

export type KeyType = (typeof keyTypes)[number];

export interface AuthorizedKey {
  readonly type: KeyType;
  /** Wire form in base64. Canonical: one key has one blob, so equal strings are equal keys. */
  readonly blob: string;
  /** May be empty; without control characters. */
  readonly comment: string;
}

export interface AuthorizedKeys {
  readonly keys: readonly AuthorizedKey[];
  /** `keys/ada.pub:2: …`, one for each line that is no key. */
  readonly complaints: readonly string[];
}

/** What is wrong with a line, as the rest of a sentence that begins with its place. */
interface Wrong {
  readonly wrong: string;
}

const PRIVATE = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|SSH PRIVATE KEY FILE FORMAT|BEGIN SSH2 ENCRYPTED/;
const PRIVATE_WRONG =
  "this is a PRIVATE key: take it out of here, count it as stolen and make a new one; what belongs here is the line in the file that ends in .pub";

/** Says whether a text has a private key in it. */
export function hasPrivateKey(text: string): boolean {
  return PRIVATE.test(text);
}

/** Reads the text of an authorized_keys file; empty lines and comments count for nothing. */
export function readAuthorizedKeys(text: string, source: string): AuthorizedKeys {
  const lines = text.split(/\r?\n/);
  if (hasPrivateKey(text)) {
    const line = lines.findIndex((candidate) => hasPrivateKey(candidate)) + 1;
    return { keys: [], complaints: [`${source}:${line}: ${PRIVATE_WRONG}`] };
  }
  const keys: AuthorizedKey[] = [];
  const complaints: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const key = readAuthorizedKey(line);
    if ("wrong" in key) complaints.push(`${source}:${index + 1}: ${key.wrong}`);
    else keys.push(key);
  }
  return { keys, complaints };
}

/** Reads one line: type, base64, comment. */
export function readAuthorizedKey(line: string): AuthorizedKey | Wrong {
  if (hasPrivateKey(line)) return { wrong: PRIVATE_WRONG };
  if (line.includes("BEGIN SSH2 PUBLIC KEY"))
    return { wrong: "this is another format; `ssh-keygen -i -f <file>` converts it" };
  const [name = "", base64 = "", ...comment] = line.trim().split(/[ \t]+/);
  const type = keyTypes.find((known) => known === name);
  if (type === undefined) return { wrong: wrongType(name, line) };
  if (base64 === "") return { wrong: `nothing follows ${type}: the key itself is missing` };
  const blob = Buffer.from(base64, "base64");
  if (blob.toString("base64") !== base64) return { wrong: "the key is damaged: it is not whole base64" };
  const wrong = wrongBlob(type, blob);
  if (wrong !== undefined) return { wrong };
  return { type, blob: base64, comment: comment.join(" ").replace(/\p{C}/gu, "?") };
}

/** Lists the keys that two people have, by the names of the first and the later. What could not be read is `null`. */
export function sharedKeys(
  people: readonly { readonly name: string; readonly keys: readonly ({ readonly blob: string } | null)[] }[],
): { readonly first: string; readonly later: string; readonly laterIndex: number }[] {
  const owners = new Map<string, string>();
  return people.flatMap(({ name, keys }) =>
    keys.flatMap((key, laterIndex) => {
      if (key === null) return [];
      const first = owners.get(key.blob) ?? name;
      owners.set(key.blob, first);
      return first === name ? [] : [{ first, later: name, laterIndex }];
    }),
  );
}

function wrongType(name: string, line: string): string {
  if (/[ \t](ssh-|ecdsa-sha2-|sk-)\S+[ \t]+AAAA/.test(line)) {
    return "options before a key are not taken: what a person may do is said in grants";
  }
  const shown = name.replace(/[^ -~]/gu, "?").slice(0, 40);
  if (/-cert-v\d+@/.test(name)) return `"${shown}" is a certificate; write the key that it certifies`;
  return `"${shown}" is no type of key that is taken; these are: ${keyTypes.join(", ")}`;
}

function wrongBlob(type: KeyType, blob: Buffer): string | undefined {
  const fields = splitFields(blob);
  if (fields === undefined) return "the key is damaged: it is cut off, or has something behind its end";
  const [inner, ...rest] = fields;
  const innerName = inner?.toString("latin1") ?? "";
  if (innerName !== type)
    return `the key is damaged: the line says ${type}, the key itself "${innerName.replace(/[^ -~]/g, "?").slice(0, 40)}"`;
  const damaged = "the key is damaged: its parts have the wrong sizes";
  switch (type) {
    case "ssh-ed25519":
      return areSizes(rest, [32]) ? undefined : damaged;
    case "sk-ssh-ed25519@openssh.com":
      return areSizes(rest, [32, undefined]) ? undefined : damaged;
    case "ecdsa-sha2-nistp256":
      return isPoint(rest, "nistp256", 32) && rest.length === 2 ? undefined : damaged;
    case "ecdsa-sha2-nistp384":
      return isPoint(rest, "nistp384", 48) && rest.length === 2 ? undefined : damaged;
    case "ecdsa-sha2-nistp521":
      return isPoint(rest, "nistp521", 66) && rest.length === 2 ? undefined : damaged;
    case "sk-ecdsa-sha2-nistp256@openssh.com":
      return isPoint(rest, "nistp256", 32) && rest.length === 3 ? undefined : damaged;
    case "ssh-rsa":
      return wrongRsa(rest);
  }
}

/** Splits into the strings of RFC 4251 section 5, `undefined` when the last one does not end with the blob. */
function splitFields(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  for (let offset = 0; offset < blob.length;) {
    if (offset + 4 > blob.length) return undefined;
    const end = offset + 4 + blob.readUInt32BE(offset);
    if (end > blob.length) return undefined;
    fields.push(blob.subarray(offset + 4, end));
    offset = end;
  }
  return fields;
}

function areSizes(fields: readonly Buffer[], sizes: readonly (number | undefined)[]): boolean {
  return (
    fields.length === sizes.length && sizes.every((size, index) => size === undefined || fields[index]?.length === size)
  );
}

/** An uncompressed point (RFC 5656 section 3.1). */
function isPoint([curve, point]: readonly Buffer[], name: string, coordinateBytes: number): boolean {
  return curve?.toString("latin1") === name && point?.length === 1 + 2 * coordinateBytes && point[0] === 4;
}

/** Smallest that the design allows, and largest that OpenSSL verifies (OPENSSL_RSA_MAX_MODULUS_BITS). */
const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 16_384;

function wrongRsa([exponent, modulus, ...rest]: readonly Buffer[]): string | undefined {
  if (
    exponent === undefined ||
    modulus === undefined ||
    rest.length > 0 ||
    !isPositive(exponent) ||
    !isPositive(modulus)
  ) {
    return "the key is damaged: its parts have the wrong sizes";
  }
  const bits = BigInt(`0x${modulus.toString("hex")}`).toString(2).length;
  if (bits < RSA_BITS_MIN) return `an RSA key needs at least ${RSA_BITS_MIN} bits, this one has ${bits}`;
  if (bits > RSA_BITS_MAX) return `an RSA key may have at most ${RSA_BITS_MAX} bits, this one has ${bits}`;
  // With the exponent 1 everybody can sign; an even one has no private key.
  const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
  return isOdd && !(exponent.length === 1 && exponent[0] === 1)
    ? undefined
    : "the key is damaged: no signature fits its exponent";
}

/** A positive mpint in its one canonical form: RFC 4251 section 5. */
function isPositive(mpint: Buffer): boolean {
  const [first, second = 0] = mpint;
  if (first === undefined || first >= 0x80) return false;
  return first !== 0 || second >= 0x80;
}
