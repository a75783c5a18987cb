/**
 * The API of GitHub Apps, their installations and tokens, and of limits.
 *
 * @module
 */
import { isList, isObject, valueAt } from "../lib/json.ts";
import {
  notFound,
  organizationOf,
  Refusal,
  replyList,
  repositoryOf,
  userOf,
  type Call,
  type Handlers,
  type Reply,
} from "./call.ts";
import type { App, AppPermissions, Installation, Repository } from "./entities.ts";
import { writeRepository } from "./repository-shapes.ts";
import { isoTime, writeApp, writeInstallation } from "./shapes.ts";

export const appHandlers: Handlers = {
  "get /app": (call) => ({ status: 200, value: writeApp(appOf(call), call.world, call.addresses) }),
  "get /app/installations": (call) => {
    const app = appOf(call);
    return replyList(call, {
      all: [...call.world.entities.installations.values()].filter(({ appId }) => appId === app.id),
      write: (installation) => writeInstallation(installation, call.world, call.addresses),
      path: "/app/installations",
    });
  },
  "get /app/installations/{installation_id}": (call) => replyInstallation(call, installationOf(call)),
  "post /app/installations/{installation_id}/access_tokens": makeToken,
  "delete /installation/token": ({ viewer, tokens, authorization = "" }) => {
    if (viewer.type !== "installation") throw new Refusal(403, "Resource not accessible by personal access token");
    tokens.revoke(authorization.replace(/^\S+\s+/, ""));
    return { status: 204 };
  },
  "get /orgs/{org}/installation": (call) => {
    const app = appOf(call);
    return replyInstallation(call, installedOn(call, app, organizationOf(call).id));
  },
  "get /users/{username}/installation": (call) => {
    const app = appOf(call);
    return replyInstallation(call, installedOn(call, app, userOf(call).id));
  },
  "get /repos/{owner}/{repo}/installation": (call) => {
    const app = appOf(call);
    const named = call.world.findRepository(`${call.params["owner"] ?? ""}/${call.params["repo"] ?? ""}`);
    const repository = named ?? repositoryOf(call);
    const found = installedOn(call, app, repository.ownerId);
    if (found?.repositoryIds?.has(repository.id) === false) throw notFound();
    return replyInstallation(call, found);
  },
  "get /rate_limit": ({ limits, asker }) => {
    const rate = limits.ration(asker);
    const other = { limit: 30, used: 0, remaining: 30, reset: rate.reset };
    return { status: 200, value: { resources: { core: rate, search: other, graphql: rate }, rate } };
  },
  "get /meta": () => ({ status: 200, value: { verifiable_password_authentication: false } }),
};

/** "A JSON web token could not be decoded" is what GitHub says to every other kind of credential. */
function appOf({ viewer, world }: Call): App {
  const app = viewer.type === "app" ? world.entities.apps.get(viewer.appId) : undefined;
  if (app === undefined) throw new Refusal(401, "A JSON web token could not be decoded");
  return app;
}

function installationOf(call: Call): Installation {
  const app = appOf(call);
  const found = call.world.entities.installations.get(Number(call.params["installation_id"]));
  if (found?.appId !== app.id) throw notFound();
  return found;
}

function installedOn({ world }: Call, app: App, accountId: number): Installation | undefined {
  const all = [...world.entities.installations.values()];
  return all.find((installation) => installation.appId === app.id && installation.accountId === accountId);
}

function replyInstallation({ world, addresses }: Call, installation: Installation | undefined): Reply {
  if (installation === undefined) throw notFound();
  return { status: 200, value: writeInstallation(installation, world, addresses) };
}

function makeToken(call: Call): Reply {
  const { world, tokens, body, addresses } = call;
  const installation = installationOf(call);
  if (installation.suspendedAt !== undefined) throw new Refusal(403, "This installation has been suspended");
  const permissions = askedPermissions(installation, valueAt(body, "permissions"));
  const repositories = askedRepositories(call, installation);
  const repositoryIds = repositories && new Set(repositories.map(({ id }) => id));
  const made = tokens.addInstallation({ installationId: installation.id, permissions, repositoryIds }, world.now());
  const isSelected = repositories !== undefined || installation.repositoryIds !== undefined;
  return {
    status: 201,
    value: {
      ...{ token: made.token, expires_at: isoTime(made.expiresAt), permissions },
      repository_selection: isSelected ? "selected" : "all",
      ...(repositories !== undefined && {
        repositories: repositories.map((repository) => writeRepository(repository, world, { addresses })),
      }),
    },
  };
}

function askedPermissions(installation: Installation, asked: unknown): AppPermissions {
  if (!isObject(asked) || Object.keys(asked).length === 0) return installation.permissions;
  const given = installation.permissions;
  const permissions: Record<string, "read" | "write"> = { metadata: "read" };
  for (const [name, level] of Object.entries(asked)) {
    const isGiven = given[name] !== undefined && (level === "read" || given[name] !== "read");
    if ((level !== "read" && level !== "write") || !isGiven) {
      throw new Refusal(422, "The permissions requested are not granted to this installation.");
    }
    permissions[name] = level;
  }
  return permissions;
}

function askedRepositories({ world, body }: Call, installation: Installation): Repository[] | undefined {
  const [ids, names] = [valueAt(body, "repository_ids"), valueAt(body, "repositories")];
  if (!isList(ids) && !isList(names)) return undefined;
  const all = world.repositoriesOf(installation.accountId);
  const may = all.filter(({ id }) => installation.repositoryIds?.has(id) ?? true);
  const asked = [...(isList(ids) ? ids : []), ...(isList(names) ? names : [])];
  return asked.map((wanted) => {
    const found = may.find(({ id, name }) => id === wanted || name === wanted);
    if (found !== undefined) return found;
    throw new Refusal(
      422,
      "There is at least one repository that does not exist or is not accessible to the parent installation.",
    );
  });
}
