/**
 * The forges of the settings, as the rest of Slipway gets them: defaults filled in, units in the names.
 *
 * @module
 */
import type { ForgeType } from "./forge.ts";

/** Where a secret is read from; never the settings file itself. */
export type SecretSource = { readonly file: string } | { readonly env: string };

export interface ForgeSettings {
  /** `[a-z][a-z0-9-]{0,31}`; part of the ids of people and repositories, so renaming it makes them others. */
  readonly name: string;
  readonly type: ForgeType;
  /** What people open in a browser, without a slash at the end: `https://github.com`. */
  readonly url: string;
  /** Without a slash at the end: `https://api.github.com`, `https://ghe.example/api/v3`, `https://gitlab.com/api/v4`. */
  readonly apiUrl: string;
  readonly credential:
    | { readonly type: "token"; readonly token: SecretSource }
    /** A GitHub App: its id, and the private key that it signs with. */
    | { readonly type: "app"; readonly appId: string; readonly privateKey: SecretSource };
  /** What webhooks are signed with; without one none is taken. */
  readonly webhookSecret?: SecretSource;
  /** Every repository of these organisations (groups, users) is connected. */
  readonly organizations: readonly string[];
  /** `owner/name`, each connected by itself. */
  readonly repositories: readonly string[];
  /** The least role that may have environments. */
  readonly minimumRole: "read" | "write";
  /** How long the last good answer holds when the forge cannot be asked; 0: not at all. */
  readonly graceMs: number;
  /** How old an answer may be that a login or a live session rests on. */
  readonly pollMs: number;
}

/** The secrets of one forge, read by `cmd/`. Never logged. */
export interface ForgeSecrets {
  /** The token, or the App's private key in PEM. */
  readonly credential: string;
  readonly webhook?: string;
}
