/**
 * Who a request comes from: personal access tokens, GitHub Apps' signed assertions (JWT, RS256) and the tokens of their
 * installations, each checked as GitHub does.
 *
 * Sources: docs.github.com, "Authenticating to the REST API", "Generating a JSON Web Token (JWT) for a GitHub App",
 * "Generating an installation access token for a GitHub App".
 *
 * @module
 */
import { createHash, randomBytes, verify } from "node:crypto";
import { parseJson, valueAt } from "../lib/json.ts";
import type { App, AppPermissions } from "./entities.ts";
import type { World } from "./world.ts";

export type Viewer =
  | { readonly type: "anonymous" }
  /** By an assertion that the App signed. */
  | { readonly type: "app"; readonly appId: number }
  | ({ readonly type: "installation"; readonly installationId: number } & Limits)
  /** By a classic token. */
  | { readonly type: "user"; readonly userId: number; readonly scopes: readonly string[] }
  /** By a fine-grained token, which is for one owner's repositories. */
  | ({ readonly type: "fine-grained"; readonly userId: number; readonly ownerId: number } & Limits);

interface Limits {
  readonly permissions: AppPermissions;
  /** `undefined`: all that there are. */
  readonly repositoryIds: ReadonlySet<number> | undefined;
}

/** Why somebody is nobody. */
export interface Unauthenticated {
  readonly type: "refused";
  readonly status: 401 | 403;
  readonly message: string;
}

interface Token {
  readonly viewer: Viewer;
  readonly expiresAt: number;
}

const HOUR_MS = 3_600_000;
/** "The time must be no more than 10 minutes into the future." */
const LONGEST_ASSERTION_S = 600;

export class Tokens {
  readonly #tokens = new Map<string, Token>();

  /** Makes a classic personal access token. */
  addClassic(userId: number, scopes: readonly string[], expiresAt = Number.POSITIVE_INFINITY): string {
    return this.#add("ghp_", { viewer: { type: "user", userId, scopes }, expiresAt });
  }

  addFineGrained(grant: { readonly userId: number; readonly ownerId: number } & Limits): string {
    const viewer: Viewer = { type: "fine-grained", ...grant };
    return this.#add("github_pat_", { viewer, expiresAt: Number.POSITIVE_INFINITY });
  }

  /** Makes a token of an installation, good for an hour. */
  addInstallation(
    grant: { readonly installationId: number } & Limits,
    now: number,
  ): { readonly token: string; readonly expiresAt: number } {
    const expiresAt = now + HOUR_MS;
    return { token: this.#add("ghs_", { viewer: { type: "installation", ...grant }, expiresAt }), expiresAt };
  }

  revoke(token: string): void {
    this.#tokens.delete(token);
  }

  /** Reads an `Authorization` header. */
  identify(header: string | undefined, world: World): Viewer | Unauthenticated {
    if (header === undefined) return { type: "anonymous" };
    const [, scheme = "", credential = ""] = /^(\S+)\s+(.+)$/.exec(header) ?? [];
    if (/^basic$/i.test(scheme)) {
      const text = Buffer.from(credential, "base64").toString();
      return this.identifyToken(text.slice(text.indexOf(":") + 1), world);
    }
    if (!/^(bearer|token)$/i.test(scheme)) return BAD_CREDENTIALS;
    // GitHub takes assertions as Bearer only.
    if (credential.split(".").length === 3) {
      return /^bearer$/i.test(scheme) ? identifyApp(credential, world) : BAD_CREDENTIALS;
    }
    return this.identifyToken(credential, world);
  }

  identifyToken(text: string, world: World): Viewer | Unauthenticated {
    const token = this.#tokens.get(text);
    if (token === undefined || token.expiresAt <= world.now()) return BAD_CREDENTIALS;
    const { viewer } = token;
    if (viewer.type === "installation") {
      const installation = world.entities.installations.get(viewer.installationId);
      if (installation === undefined) return BAD_CREDENTIALS;
      if (installation.suspendedAt !== undefined) return refuse(403, "This installation has been suspended");
    }
    if (viewer.type === "user" || viewer.type === "fine-grained") {
      const user = world.owners.get(viewer.userId);
      if (user?.type !== "User") return BAD_CREDENTIALS;
      if (user.isSuspended) return refuse(403, "Sorry. Your account was suspended.");
    }
    return viewer;
  }

  #add(prefix: string, token: Token): string {
    const text = prefix + randomBytes(20).toString("hex").slice(0, 36);
    this.#tokens.set(text, token);
    return text;
  }
}

/** Names a viewer in logs, and as whom requests are counted. */
export function nameOfViewer(viewer: Viewer): string {
  switch (viewer.type) {
    case "anonymous":
      return "anonymous";
    case "app":
      return `app:${viewer.appId}`;
    case "installation":
      return `installation:${viewer.installationId}`;
    case "user":
    case "fine-grained":
      return `user:${viewer.userId}`;
  }
}

/** Tells credentials apart without keeping them: answers are cached for each by itself. */
export function printOfCredential(header: string | undefined): string {
  return createHash("sha256")
    .update(header ?? "")
    .digest("hex");
}

function identifyApp(assertion: string, world: World): Viewer | Unauthenticated {
  const [head = "", payload = "", signature = ""] = assertion.split(".");
  const header = parseJson(fromBase64Url(head).toString());
  const claims = parseJson(fromBase64Url(payload).toString());
  const issuer = String(valueAt(claims, "iss"));
  const app = [...world.entities.apps.values()].find(
    ({ id, clientId }) => issuer === String(id) || issuer === clientId,
  );
  if (valueAt(header, "alg") !== "RS256") return refuse(401, "A JSON web token could not be decoded");
  if (app === undefined) return refuse(401, "Integration not found");
  if (!isSigned(app, `${head}.${payload}`, signature)) return refuse(401, "A JSON web token could not be decoded");
  const now = Math.floor(world.now() / 1_000);
  const [iat, exp] = [valueAt(claims, "iat"), valueAt(claims, "exp")];
  if (typeof iat !== "number" || !Number.isInteger(iat) || iat > now) {
    return refuse(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
  if (typeof exp !== "number" || exp <= now) {
    return refuse(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if (exp > now + LONGEST_ASSERTION_S) return refuse(401, "'Expiration time' claim ('exp') is too far in the future");
  return { type: "app", appId: app.id };
}

function isSigned(app: App, text: string, signature: string): boolean {
  return verify("RSA-SHA256", Buffer.from(text), app.publicKey, fromBase64Url(signature));
}

function fromBase64Url(text: string): Buffer {
  return Buffer.from(text, "base64url");
}

const BAD_CREDENTIALS: Unauthenticated = refuse(401, "Bad credentials");

function refuse(status: 401 | 403, message: string): Unauthenticated {
  return { type: "refused", status, message };
}
