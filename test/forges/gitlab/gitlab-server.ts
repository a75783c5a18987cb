/**
 * A GitLab for tests: the part of its REST API that access rests on, over HTTP on loopback, told of a world that tests
 * drive. Every answer and every hook is held against the documented shapes before it is sent.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../src/base/clock.ts";
import { Courier, type Signature } from "../lib/courier.ts";
import { type ForgeServer, openForgeServer } from "../lib/forge-server.ts";
import type { GitAsk, GitRuling } from "../lib/git-backend.ts";
import { type Branches, fillGitFolder, makeGitFolder } from "../lib/git-folder.ts";
import { GitlabAnswers, type RateLimit, templateOf } from "./answers.ts";
import * as documented from "./documented.ts";
import type { GitlabWorld, HookEvent, WorldProject } from "./world.ts";

export class GitlabServer implements AsyncDisposable {
  readonly world: GitlabWorld;
  /** Brings the system hooks. */
  readonly courier: Courier;
  /** Ports, troubles and the log of requests. */
  readonly http: ForgeServer;
  readonly #answers: GitlabAnswers;

  private constructor(http: ForgeServer, { world, courier, answers }: Parts) {
    this.http = http;
    this.world = world;
    this.courier = courier;
    this.#answers = answers;
  }

  static async open(world: GitlabWorld, clock: Clock): Promise<GitlabServer> {
    const answers = new GitlabAnswers(world, clock);
    const courier = new Courier(clock);
    const http: ForgeServer = await openForgeServer({
      clock,
      templateOf,
      answer: (request, isStale) => answers.answer(request, isStale),
      remember: () => answers.remember(),
      git: { rule: (ask) => rule(ask, world, http.folder) },
    });
    answers.origin = http.origin;
    return new GitlabServer(http, { world, courier, answers });
  }

  get url(): string {
    return this.http.origin;
  }

  get apiUrl(): string {
    return `${this.http.origin}/api/v4`;
  }

  set rateLimit(limit: RateLimit | undefined) {
    this.#answers.rateLimit = limit;
  }

  /** Gives a project these branches. */
  async fill(project: WorldProject, branches: Branches): Promise<void> {
    const folder = folderOf(this.http.folder, project.id);
    await makeGitFolder(folder, "main");
    await fillGitFolder(folder, branches);
  }

  /** Sends each event of the world from now on as a system hook. @returns a function that stops it */
  sendHooksTo(url: string, secret: string): () => void {
    return this.world.onEvent((event) => {
      const { headers, body } = hookOf(event, secret);
      const signed: Readonly<Record<Signature, Readonly<Record<string, string>>>> = {
        good: headers,
        wrong: { ...headers, "x-gitlab-token": `${secret}?` },
        absent: { "x-gitlab-event": "System Hook" },
      };
      const name = String(event.body["event_name"]);
      const id = headers["x-gitlab-event-uuid"] ?? "";
      this.courier.send({ id, event: name, url, body: body.toString(), headers: (signature) => signed[signature] });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.courier.close();
    await this.http[Symbol.asyncDispose]();
  }
}

interface Parts {
  readonly world: GitlabWorld;
  readonly courier: Courier;
  readonly answers: GitlabAnswers;
}

/** Makes the request that GitLab sends for an event: doc/user/project/integrations/webhooks.md, "Delivery headers". */
export function hookOf(event: HookEvent, secret: string): { headers: Record<string, string>; body: Buffer } {
  const body = documented.HOOKS[event.shape].parse(event.body);
  return {
    headers: {
      "content-type": "application/json",
      "user-agent": "GitLab/18.2.0",
      "x-gitlab-event": "System Hook",
      "x-gitlab-instance": "https://gitlab.invalid",
      "x-gitlab-webhook-uuid": "02affd2d-2cba-4033-917d-ec22d5dc4b38",
      "x-gitlab-event-uuid": randomUUID(),
      "x-gitlab-token": secret,
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

/** Fetching by a token as the password, whatever the name: doc/user/profile/personal_access_tokens.md. */
function rule({ repository, password, wants }: GitAsk, world: GitlabWorld, folder: string): GitRuling {
  const token = world.tokens.get(password ?? "");
  const wanted = wants === "push" ? ["api", "write_repository"] : ["api", "write_repository", "read_repository"];
  if (token === undefined || token.revoked) return { type: "refuse", status: 401, text: "HTTP Basic: Access denied" };
  if (!token.scopes.some((scope) => wanted.includes(scope))) {
    return { type: "refuse", status: 403, text: "The token lacks a scope" };
  }
  const project = [...world.projects.values()].find((one) => world.pathOf(one) === repository);
  const at = folderOf(folder, project?.id ?? 0);
  if (project === undefined || !existsSync(at)) return { type: "refuse", status: 404, text: "Not found" };
  return { type: "serve", folder: at, asker: world.users.get(token.userId)?.username ?? "?" };
}

function folderOf(folder: string, id: number): string {
  return join(folder, `${id}.git`);
}
