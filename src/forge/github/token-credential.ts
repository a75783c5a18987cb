/**
 * A token of somebody's, classic or fine-grained.
 *
 * @module
 */
import { z } from "zod";
import type { Ask, Finding } from "../forge-client.ts";
import type { ForgeHttp, HttpAnswer } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { type Credential, isSameName } from "./credential.ts";
import { inspectToken } from "./inspect-token.ts";
import { Repository } from "./shapes.ts";

export function makeTokenCredential(http: ForgeHttp, token: string): Credential {
  return {
    http,
    wayTo: async (_owner, ask) => ({ status: "ok", ask }),
    wayToAccount: async (_accountId, ask) => ask,
    listOf: (owner, ask) => listOf(http, owner, ask),
    gitCredential: async () => ({ username: "x-access-token", password: token, expiresAt: undefined }),
    pushCredential: async () => undefined,
    inspect: (signal): Promise<readonly Finding[]> => inspectToken(http, signal),
    forget: () => {},
    forgottenCount: 0,
  };
}

const Whoami = z.object({ login: z.string() });

/** An organisation is asked as one; a user's own private repositories are shown to that user alone, by another path. */
async function listOf(http: ForgeHttp, owner: string, ask: Ask): Promise<HttpAnswer<readonly Repository[]>> {
  const organization = await http.list(pathOf`/orgs/${owner}/repos?type=all&per_page=100`, Repository, ask);
  if (organization.status === "ok") return organization;
  const self = await http.get("/user", Whoami, ask);
  if (self.status === "absent" || !isSameName(self.value.login, owner)) {
    const user = await http.list(pathOf`/users/${owner}/repos?type=owner&per_page=100`, Repository, ask);
    return { ...user, askedAt: organization.askedAt };
  }
  const own = await http.list("/user/repos?affiliation=owner&per_page=100", Repository, ask);
  return { ...own, askedAt: organization.askedAt };
}
