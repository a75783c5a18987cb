/**
 * The private keys in the state folder: host keys by type, oldest first, and the key that environments are entered
 * with. PKCS #8 PEM files of mode 0600, each written whole or not at all.
 *
 * Two host keys of one type at once are a rotation under way: the older still proves who we are, the newer is already
 * announced, so that clients write it down before they need it.
 *
 * @module
 */
import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Fault } from "../base/fault.ts";

export type HostKeyType = "ed25519" | "rsa";

export interface HostKeyFile {
  readonly type: HostKeyType;
  /** Counts up with each rotation. */
  readonly number: number;
  readonly path: string;
  readonly key: KeyObject;
}

const generate = promisify(generateKeyPair);

async function makeKey(type: HostKeyType): Promise<KeyObject> {
  // 3072 bits are what ssh-keygen makes, and NIST's floor from 2030 on (SP 800-57).
  const pair = type === "rsa" ? await generate("rsa", { modulusLength: 3_072 }) : await generate("ed25519", {});
  return pair.privateKey;
}

function writeKey(path: string, key: KeyObject): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, key.export({ type: "pkcs8", format: "pem" }));
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
}

/** @param otherwise what removing it would mean, where it cannot be restored */
function readKey(path: string, otherwise: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(path));
  } catch (cause) {
    const text = `Cannot read the private key ${path}: it is damaged; restore it, or remove it and ${otherwise}`;
    throw new Fault("state.damaged", text, { told: text, cause });
  }
}

/** Reads every host key, those of one type oldest first. */
export function readHostKeys(folder: string): HostKeyFile[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return readdirSync(folder)
    .flatMap((name): HostKeyFile[] => {
      const match = /^(ed25519|rsa)-(\d+)\.pem$/.exec(name);
      const type = match?.[1];
      if (type !== "ed25519" && type !== "rsa") return [];
      const path = join(folder, name);
      chmodSync(path, 0o600);
      return [{ type, number: Number(match?.[2]), path, key: readKey(path, "every client has to accept a new one") }];
    })
    .sort((a, b) => (a.type === b.type ? a.number - b.number : a.type === "ed25519" ? -1 : 1));
}

/** Makes the first host key of a type unless there is one. @returns whether it made one */
export async function ensureHostKey(folder: string, type: HostKeyType): Promise<boolean> {
  if (readHostKeys(folder).some((file) => file.type === type)) return false;
  writeKey(join(folder, `${type}-1.pem`), await makeKey(type));
  return true;
}

/** What one step of a rotation did. */
export interface Rotation {
  readonly type: HostKeyType;
  readonly added: HostKeyFile | undefined;
  readonly retired: HostKeyFile | undefined;
}

/**
 * Takes the next step of a rotation: where there is one key, a second is made and announced; where there are two, the
 * older is removed and the newer proves who we are.
 */
export async function rotateHostKey(folder: string, type: HostKeyType): Promise<Rotation> {
  const present = readHostKeys(folder).filter((file) => file.type === type);
  const [oldest, second] = present;
  if (oldest !== undefined && second !== undefined) {
    rmSync(oldest.path);
    return { type, added: undefined, retired: oldest };
  }
  const number = (oldest?.number ?? 0) + 1;
  const path = join(folder, `${type}-${number}.pem`);
  const key = await makeKey(type);
  writeKey(path, key);
  return { type, added: { type, number, path, key }, retired: undefined };
}

/** Makes a reader that looks at the folder again only when it has changed. */
export function watchHostKeys(folder: string): () => readonly HostKeyFile[] {
  let seenAt = -1;
  let keys: readonly HostKeyFile[] = [];
  return () => {
    const changedAt = statSync(folder).mtimeMs;
    if (changedAt !== seenAt) {
      keys = readHostKeys(folder);
      seenAt = changedAt;
    }
    return keys;
  };
}

/** Reads the key that environments are entered with; makes it the first time. */
export async function openGatewayKey(path: string): Promise<KeyObject> {
  try {
    statSync(path);
  } catch {
    writeKey(path, await makeKey("ed25519"));
  }
  return readKey(path, "the next start makes another");
}
