/**
 * What a GitHub App proves itself with: a JWT that its private key signs.
 *
 * Source: docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App".
 *
 * @module
 */
import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import { Fault } from "../../base/fault.ts";

/** GitHub asks to begin 60 s in the past, against clocks that differ, and takes no more than 10 minutes. */
const BEFORE_S = 60;
const LASTS_S = 540;

/** @throws {Fault} `settings.invalid` for what is no private RSA key; the message does not repeat it */
export function readAppKey(forge: string, pem: string): KeyObject {
  const told = `forges.${forge}: the private key of the GitHub App needs to be the PEM file that GitHub made, is something else`;
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === "rsa") return key;
  } catch {
    // What OpenSSL says of it helps nobody, and could show some of it.
  }
  throw new Fault("settings.invalid", `Cannot use ${told}`, { told });
}

/** @param now epoch ms */
export function signAppToken(appId: string, key: KeyObject, now: number): string {
  const second = Math.floor(now / 1_000);
  const claims = { iat: second - BEFORE_S, exp: second + LASTS_S, iss: appId };
  const text = [{ alg: "RS256", typ: "JWT" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${text}.${sign("RSA-SHA256", Buffer.from(text), key).toString("base64url")}`;
}
