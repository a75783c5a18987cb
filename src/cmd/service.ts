/**
 * The service put together: every part made once, in the order in which each needs the others, and taken down in the
 * reverse order. Runtimes and forges are loaded where the settings ask for them: a tenth of a second of each start.
 *
 * Called by `slip serve` and `npm start`.
 *
 * @module
 */
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import type { Log } from "../base/log.ts";
import { untilFirst } from "../base/until-first.ts";
import type { Context } from "../controller/context.ts";
import { makeEnvironments, type Environments } from "../controller/environments.ts";
import type { Pools } from "../controller/pools/ports.ts";
import type { ForgeHealth } from "../forge/access/access.ts";
import { type Directory, openDirectory } from "../forge/directory.ts";
import { type Mirrors, openMirrors } from "../forge/mirrors.ts";
import { openAudit, type AuditLog } from "../gateway/audit/audit-log.ts";
import { openHttp } from "../gateway/http.ts";
import { openListener, type Listener } from "../gateway/listener.ts";
import { makeLobby } from "../gateway/lobby/lobby.ts";
import { type Gauge, Metrics } from "../gateway/metrics.ts";
import { makeNewcomers } from "../gateway/newcomers.ts";
import { Sessions } from "../gateway/sessions.ts";
import type { SandboxOptions } from "../runtime/sandbox/open-sandbox.ts";
import { lineOf, makeSigningKey, type SigningKey } from "../ssh/private-keys.ts";
import { ensureHostKey, openGatewayKey } from "../store/host-keys.ts";
import type { StoreOptions } from "../store/store-options.ts";
import { openStore, type Store, type StoreTarget } from "../store/store.ts";
import type { ListenAddress } from "../wire/addresses.ts";
import type { Settings } from "../wire/settings.ts";
import { gitEnvOf } from "./process.ts";
import { watchSigningKeys } from "./signing-keys.ts";
import { readSecrets, secretFilesOf, type Secrets } from "./secrets.ts";
import type { ReadSettings } from "./settings-file.ts";
import { openAccessServices } from "./access-services.ts";
import type { OpenClusters } from "./clusters.ts";
import type { Forges, ForgesOptions } from "./forges.ts";
import { beginRun, ensureInstallationId, type StateFolder } from "./state-folder.ts";

export interface ServiceOptions {
  readonly settings: ReadSettings;
  readonly state: StateFolder;
  readonly clock: Clock;
  readonly log: Log;
  /** Variables of the process: secrets that the settings name, and what git needs to reach the origins. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Service {
  /** Where SSH is listened for, ports filled in. */
  readonly ssh: readonly ListenAddress[];
  readonly httpPort: number | undefined;
  readonly webhooksPort: number | undefined;
  /** What this machine cannot do, one sentence each. */
  readonly lacks: readonly string[];
  /** Rejects when another process has taken over what is ours alone: this one has to end. */
  readonly lost: Promise<never>;
  /** The host keys that prove who we are, as lines of `known_hosts` without the host. */
  readonly hostKeyLines: readonly string[];
  /**
   * Reads the key files again, and ends the sessions of keys that are no longer in them.
   *
   * @throws {Fault} `settings.invalid` when a key file cannot be used; the keys read before hold
   */
  reloadKeys(): Promise<void>;
  /**
   * Takes no more connections, gives live sessions `drainMs` to end, ends those that are left, and takes everything
   * down. Environments go on.
   */
  close(drainMs: number): Promise<void>;
}

