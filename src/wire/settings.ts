/**
 * The settings of the service: what the rest of Slipway gets of `slipway.yaml`, with defaults filled in and units in the
 * names. `settings-file.ts` says what may stand in the file.
 *
 * Called by `cmd/`. Paths are as written, relative to the file; what they lead to is read elsewhere.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { checkSettings as checkYaml } from "../base/settings.ts";
import type { AddressRange, ListenAddress } from "./addresses.ts";
import type { AuthorizedKey } from "./authorized-keys.ts";
import type { ClusterSettings, PoolSettings } from "./cluster-settings.ts";
import type { ForgeRef } from "./forge.ts";
import type { ForgeSettings, SecretSource } from "./forge-settings.ts";
import type { Grant, Person } from "./person.ts";
import { type AuthorizedKeysSettings, toAuthorizedKeys, toDatabase } from "./settings-beside.ts";
import { toCluster } from "./settings-clusters.ts";
import { type EnvironmentLimitsFile, type SettingsFile, settingsFile } from "./settings-file.ts";
import { toForge } from "./settings-forges.ts";
import { toPool } from "./settings-pools.ts";
import { line } from "./settings-words.ts";

export interface PersonSettings extends Person {
  readonly keys: readonly AuthorizedKey[];
  /** An authorized_keys file with more keys; path as written. */
  readonly keysFile?: string;
  /** Who they are at a forge, so that its keys and rights are theirs too. */
  readonly account?: ForgeRef;
}

export interface RepositorySettings {
  /** `[a-z0-9][a-z0-9._-]*` without two dots in a row. */
  readonly name: string;
  /** URL for git, or a path as written. */
  readonly url: string;
  readonly owner?: string;
}

/** Ceilings of one environment; absent means none. */
export interface EnvironmentLimits {
  readonly memoryBytes?: number;
  readonly processCount?: number;
  readonly cpuCount?: number;
  readonly diskBytes?: number;
}

export interface Settings {
  readonly listen: {
    readonly ssh: readonly ListenAddress[];
    /** Metrics and health; `null` is off. */
    readonly http: ListenAddress | null;
    /** Who may say by the PROXY protocol where a connection comes from. */
    readonly proxyProtocolFrom: readonly AddressRange[];
    /** Webhooks of forges; `null` is off. */
    readonly webhooks: ListenAddress | null;
  };
  readonly people: readonly PersonSettings[];
  readonly forges: readonly ForgeSettings[];
  readonly repositories: readonly RepositorySettings[];
  readonly grants: readonly Grant[];
  readonly limits: {
    readonly environmentsPerPerson: number;
    readonly sessionsPerPerson: number;
    readonly environment: EnvironmentLimits;
    /** From the connection to a verified signature. */
    readonly loginGraceMs: number;
    /** Keys that one connection may offer. */
    readonly keysPerConnection: number;
    /** Connections without a verified signature at one time. */
    readonly unauthenticated: { readonly total: number; readonly perAddress: number };
  };
  readonly sandbox: {
    /** Root file system of the environments; absolute. */
    readonly root: string;
    /** Environments get user numbers from `firstUid` up, `uidCount` of them. */
    readonly firstUid: number;
    readonly uidCount: number;
    readonly network: "auto" | "nat" | "loopback";
  };
  /** Where environments are; when there are none, in the sandbox of this machine. */
  readonly clusters: readonly ClusterSettings[];
  readonly pools: readonly PoolSettings[];
  /** The PostgreSQL that several services share; without it everything is in a SQLite of this one's own. */
  readonly database?: { readonly url: SecretSource };
  /** Stock OpenSSH servers that let the same people in. */
  readonly authorizedKeys?: AuthorizedKeysSettings;
}

/**
 * Checks the text of a settings file.
 *
 * @param source how the file is called in complaints
 * @throws {Fault} `settings.invalid` with every complaint, each with its line
 */
export function checkSettings(text: string, source: string): Settings {
  return checkYaml(settingsFile.transform(toSettings), text, source);
}

/**
 * Lists the files with keys that a text names, whatever else is wrong with it, so that what is wrong with them can be told
 * beside; none where it cannot be read at all.
 */
export function namedKeysFiles(text: string): Pick<PersonSettings, "name" | "keysFile">[] {
  try {
    const { people } = checkYaml(Outline, text, "");
    return Object.entries(people).flatMap(([name, { keysFile }]) => (keysFile === undefined ? [] : { name, keysFile }));
  } catch (error) {
    if (error instanceof Fault) return [];
    throw error;
  }
}

const Outline = z
  .object({
    people: z
      .record(z.string(), z.object({ keysFile: line.optional().catch(undefined) }).catch({ keysFile: undefined }))
      .catch({}),
  })
  .catch({ people: {} });

function toSettings(file: SettingsFile): Settings {
  const { environment, loginGrace, ...limits } = file.limits;
  return {
    listen: file.listen,
    people: Object.entries(file.people ?? {}).map(([name, { keysFile, account, ...person }]) => ({
      id: name,
      name,
      fullName: person.fullName ?? name,
      email: person.email ?? `${name}@localhost`,
      admin: person.admin,
      keys: person.keys ?? [],
      ...(keysFile === undefined ? {} : { keysFile }),
      ...(account === undefined ? {} : { account: toAccount(account) }),
    })),
    forges: Object.entries(file.forges).map(([name, forge]) => toForge(name, forge)),
    repositories: Object.entries(file.repositories).map(([name, { url, owner }]) => ({
      name,
      url,
      ...(owner === undefined ? {} : { owner }),
    })),
    grants: file.grants,
    limits: { ...limits, environment: toLimits(environment), loginGraceMs: loginGrace },
    sandbox: file.sandbox,
    clusters: Object.entries(file.clusters).map(([name, cluster]) => toCluster(name, cluster)),
    pools: Object.entries(file.pools).map(([name, pool]) => toPool(name, pool)),
    ...(file.database === undefined ? {} : { database: toDatabase(file.database) }),
    ...(file.authorizedKeys === undefined ? {} : { authorizedKeys: toAuthorizedKeys(file.authorizedKeys) }),
  };
}

function toAccount(written: string): ForgeRef {
  const [forge = "", id = ""] = written.split("/");
  return { forge, id };
}

function toLimits({ memory, processes, cpus, disk }: EnvironmentLimitsFile): EnvironmentLimits {
  return {
    ...(memory === null ? {} : { memoryBytes: memory }),
    ...(processes === null ? {} : { processCount: processes }),
    ...(cpus === null ? {} : { cpuCount: cpus }),
    ...(disk === null ? {} : { diskBytes: disk }),
  };
}
