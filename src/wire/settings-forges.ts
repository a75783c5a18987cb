/**
 * What may stand under `forges` in `slipway.yaml`, and what the rest of Slipway gets of it. What forges must have to do
 * with each other and with people is `settings-forge-links.ts`.
 *
 * @module
 */
import { z } from "zod";
import { duration, wholeNumber } from "./quantities.ts";
import type { ForgeType } from "./forge.ts";
import type { ForgeSettings } from "./forge-settings.ts";
import { line, noSecret, secretEnv, secretFile, sourceOf } from "./settings-words.ts";

export const forgeTypes = ["github", "gitlab", "gitea"] as const satisfies readonly ForgeType[];

/** Where forges that everybody knows are. */
const KNOWN_URLS: Readonly<Partial<Record<ForgeType, string>>> = {
  github: "https://github.com",
  gitlab: "https://gitlab.com",
};

const url = line
  .refine((text) => text.startsWith("http:") || isBase(text, "https:"), {
    error: "needs a URL by https without a user, a query or a fragment",
  })
  .refine((text) => !text.startsWith("http:") || isLoopback(text), {
    error:
      "needs https: credentials would cross the network for all to read; http is taken for loopback addresses only",
  })
  .transform((text) => text.replace(/\/+$/, ""));

function isBase(text: string, protocol: string): boolean {
  const parsed = URL.parse(text);
  return parsed?.protocol === protocol && parsed.username === "" && parsed.password === "" && !/[?#@\s]/.test(text);
}

function isLoopback(text: string): boolean {
  const host = URL.parse(text)?.hostname ?? "";
  return isBase(text, "http:") && (/^127\.\d+\.\d+\.\d+$/.test(host) || host === "[::1]" || host === "localhost");
}

/** A name of an owner or a repository at any of the forges; what is in one is one segment of a path. */
const SEGMENT = "(?!\\.{1,2}(?:/|$))[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}";

const organization = z.string().refine((text) => new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`).test(text), {
  error: "needs the name of an organisation, a group or a user",
});

const repository = z.string().refine((text) => new RegExp(`^${SEGMENT}(?:/${SEGMENT})+$`).test(text), {
  error: "needs owner/name",
});

export const forge = z.strictObject({
  type: z.enum(forgeTypes).optional(),
  url: url.optional(),
  apiUrl: url.optional(),
  app: z
    .strictObject({
      id: wholeNumber(1, Number.MAX_SAFE_INTEGER),
      privateKey: noSecret("a private key", "privateKeyFile", "privateKeyEnv"),
      privateKeyFile: secretFile.optional(),
      privateKeyEnv: secretEnv.optional(),
    })
    .optional(),
  token: noSecret("a token", "tokenFile", "tokenEnv"),
  tokenFile: secretFile.optional(),
  tokenEnv: secretEnv.optional(),
  webhook: z
    .strictObject({
      secret: noSecret("a secret", "secretFile", "secretEnv"),
      secretFile: secretFile.optional(),
      secretEnv: secretEnv.optional(),
    })
    .optional(),
  organizations: z.array(organization).default([]),
  repositories: z.array(repository).default([]),
  readOnly: z.enum(["none", "environment"]).default("none"),
  grace: duration("0s", "168h").default(3_600_000),
  poll: duration("5s", "10m").default(30_000),
});

export type ForgeFile = z.infer<typeof forge>;

/** Tells the type of a forge: what is said, or its name. */
export function typeOfForge(name: string, type: ForgeType | undefined): ForgeType | undefined {
  return type ?? forgeTypes.find((known) => known === name);
}

/** Tells the address of a forge, without a slash at the end. */
export function urlOfForge(type: ForgeType | undefined, said: string | undefined): string | undefined {
  return said ?? (type === undefined ? undefined : KNOWN_URLS[type]);
}

/** Tells where the API of a forge is when nothing is said. */
export function apiUrlOf(type: ForgeType, at: string): string {
  switch (type) {
    case "github":
      // https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
      return at === KNOWN_URLS.github ? "https://api.github.com" : `${at}/api/v3`;
    case "gitlab":
      return `${at}/api/v4`;
    case "gitea":
      return `${at}/api/v1`;
  }
}

/** Gives what the rest of Slipway reads, of a forge that `checkForgeLinks` has nothing against. */
export function toForge(name: string, file: ForgeFile): ForgeSettings {
  const type = typeOfForge(name, file.type);
  const at = urlOfForge(type, file.url);
  const credential = credentialOf(file);
  if (type === undefined || at === undefined || credential === undefined) {
    throw new Error(`Cannot use forge ${name}: checkForgeLinks let it pass`);
  }
  const webhookSecret = sourceOf(file.webhook?.secretFile, file.webhook?.secretEnv);
  return {
    ...{ name, type, url: at, apiUrl: file.apiUrl ?? apiUrlOf(type, at), credential },
    ...(webhookSecret === undefined ? {} : { webhookSecret }),
    organizations: file.organizations,
    repositories: file.repositories,
    minimumRole: file.readOnly === "environment" ? "read" : "write",
    graceMs: file.grace,
    pollMs: file.poll,
  };
}

function credentialOf({ app, tokenFile, tokenEnv }: ForgeFile): ForgeSettings["credential"] | undefined {
  const token = sourceOf(tokenFile, tokenEnv);
  if (token !== undefined) return { type: "token", token };
  const privateKey = sourceOf(app?.privateKeyFile, app?.privateKeyEnv);
  return app === undefined || privateKey === undefined ? undefined : { type: "app", appId: String(app.id), privateKey };
}