/** Opens the whole service. @throws {Fault} with what the operator must change */
export async function openService(options: ServiceOptions): Promise<Service> {
  await using parts = new AsyncDisposableStack();
  const { clock, log, state } = options;
  const { settings } = options.settings;
  const folder = dirname(options.settings.path);
  const secrets = readSecrets(settings, { folder, env: options.env });
  for (const warning of secrets.warnings) log.warn("secret.exposed", { warning });
  const { store, lost } = await openOwnStore(options, secrets);
  parts.use(store);
  const audit = parts.use(await openAudit(state.auditLog, clock, log));
  await ensureHostKey(state.hostKeys, "ed25519");
  const hostKeys = watchSigningKeys(state.hostKeys, { audit, log });
  const gatewayKey = makeSigningKey(await openGatewayKey(state.gatewayKey));
  const forges = parts.use(await forgesOf({ settings, secrets, store, clock, log }));
  const forge = forges === undefined ? {} : { forges };
  const access = forges === undefined ? {} : { access: forges.access };
  const apps = new Set(settings.forges.flatMap((one) => (one.credential.type === "app" ? one.name : [])));
  const makesTokens = (forge: string): boolean => apps.has(forge);
  const directory = await openDirectory({ settings, folder, makesTokens, ...access });
  const stop = new AbortController();
  parts.defer(() => {
    stop.abort();
  });
  const { environments, pools, onPushed, lacks, figures } = await openEnvironments(
    options,
    { parts, store, directory, audit, gatewayKey, ...forge },
    stop.signal,
  );
  const opened = { directory, environments, pools, figures, ...forge };
  const gateway = await openGateway(options, { audit, hostKeys, gatewayKey, ...opened });
  parts.defer(() => gateway.close());
  const services = await openAccessServices({
    ...{ settings, folder, directory, environments, pools, onPushed, clock, log, ...forge },
    controlPath: state.control,
  });
  parts.use(services);
  const fingerprints = hostKeys().map(({ blob }) => fingerprintOf(blob));
  await audit.append({ type: "service.started", pid: process.pid, hostKeys: fingerprints });
  makeRsaKeyLater(options, stop.signal);
  const owned = parts.move();
  return {
    ssh: gateway.listener.addresses,
    httpPort: gateway.httpPort,
    webhooksPort: services.webhooks?.port,
    ...{ lacks, lost },
    hostKeyLines: hostKeys().map((key) => lineOf(key, "slipway")),
    reloadKeys: async () => {
      await directory.reload();
      log.info("keys.reloaded");
    },
    close: async (drainMs) => {
      await gateway.drain(drainMs);
      hostKeys(); // records a rotation since the last connection
      // Written when the log is closed, or not at all while the disk refuses: that is no reason to go on for ever.
      void audit.append({ type: "service.stopped", reason: "asked to" });
      await owned.disposeAsync();
    },
  };
}

/** `undefined` where the settings connect none. */
async function forgesOf(options: ForgesOptions): Promise<Forges | undefined> {
  if (options.settings.forges.length === 0) return undefined;
  return (await import("./forges.ts")).openForges(options);
}

interface EnvironmentsParts {
  /** Takes what is to be closed with the service. */
  readonly parts: AsyncDisposableStack;
  readonly store: Store;
  readonly directory: Directory;
  readonly audit: AuditLog;
  readonly gatewayKey: SigningKey;
  readonly forges?: Forges;
}

/** Opens mirrors, runtime and controller, and takes over what an earlier service left. */
async function openEnvironments(
  options: ServiceOptions,
  { parts, store, directory, audit, gatewayKey, forges }: EnvironmentsParts,
  signal: AbortSignal,
): Promise<{
  readonly environments: Environments;
  readonly pools: Pools | undefined;
  readonly onPushed: OpenClusters["onPushed"] | undefined;
  readonly figures: OpenClusters["figures"] | undefined;
  readonly lacks: readonly string[];
}> {
  const { clock, log, state } = options;
  const { settings } = options.settings;
  const mirrors = await openMirrors({
    ...{ stateDir: state.path, repositories: settings.repositories, clock, log },
    folder: dirname(options.settings.path),
    find: (id) => {
      const repository = directory.repository(id);
      return repository === undefined ? undefined : forges?.mirrorSourceOf(repository);
    },
    env: gitEnvOf(options.env),
  });
  parts.defer(() => mirrors.close());
  let isBusy = (): boolean => false;
  const given = { parts, store, directory, mirrors, gatewayKey, isBusy: () => isBusy() };
  const { pools, onPushed, figures, ...places } = await openPlaces(options, given, signal);
  const environments = makeEnvironments({
    ...{ store: store.environments, ...places, mirrors, directory, audit, clock, log },
    pushCredential: async (id, until) => {
      const repository = directory.repository(id);
      return repository === undefined ? undefined : forges?.pushCredential(repository, until);
    },
    limits: {
      perPerson: settings.limits.environmentsPerPerson,
      environment: settings.limits.environment,
      firstUid: settings.sandbox.firstUid,
      uidCount: settings.sandbox.uidCount,
    },
  });
  parts.defer(() => environments.close());
  isBusy = () => environments.isBusy();
  await environments.adopt();
  return { environments, pools, onPushed, figures, lacks: places.runtime.lacks };
}

