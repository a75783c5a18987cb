/**
 * Reads the secrets that the settings name: from files and from variables of the process, all of them at once. What is
 * read goes to whoever needs it and into no log, and no complaint repeats any of it.
 *
 * Called by `service.ts` and by `slip check --online`.
 *
 * @module
 */
import { createPrivateKey } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { Fault } from "../base/fault.ts";
import type { ForgeSecrets, ForgeSettings, SecretSource } from "../wire/forge-settings.ts";
import type { Settings } from "../wire/settings.ts";

export interface Secrets {
  /** By the name of the forge; every one of the settings is there. */
  readonly forges: ReadonlyMap<string, ForgeSecrets>;
  /** URL of the PostgreSQL; absent when there is none in the settings. */
  readonly databaseUrl?: string;
  /** What the operator had better change, one sentence each. */
  readonly warnings: readonly string[];
}

export interface SecretsOptions {
  /** What paths are relative to: the folder of the settings file. */
  readonly folder: string;
  /** Variables of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads every secret. @throws {Fault} `settings.invalid` with a complaint for each that is missing or cannot be used */
export function readSecrets(settings: Pick<Settings, "forges" | "database">, options: SecretsOptions): Secrets {
  const complaints: string[] = [];
  const warnings: string[] = [];
  const read = (wanted: Wanted): string => {
    const found = readSecret(wanted, options);
    if (found.warning !== undefined) warnings.push(`${found.at}: ${found.warning}`);
    if ("value" in found) return found.value;
    complaints.push(`${found.at}: ${found.wrong}`);
    return "";
  };
  const forges = new Map(settings.forges.map((forge) => [forge.name, readForge(forge, read)]));
  const databaseUrl = settings.database && read(urlOf(settings.database));
  if (complaints.length > 0) {
    const head = `Cannot read the secrets that the settings name: ${complaints.length} ${complaints.length === 1 ? "complaint" : "complaints"}`;
    const told = [head, ...complaints].join("\n");
    throw new Fault("settings.invalid", told, { told });
  }
  return { forges, warnings, ...(databaseUrl === undefined ? {} : { databaseUrl }) };
}

/** Lists the files that have secrets in them, which nobody in an environment of this machine may see. */
export function secretFilesOf({ forges, database }: Pick<Settings, "forges" | "database">, folder: string): string[] {
  const wanted = [...forges.flatMap((forge) => Object.values(wantedOf(forge))), ...(database ? [urlOf(database)] : [])];
  return wanted.flatMap(({ source }) => ("file" in source ? resolve(folder, source.file) : []));
}

interface Wanted {
  /** Where the settings name it, without `File` or `Env` at the end. */
  readonly at: string;
  readonly source: SecretSource;
  /** Says what is wrong with it, as the rest of a sentence. */
  readonly check: (text: string) => string | undefined;
}

function urlOf({ url }: NonNullable<Settings["database"]>): Wanted {
  return { at: "database.url", source: url, check: checkDatabaseUrl };
}

/** Everything secret of a forge. */
function wantedOf({ name, credential, webhookSecret }: ForgeSettings): {
  readonly credential: Wanted;
  readonly webhook?: Wanted;
} {
  const at = `forges.${name}`;
  return {
    credential:
      credential.type === "token"
        ? { at: `${at}.token`, source: credential.token, check: checkToken }
        : { at: `${at}.app.privateKey`, source: credential.privateKey, check: checkPrivateKey },
    ...(webhookSecret === undefined
      ? {}
      : { webhook: { at: `${at}.webhook.secret`, source: webhookSecret, check: checkLine } }),
  };
}

function readForge(forge: ForgeSettings, read: (wanted: Wanted) => string): ForgeSecrets {
  const wanted = wantedOf(forge);
  const webhook = wanted.webhook && read(wanted.webhook);
  return { credential: read(wanted.credential), ...(webhook === undefined ? {} : { webhook }) };
}

type Found = { readonly at: string; readonly warning?: string } & (
  { readonly value: string } | { readonly wrong: string }
);

function readSecret({ at: where, source, check }: Wanted, { folder, env }: SecretsOptions): Found {
  const at = `${where}${"file" in source ? "File" : "Env"}`;
  const read = "file" in source ? readFile(source.file, folder) : readVariable(source.env, env);
  if ("wrong" in read) return { at, ...read };
  const value = read.value.replace(/[\r\n]+$/, "");
  const wrong = value.trim() === "" ? "is empty" : check(value);
  const { warning } = read;
  const named = { at, ...(warning === undefined ? {} : { warning }) };
  return wrong === undefined ? { ...named, value } : { ...named, wrong: `${read.name} ${wrong}` };
}

type Read = { readonly name: string; readonly value: string; readonly warning?: string } | { readonly wrong: string };

function readVariable(name: string, env: SecretsOptions["env"]): Read {
  const value = env[name];
  return value === undefined ? { wrong: `the variable ${name} is not set` } : { name: `the variable ${name}`, value };
}

/** Larger than any key in PEM, and small enough for any mistake (guess). */
const FILE_BYTES_MAX = 64 * 2 ** 10;

function readFile(written: string, folder: string): Read {
  const path = resolve(folder, written);
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return { wrong: `${path} is no file` };
    if (stat.size > FILE_BYTES_MAX) return { wrong: `${path} is too large for a secret` };
    const mode = (stat.mode & 0o777).toString(8);
    if ((stat.mode & 0o007) !== 0) {
      return {
        wrong: `${path} is open to every user of the machine (mode ${mode}): "chmod 600" it, and count it as stolen`,
      };
    }
    // A file of root's that the service reads by its group is as it should be; one of more people's is not.
    const warning =
      (stat.mode & 0o070) === 0 ? {} : { warning: `${path} can be read by its whole group (mode ${mode})` };
    return { name: path, value: readFileSync(path, "utf8"), ...warning };
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return { wrong: `${path} cannot be read (${String(error.code)})` };
  }
}

function checkLine(text: string): string | undefined {
  return /[\r\n]/.test(text) ? "has more than one line" : undefined;
}

/** What goes into a header of a request must be no more than a word. */
function checkToken(text: string): string | undefined {
  return checkLine(text) ?? (/^[!-~]+$/.test(text) ? undefined : "has blanks or signs in it that are in no token");
}

function checkPrivateKey(text: string): string | undefined {
  try {
    return createPrivateKey(text).asymmetricKeyType === "rsa" ? undefined : "is no RSA key, as Apps have";
  } catch {
    return "is no private key in PEM"; // what OpenSSL says of it may have parts of it
  }
}

function checkDatabaseUrl(text: string): string | undefined {
  const protocol = URL.parse(text)?.protocol;
  return protocol === "postgres:" || protocol === "postgresql:"
    ? checkLine(text)
    : "is no URL that begins with postgres://";
}
