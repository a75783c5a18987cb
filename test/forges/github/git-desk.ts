/**
 * Who may clone and push, as GitHub rules it: 404 for what the credential may not see, 403 for what it may not change.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { GitAsk, GitDesk, GitRuling } from "../lib/git-backend.ts";
import { makeGitFolder } from "../lib/git-folder.ts";
import type { Repository } from "./entities.ts";
import { hasPermission, isCovered, maySee, ownPermission } from "./rights.ts";
import { isAtLeast } from "./roles.ts";
import { nameOfViewer, type Tokens, type Viewer } from "./tokens.ts";
import type { World } from "./world.ts";

export interface GitDeskOptions {
  readonly world: World;
  readonly tokens: Tokens;
  /** Where the bare repositories are. */
  folder(): string;
}

/** One git request and how it was ruled. */
export interface GitRequest {
  readonly repository: string;
  readonly wants: GitAsk["wants"];
  readonly asker: string | undefined;
  readonly ruling: GitRuling["type"];
}

export class GithubGit implements GitDesk {
  readonly requests: GitRequest[] = [];
  readonly #options: GitDeskOptions;

  constructor(options: GitDeskOptions) {
    this.#options = options;
  }

  async rule(ask: GitAsk): Promise<GitRuling> {
    const viewer = this.#viewerOf(ask);
    const ruling = viewer === undefined ? unauthorized() : await this.#ruleFor(viewer, ask);
    const asker = viewer === undefined ? undefined : nameOfViewer(viewer);
    this.requests.push({ repository: ask.repository, wants: ask.wants, asker, ruling: ruling.type });
    return ruling;
  }

  /** Makes the bare repository if there is none yet. @returns its folder */
  async folderOf(repository: Repository): Promise<string> {
    const folder = join(this.#options.folder(), "git", `${repository.id}.git`);
    mkdirSync(join(folder, ".."), { recursive: true });
    await makeGitFolder(folder, repository.defaultBranch);
    return folder;
  }

  /** `undefined`: the credential is none. */
  #viewerOf({ username, password }: GitAsk): Viewer | undefined {
    if (username === undefined || password === undefined) return { type: "anonymous" };
    const viewer = this.#options.tokens.identifyToken(password, this.#options.world);
    if (viewer.type === "refused") return undefined;
    // The name that goes with an installation's token: docs.github.com, "Authenticating as a GitHub App installation".
    return viewer.type === "installation" && username !== "x-access-token" ? undefined : viewer;
  }

  async #ruleFor(viewer: Viewer, { repository: name, wants }: GitAsk): Promise<GitRuling> {
    const { world } = this.#options;
    const moved = world.findMoved(name);
    const repository = world.findRepository(name) ?? moved;
    if (repository === undefined || !maySee(world, viewer, repository)) {
      return viewer.type === "anonymous" ? unauthorized() : refuse(404, "Repository not found.");
    }
    if (!this.#may(viewer, repository, wants)) {
      if (viewer.type === "anonymous") return unauthorized();
      return refuse(403, `Write access to repository not granted.`);
    }
    if (wants === "push" && repository.isArchived)
      return refuse(403, "This repository was archived so it is read-only.");
    if (repository === moved) return { type: "moved", repository: world.fullName(repository) };
    return { type: "serve", folder: await this.folderOf(repository), asker: nameOfViewer(viewer) };
  }

  #may(viewer: Viewer, repository: Repository, wants: GitAsk["wants"]): boolean {
    const { world } = this.#options;
    if (wants === "fetch" && !repository.isPrivate) return true;
    const level = wants === "push" ? "write" : "read";
    if (viewer.type === "installation") {
      return isCovered(world, viewer, repository) && hasPermission(viewer, "contents", level);
    }
    if (viewer.type === "fine-grained" && !hasPermission(viewer, "contents", level)) return false;
    return isAtLeast(ownPermission(world, viewer, repository), wants === "push" ? "push" : "pull");
  }
}

function unauthorized(): GitRuling {
  return refuse(401, "Invalid username or token. Password authentication is not supported for Git operations.");
}

function refuse(status: 401 | 403 | 404, text: string): GitRuling {
  return { type: "refuse", status, text };
}