interface PlacesParts extends Pick<EnvironmentsParts, "parts" | "store" | "directory" | "gatewayKey"> {
  readonly mirrors: Mirrors;
  readonly isBusy: () => boolean;
}

/** Opens what environments run on: the clusters of the settings, or this machine where there are none. */
async function openPlaces(
  options: ServiceOptions,
  { parts, gatewayKey, ...given }: PlacesParts,
  signal: AbortSignal,
): Promise<Pick<Context, "runtime" | "clusters"> & Partial<Pick<OpenClusters, "pools" | "onPushed" | "figures">>> {
  const { clock, log, env } = options;
  const { settings, path: settingsPath } = options.settings;
  if (settings.clusters.length === 0) {
    const { openSandbox } = await import("../runtime/sandbox/open-sandbox.ts");
    return { runtime: await openSandbox(sandboxOptions(options, gatewayKey), signal) };
  }
  const { openClusters } = await import("./clusters.ts");
  const { runtime, clusters, pools, onPushed, figures } = parts.use(
    await openClusters(
      {
        ...{ ...given, settings, settingsPath, clock, log, env },
        installation: ensureInstallationId(options.state),
        runs: beginRun(options.state),
        gatewayKey: lineOf(gatewayKey, "slipway-gateway"),
      },
      settings.limits.environment,
    ),
  );
  return { runtime, clusters, pools, onPushed, figures };
}

interface GatewayParts {
  readonly audit: AuditLog;
  readonly hostKeys: () => readonly SigningKey[];
  readonly gatewayKey: SigningKey;
  readonly directory: Directory;
  readonly environments: Environments;
  /** These two are absent where there are no clusters. */
  readonly pools: Pools | undefined;
  readonly figures: OpenClusters["figures"] | undefined;
  readonly forges?: Forges;
}

interface Gateway {
  readonly listener: Listener;
  readonly httpPort: number | undefined;
  drain(drainMs: number): Promise<void>;
  close(): Promise<void>;
}

async function openGateway(
  { settings: { settings }, clock, log }: ServiceOptions,
  parts: GatewayParts,
): Promise<Gateway> {
  const sessions = new Sessions();
  const metrics: Metrics = new Metrics({
    slipway_sessions: { help: "Live sessions", read: () => sessions.count },
    slipway_unauthenticated: { help: "Connections that have not proved a key", read: () => listener.strangers.count },
    ...forgeGauges(parts.forges),
    ...clusterGauges(parts.figures),
  });
  const { directory } = parts;
  const lobby = makeLobby({ environments: parts.environments, pools: parts.pools, directory, sessions, log });
  const { listen, limits } = settings;
  await using opened = new AsyncDisposableStack();
  const listener = await openListener(
    {
      ...{ clock, log, metrics, sessions, lobby },
      audit: parts.audit,
      hostKeys: parts.hostKeys,
      gatewayKey: parts.gatewayKey,
      directory,
      newcomers: makeNewcomers({ directory, clock, log }),
      environments: parts.environments,
      limits,
    },
    { addresses: listen.ssh, proxyProtocolFrom: listen.proxyProtocolFrom, strangers: limits.unauthenticated },
  );
  opened.defer(() => listener.stop());
  let unready: string | undefined;
  const http =
    listen.http === null ? undefined : await openHttp({ address: listen.http, metrics, unready: () => unready });
  opened.use(http);
  const owned = opened.move();
  return {
    listener,
    httpPort: http?.port,
    drain: async (drainMs) => {
      unready = "shutting down";
      listener.stop();
      if (sessions.count > 0 && drainMs > 0) {
        await parts.environments.tell(`the service is shutting down; this session ends in ${drainMs / 1_000} s`);
      }
      const empty = (): Promise<void> => sessions.untilEmpty();
      await untilFirst({ empty, late: (signal) => clock.sleep(drainMs, signal) });
      sessions.endAll("Slipway is shutting down");
      await untilFirst({ empty, late: (signal) => clock.sleep(1_000, signal) });
    },
    close: () => owned.disposeAsync(),
  };
}

