/**
 * What a token may do, for `slip check --online`.
 *
 * @module
 */
import { z } from "zod";
import type { Finding } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";

/** Classic scopes that do, the least first: "Scopes for OAuth apps". */
const NEEDED: readonly { readonly scope: string; readonly within: readonly string[]; readonly what: string }[] = [
  { scope: "repo", within: [], what: "see private repositories and who collaborates on them" },
  { scope: "read:org", within: ["write:org", "admin:org"], what: "see who collaborates by way of an organization" },
];

/** @throws {Fault} `forge.refused` when the token is not accepted at all */
export async function inspectToken(http: ForgeHttp, signal: AbortSignal): Promise<readonly Finding[]> {
  const schema = z.object({ login: z.string() });
  const self = await http.get("/user", schema, { priority: "login", signal, isUnconditional: true });
  if (self.status === "absent") return [{ isGood: false, text: "GitHub shows no account to the token" }];
  const accepted = { isGood: true, text: `the token is accepted as ${self.value.login}` };
  // Only classic tokens have it; what a fine-grained one may do is found out by doing it.
  const header = self.headers.get("x-oauth-scopes");
  return header === null ? [accepted] : [accepted, ...inspectScopes(header)];
}

function inspectScopes(header: string): Finding[] {
  const scopes = new Set(header.split(",").map((scope) => scope.trim()));
  return NEEDED.map(({ scope, within, what }) => {
    const has = [scope, ...within].find((candidate) => scopes.has(candidate));
    if (has !== undefined) return { isGood: true, text: `the token has the scope ${has}` };
    return { isGood: false, text: `the token needs the scope ${scope} to ${what}` };
  });
}
