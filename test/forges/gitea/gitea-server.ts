/**
 * A Gitea, or a Forgejo, for tests: the part of its REST API that access rests on, over HTTP on loopback, told of a world
 * that tests drive. Every answer and every webhook is held against the published shapes before it is sent.
 *
 * @module
 */
import { createHmac, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../src/base/clock.ts";
import { Courier, type Signature } from "../lib/courier.ts";
import { type ForgeServer, openForgeServer } from "../lib/forge-server.ts";
import type { GitAsk, GitRuling } from "../lib/git-backend.ts";
import { type Branches, fillGitFolder, makeGitFolder } from "../lib/git-folder.ts";
import { GiteaAnswers, templateOf } from "./answers.ts";
import { ownerBody, repositoryBody } from "./bodies.ts";
import * as documented from "./documented.ts";
import { maySeeCode } from "./permissions.ts";
import type { GiteaWorld, HookEvent, WorldRepository } from "./world.ts";

/** Forgejo sends its own headers beside those of Gitea: services/webhook/shared/payloader.go in forgejo. */
export type Flavor = "gitea" | "forgejo";

export class GiteaServer implements AsyncDisposable {
  readonly world: GiteaWorld;
  /** Brings the webhooks. */
  readonly courier: Courier;
  /** Ports, troubles and the log of requests. */
  readonly http: ForgeServer;
  readonly #answers: GiteaAnswers;

  private constructor(http: ForgeServer, { world, courier, answers }: Parts) {
    this.http = http;
    this.world = world;
    this.courier = courier;
    this.#answers = answers;
  }

  static async open(world: GiteaWorld, clock: Clock): Promise<GiteaServer> {
    const answers = new GiteaAnswers(world);
    const courier = new Courier(clock);
    const http: ForgeServer = await openForgeServer({
      clock,
      templateOf,
      answer: (request, isStale) => answers.answer(request, isStale),
      remember: () => answers.remember(),
      git: { rule: (ask) => rule(ask, world, http.folder) },
    });
    answers.origin = http.origin;
    return new GiteaServer(http, { world, courier, answers });
  }

  get url(): string {
    return this.http.origin;
  }

  get apiUrl(): string {
    return `${this.http.origin}/api/v1`;
  }

  /** The most entries on one page, whatever is asked for. */
  set maxItems(count: number) {
    this.#answers.maxItems = count;
  }

  /** Gives a repository these branches. */
  async fill(repository: WorldRepository, branches: Branches): Promise<void> {
    const folder = folderOf(this.http.folder, repository.id);
    await makeGitFolder(folder, "main");
    await fillGitFolder(folder, branches);
  }

  /** Sends each event of the world from now on. @returns a function that stops it */
  sendHooksTo(url: string, secret: string, flavor: Flavor = "gitea"): () => void {
    return this.world.onEvent((event) => {
      const { headers, body } = this.hookOf(event, secret, flavor);
      const wrong = this.hookOf(event, `${secret}?`, flavor).headers;
      const absent = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.includes("signature")));
      const signed: Readonly<Record<Signature, Readonly<Record<string, string>>>> = { good: headers, wrong, absent };
      const id = headers["x-gitea-delivery"] ?? "";
      const name = `repository.${event.action}`;
      this.courier.send({ id, event: name, url, body: body.toString(), headers: (signature) => signed[signature] });
    });
  }

  /** Makes the request that is sent for an event: services/webhook/deliver.go. */
  hookOf(
    { action, repository }: HookEvent,
    secret: string,
    flavor: Flavor,
  ): { headers: Record<string, string>; body: Buffer } {
    const origin = this.http.origin;
    const payload = documented.RepositoryPayload.parse({
      action,
      repository: repositoryBody(repository, { world: this.world, asker: undefined, origin }),
      organization: ownerBody(this.world, repository, undefined, origin),
      sender: ownerBody(this.world, repository, undefined, origin),
    });
    const body = Buffer.from(JSON.stringify(payload, undefined, 2));
    const signature = createHmac("sha256", secret).update(body).digest("hex");
    const id = randomUUID();
    const brands = flavor === "forgejo" ? ["forgejo", "gitea", "gogs"] : ["gitea", "gogs"];
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "x-hub-signature-256": `sha256=${signature}`,
    };
    for (const brand of brands) {
      headers[`x-${brand}-delivery`] = id;
      headers[`x-${brand}-event`] = "repository";
      headers[`x-${brand}-event-type`] = "repository";
      headers[`x-${brand}-signature`] = signature;
    }
    return { headers, body };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.courier.close();
    await this.http[Symbol.asyncDispose]();
  }
}

interface Parts {
  readonly world: GiteaWorld;
  readonly courier: Courier;
  readonly answers: GiteaAnswers;
}

/** A token is the password, or the name beside no password: services/auth/basic.go. */
function rule({ repository, username, password, wants }: GitAsk, world: GiteaWorld, folder: string): GitRuling {
  const isNamed = password === "" || password === "x-oauth-basic";
  const token = world.tokens.get((isNamed ? username : password) ?? "");
  const user = world.users.get(token?.userId ?? 0);
  if (token === undefined || user === undefined) return { type: "refuse", status: 401, text: "Unauthorized" };
  const scopes = wants === "push" ? ["all", "write:repository"] : ["all", "write:repository", "read:repository"];
  if (!token.scopes.some((scope) => scopes.includes(scope))) return { type: "refuse", status: 403, text: "Forbidden" };
  const found = [...world.repositories.values()].find(
    (one) => world.pathOf(one).toLowerCase() === repository.toLowerCase(),
  );
  const at = folderOf(folder, found?.id ?? 0);
  if (found === undefined || !existsSync(at) || !maySeeCode(world, found, user)) {
    return { type: "refuse", status: 404, text: "Not found" };
  }
  return { type: "serve", folder: at, asker: user.login };
}

function folderOf(folder: string, id: number): string {
  return join(folder, `${id}.git`);
}