function sandboxOptions(options: ServiceOptions, gatewayKey: SigningKey): SandboxOptions {
  const { settings, path } = options.settings;
  const { sandbox }: Settings = settings;
  return {
    hiddenPaths: [path, ...secretFilesOf(settings, dirname(path))],
    stateDir: options.state.path,
    root: sandbox.root,
    network: sandbox.network,
    gatewayKey: lineOf(gatewayKey, "slipway-gateway"),
    clock: options.clock,
    log: options.log,
    // What runs us is a good enough Node for an environment that has none.
    tools: { node: process.execPath },
  };
}

/** How well each forge is reached: what an operator is woken for. */
function forgeGauges(forges: Forges | undefined): Record<string, Gauge> {
  if (forges === undefined) return {};
  const gauge = (help: string, read: (health: ForgeHealth) => number | undefined): Gauge => ({
    help,
    labelNames: ["forge"],
    read: () =>
      forges.access.health().flatMap((health) => {
        const value = read(health);
        return value === undefined ? [] : [{ labels: { forge: health.forge }, value }];
      }),
  });
  return {
    slipway_forge_reached: gauge("1 while the forge answers", ({ isReached }) => Number(isReached)),
    slipway_forge_answered_timestamp_seconds: gauge(
      "When the forge last answered, in epoch seconds",
      ({ reachedAt }) => (reachedAt === undefined ? undefined : reachedAt / 1_000),
    ),
    slipway_forge_requests_left: gauge("Requests left until the limit is full again", (of) => of.budgetRemaining),
    slipway_forge_watched_late_seconds: gauge(
      "How far the oldest answer that a live session rests on is past the poll interval, or past 2 s after a webhook",
      ({ watchedLateMs }) => watchedLateMs / 1_000,
    ),
    slipway_forge_accounts: gauge("Accounts known", ({ accountCount }) => accountCount),
    slipway_forge_repositories: gauge("Repositories connected", ({ repositoryCount }) => repositoryCount),
  };
}

/** How gently API servers are treated, and which way sessions go. */
function clusterGauges(figures: OpenClusters["figures"] | undefined): Record<string, Gauge> {
  if (figures === undefined) return {};
  const readCounts = (): { labels: Record<string, string>; value: number }[] =>
    [...figures.requestCounts()].flatMap(([cluster, counts]) =>
      [...counts].map(([asked, value]) => {
        const [verb = "", resource = ""] = asked.split(" ");
        return { labels: { cluster, verb, resource }, value };
      }),
    );
  return {
    slipway_cluster_requests_total: {
      ...{ help: "Requests sent to API servers, by cluster, verb and resource", isTotal: true },
      ...{ labelNames: ["cluster", "verb", "resource"], read: readCounts },
    },
    slipway_cluster_path: {
      help: "1 for the way that the next session goes into a pod of the cluster",
      labelNames: ["cluster", "path"],
      read: () => [...figures.paths()].map(([cluster, path]) => ({ labels: { cluster, path }, value: 1 })),
    },
  };
}

async function openOwnStore(
  { clock, log, state }: ServiceOptions,
  secrets: Secrets,
): Promise<Pick<Service, "lost"> & { readonly store: Store }> {
  const { promise: lost, reject: onLost } = Promise.withResolvers<never>();
  lost.catch(() => undefined); // it may be lost while nobody waits
  const store = await openStore(targetOf(state, secrets), { clock, log, onLost, ...ownerOf(state, secrets) });
  return { store, lost };
}

function targetOf({ database }: StateFolder, { databaseUrl }: Secrets): StoreTarget {
  return databaseUrl === undefined ? { type: "sqlite", path: database } : { type: "postgres", url: databaseUrl };
}

/** What our environments are told apart by from those of other services in the same database: no two may be the same. */
function ownerOf(state: StateFolder, { databaseUrl }: Secrets): Pick<StoreOptions, "installation" | "isAlone"> {
  return { installation: databaseUrl === undefined ? "local" : ensureInstallationId(state), isAlone: true };
}

/** RSA is for old clients and takes long to make: nobody waits for it. */
function makeRsaKeyLater({ state, log }: ServiceOptions, signal: AbortSignal): void {
  ensureHostKey(state.hostKeys, "rsa").catch((error: unknown) => {
    if (!signal.aborted) log.error("hostkey.failed", error);
  });
}
