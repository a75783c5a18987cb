/**
 * GitHub Apps of a made-up GitHub: registered, installed on accounts, given and denied repositories.
 *
 * @module
 */
import { generateKeyPairSync } from "node:crypto";
import type { App, AppPermissions, Installation } from "./entities.ts";
import type { World } from "./world.ts";

/** What Slipway needs of an App, and the webhooks that go with it. */
const USUAL_PERMISSIONS: AppPermissions = { metadata: "read", contents: "write", members: "read" };
const USUAL_EVENTS = ["member", "membership", "team", "team_add", "organization", "repository", "push"];

export interface AppSpec {
  readonly slug?: string;
  readonly ownerLogin: string;
  readonly permissions?: AppPermissions;
  readonly events?: readonly string[];
}

/** One pair of keys for all Apps of a process: making an RSA key takes some 100 ms. */
let pair: { readonly privateKey: string; readonly publicKey: string } | undefined;

export function registerApp(world: World, spec: AppSpec): App {
  const owner = world.findOwner(spec.ownerLogin);
  if (owner === undefined) throw new Error(`Cannot register an App: there is no account "${spec.ownerLogin}"`);
  const app: App = {
    ...{ id: world.nextId("app"), slug: spec.slug ?? "slipway", clientId: `Iv23li${owner.id}`, ownerId: owner.id },
    ...{ permissions: spec.permissions ?? USUAL_PERMISSIONS, events: spec.events ?? USUAL_EVENTS },
    ...{ ...(pair ??= makePair()), createdAt: world.now() },
  };
  world.entities.apps.set(app.id, app);
  return app;
}

export interface InstallSpec {
  readonly app: App;
  readonly on: string;
  /** Names of repositories of the account; all, also later ones, without it. */
  readonly repositories?: readonly string[];
  /** @default those of the App */
  readonly permissions?: AppPermissions;
}

export function installApp(world: World, { app, on, repositories, permissions }: InstallSpec): Installation {
  const account = world.findOwner(on);
  if (account === undefined) throw new Error(`Cannot install the App: there is no account "${on}"`);
  const installation: Installation = {
    ...{
      id: world.nextId("installation"),
      appId: app.id,
      accountId: account.id,
      permissions: permissions ?? app.permissions,
    },
    repositoryIds: repositories && new Set(repositories.map((name) => world.repository(`${on}/${name}`).id)),
    ...{ suspendedAt: undefined, createdAt: world.now() },
  };
  world.entities.installations.set(installation.id, installation);
  world.tell({ name: "installation", action: "created", installation });
  return installation;
}

export function uninstallApp(world: World, installation: Installation): void {
  world.tell({ name: "installation", action: "deleted", installation });
  world.entities.installations.delete(installation.id);
}

export function suspendInstallation(world: World, installation: Installation, isSuspended = true): void {
  installation.suspendedAt = isSuspended ? world.now() : undefined;
  world.tell({ name: "installation", action: isSuspended ? "suspend" : "unsuspend", installation });
}

export function setInstalledPermissions(world: World, installation: Installation, permissions: AppPermissions): void {
  installation.permissions = permissions;
  world.tell({ name: "installation", action: "new_permissions_accepted", installation });
}

/** Adds a repository to those that an installation was given one by one, or takes it away. */
export function setInstalled(
  world: World,
  installation: Installation,
  { fullName, isInstalled }: { readonly fullName: string; readonly isInstalled: boolean },
): void {
  const repository = world.repository(fullName);
  installation.repositoryIds ??= new Set(world.repositoriesOf(installation.accountId).map(({ id }) => id));
  if (isInstalled) installation.repositoryIds.add(repository.id);
  else installation.repositoryIds.delete(repository.id);
  const action = isInstalled ? "added" : "removed";
  world.tell({ name: "installation_repositories", action, installation, repositories: [repository] });
}

function makePair(): { readonly privateKey: string; readonly publicKey: string } {
  return generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
}
