/**
 * Who gets which webhook: an App for the accounts that it is installed on, an organisation's or a repository's own hooks;
 * and how they are signed.
 *
 * Source: docs.github.com, "Webhook events and payloads", "Validating webhook deliveries".
 *
 * @module
 */
import { createHmac, randomUUID } from "node:crypto";
import type { Courier, Parcel } from "../lib/courier.ts";
import type { Description } from "../lib/description.ts";
import type { AppPermissions, Installation } from "./entities.ts";
import { writeInstallationName, writePayloads, type Payload } from "./payloads.ts";
import type { Addresses, Shape } from "./shapes.ts";
import type { WorldEvent } from "./world-event.ts";
import type { World } from "./world.ts";

export interface HookSpec {
  readonly url: string;
  readonly secret: string;
  /** `app`: the App's own; else the name of an organisation, or of a repository as `owner/name`. */
  readonly of: "app" | (string & {});
}

interface Hook extends HookSpec {
  readonly id: number;
}

/** Without it an App is not told of the event. */
const NEEDED: Readonly<Record<string, string>> = { membership: "members", organization: "members", team: "members" };
/** Every App gets these, asked for or not. */
const ALWAYS = new Set(["installation", "installation_repositories", "installation_target"]);

export interface HooksOptions {
  readonly courier: Courier;
  readonly description: Description;
  /** The App whose hooks they are. */
  appId(): number | undefined;
  addresses(): Addresses;
  violate(text: string): void;
}

export class Hooks {
  readonly #options: HooksOptions;
  readonly #hooks: Hook[] = [];
  readonly #sent = new Map<string, Parcel>();

  constructor(options: HooksOptions) {
    this.#options = options;
  }

  add(spec: HookSpec): void {
    this.#hooks.push({ ...spec, id: this.#hooks.length + 1 });
  }

  /** Sends what GitHub would for an event. */
  tell(event: WorldEvent, world: World): void {
    if (this.#hooks.length === 0) return;
    for (const payload of writePayloads(event, world, this.#options.addresses())) {
      for (const hook of this.#hooks) this.#tellHook(hook, payload, world, event);
    }
  }

  /** Sends any event at all to every hook. */
  send(event: string, body: Shape): void {
    const action = typeof body["action"] === "string" ? body["action"] : undefined;
    for (const hook of this.#hooks) this.#post(hook, { event, action, body });
  }

  /** Sends a delivery again, with the id that it had. */
  redeliver(id: string): void {
    const parcel = this.#sent.get(id);
    if (parcel === undefined) throw new Error(`Cannot redeliver "${id}": there was no such delivery`);
    this.#options.courier.send(parcel);
  }

  #tellHook(hook: Hook, payload: Payload, world: World, event: WorldEvent): void {
    if (hook.of !== "app") {
      const owner = world.owners.get(payload.accountId);
      const repository = payload.repositoryId === undefined ? undefined : world.repositories.get(payload.repositoryId);
      const names = [owner?.login, repository && world.fullName(repository)].map((name) => name?.toLowerCase());
      if (names.includes(hook.of.toLowerCase()) && !ALWAYS.has(payload.event)) this.#postChecked(hook, payload);
      return;
    }
    const about =
      event.name === "installation" || event.name === "installation_repositories" ? event.installation : undefined;
    for (const installation of world.entities.installations.values()) {
      if (about !== undefined && about !== installation) continue;
      if (!this.#isFor(installation, payload, world)) continue;
      const body = { installation: writeInstallationName(installation), ...payload.body };
      this.#postChecked(hook, { ...payload, body });
    }
  }

  #isFor(installation: Installation, payload: Payload, world: World): boolean {
    const app = world.entities.apps.get(installation.appId);
    if (app === undefined || app.id !== this.#options.appId() || installation.accountId !== payload.accountId)
      return false;
    if (ALWAYS.has(payload.event)) return true;
    if (installation.suspendedAt !== undefined || !app.events.includes(payload.event)) return false;
    if (!isGiven(installation.permissions, NEEDED[payload.event])) return false;
    return payload.repositoryId === undefined || (installation.repositoryIds?.has(payload.repositoryId) ?? true);
  }

  #postChecked(hook: Hook, payload: Payload): void {
    const complaint = this.#options.description.complaintAboutWebhook(payload.schema, payload.body);
    if (complaint === undefined) this.#post(hook, payload);
    else this.#options.violate(`webhook ${payload.schema}: ${complaint}`);
  }

  #post(hook: Hook, { event, action, body }: Pick<Payload, "event" | "action" | "body">): void {
    const id = randomUUID();
    const text = JSON.stringify(body);
    const parcel: Parcel = {
      ...{ id, event: action === undefined ? event : `${event}.${action}`, url: hook.url, body: text },
      headers: (signature) => ({
        "user-agent": "GitHub-Hookshot/044aadd",
        accept: "*/*",
        "x-github-delivery": id,
        "x-github-event": event,
        "x-github-hook-id": String(hook.id),
        "x-github-hook-installation-target-id": String(this.#options.appId() ?? 0),
        "x-github-hook-installation-target-type":
          hook.of === "app" ? "integration" : hook.of.includes("/") ? "repository" : "organization",
        ...(signature !== "absent" && signaturesOf(text, signature === "good" ? hook.secret : `${hook.secret}?`)),
      }),
    };
    this.#sent.set(id, parcel);
    this.#options.courier.send(parcel);
  }
}

function signaturesOf(text: string, secret: string): Record<string, string> {
  const sign = (algorithm: string): string =>
    `${algorithm}=${createHmac(algorithm, secret).update(text).digest("hex")}`;
  return { "x-hub-signature": sign("sha1"), "x-hub-signature-256": sign("sha256") };
}

function isGiven(permissions: AppPermissions, name: string | undefined): boolean {
  return name === undefined || permissions[name] !== undefined;
}
