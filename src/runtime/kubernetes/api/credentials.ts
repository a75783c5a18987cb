/**
 * Who we are to an API server: made from an access, and made anew as files change, time passes or the server says 401.
 *
 * @module
 */
import { readFile } from "node:fs/promises";

import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import type { Log } from "../../../base/log.ts";
import { unlessAborted } from "../../../base/unless-aborted.ts";
import type { Material, ResolvedAccess } from "./access.ts";
import { askPlugin, type PluginAnswer } from "./credential-plugin.ts";

/** Options of `tls.connect`, in the form that `https.request` and `ws` take them too. The same object until something changes. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
}

export interface Credentials {
  readonly tls: TlsOptions;
  /** `authorization` where there is a token, and `user-agent`. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface CredentialsOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Files are looked at again after this: tokens in pods are written anew minutes before the old ones end. */
const FILES_FRESH_MS = 60_000;

/** A plugin's answer is not used in the last moments of its time: a request takes a while to arrive. */
const EXPIRY_MARGIN_MS = 10_000;

/** A plugin that failed is not started again sooner, however many requests want it (guess). */
const PLUGIN_REST_MS = 2_000;

const USER_AGENT = "slipway/0.1";

/** Opens the credentials of one cluster. Nothing is read before they are asked for. */
export function openCredentials(access: ResolvedAccess, options: CredentialsOptions) {
  const { clock } = options;
  const files = keepFiles(access, options);
  const plugin = keepPlugin(access, options);
  let last: Credentials | undefined;

  /** Hands out the same object, and the same `tls` in it, while nothing changed: connections are kept by that. */
  const renew = async (): Promise<Credentials> => {
    const [texts, answer] = await Promise.all([files.read(), plugin.answer()]);
    const cert = answer.certificate ?? texts.certificate;
    const key = answer.key ?? texts.key;
    const token = answer.token ?? texts.token?.trim();
    const tls: TlsOptions = {
      rejectUnauthorized: !access.isInsecure,
      ...(texts.authority !== undefined && { ca: texts.authority }),
      ...(cert !== undefined && key !== undefined && { cert, key }),
      ...(access.serverName !== undefined && { servername: access.serverName }),
    };
    const headers = { "user-agent": USER_AGENT, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    if (last !== undefined && isSame(last.tls, tls) && isSame(last.headers, headers)) return last;
    last = { headers, tls: last !== undefined && isSame(last.tls, tls) ? last.tls : tls };
    return last;
  };
  return {
    current: (signal: AbortSignal): Promise<Credentials> => unlessAborted(renew(), signal),
    /** Does nothing where they have been made anew since. */
    refuse: (credentials: Credentials): void => {
      if (credentials !== last) return;
      options.log.debug("cluster.credentials.refused", { cluster: options.name, at: clock.now() });
      files.forget();
      plugin.forget();
    },
  };
}

type Texts = Partial<Record<"authority" | "certificate" | "key" | "token", string>>;

function keepFiles(access: ResolvedAccess, { name, clock, log }: CredentialsOptions) {
  const parts = (["authority", "certificate", "key", "token"] as const).filter((part) => access[part] !== undefined);
  const hasFiles = parts.some((part) => "path" in (access[part] ?? {}));
  let known: { texts: Texts; readAtMs: number } | undefined;
  let reading: Promise<Texts> | undefined;

  const readAll = async (): Promise<Texts> => {
    try {
      const texts: Texts = {};
      for (const part of parts) texts[part] = await readMaterial(access[part]);
      known = { texts, readAtMs: clock.elapsed() };
      return texts;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // A file that is missing for a moment while somebody writes it anew is no reason to stop.
      if (known !== undefined) {
        log.warn("cluster.credentials.unread", { cluster: name, why });
        known = { texts: known.texts, readAtMs: clock.elapsed() };
        return known.texts;
      }
      const message = `Cannot read credentials for cluster "${name}" that ${access.source} names: ${why}`;
      throw new Fault("cluster.unreached", message, { cause: error });
    }
  };
  return {
    read: async (): Promise<Texts> => {
      if (known !== undefined && (!hasFiles || clock.elapsed() - known.readAtMs < FILES_FRESH_MS)) return known.texts;
      reading ??= readAll().finally(() => (reading = undefined));
      return reading;
    },
    forget: (): void => {
      if (known !== undefined) known = { texts: known.texts, readAtMs: Number.NEGATIVE_INFINITY };
    },
  };
}

async function readMaterial(material: Material | undefined): Promise<string> {
  if (material === undefined) return "";
  return "text" in material ? material.text : readFile(material.path, "utf8");
}

function keepPlugin({ plugin }: ResolvedAccess, { name, clock, log }: CredentialsOptions) {
  let known: PluginAnswer | undefined;
  let failed: { error: unknown; atMs: number } | undefined;
  let asking: Promise<PluginAnswer> | undefined;

  const ask = async (): Promise<PluginAnswer> => {
    if (plugin === undefined) return {};
    try {
      known = await askPlugin(plugin, { name, clock });
      failed = undefined;
      log.debug("cluster.credentials.asked", { cluster: name, command: plugin.command, expiresAt: known.expiresAt });
      return known;
    } catch (error) {
      failed = { error, atMs: clock.elapsed() };
      throw error;
    }
  };
  return {
    answer: async (): Promise<PluginAnswer> => {
      if (plugin === undefined) return {};
      const isFresh = known?.expiresAt === undefined || known.expiresAt - EXPIRY_MARGIN_MS > clock.now();
      if (known !== undefined && isFresh) return known;
      if (failed !== undefined && clock.elapsed() - failed.atMs < PLUGIN_REST_MS) throw failed.error;
      asking ??= ask().finally(() => (asking = undefined));
      return asking;
    },
    forget: (): void => {
      known = undefined;
    },
  };
}

function isSame(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
