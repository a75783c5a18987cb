/**
 * Who has which role in a repository. Used by `github.ts`.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { Collaborator as Entry, ForgeRepository, ForgeRole } from "../../wire/forge.ts";
import type { AccountName, Answer, Ask } from "../forge-client.ts";
import type { HttpAnswer } from "../http/forge-http.ts";
import type { HttpAsk } from "../http/sender.ts";
import { pathOf } from "../http/path.ts";
import type { Accounts } from "./accounts.ts";
import { type Credential, isSameName } from "./credential.ts";
import type { Place, Repositories } from "./repositories.ts";
import { type GivenRole, roleOf } from "./role-of.ts";
import { Collaborator, Permission } from "./shapes.ts";

export class Roles {
  readonly #credential: Credential;
  readonly #repositories: Repositories;
  readonly #accounts: Accounts;

  constructor(credential: Credential, repositories: Repositories, accounts: Accounts) {
    this.#credential = credential;
    this.#repositories = repositories;
    this.#accounts = accounts;
  }

  async list(repository: ForgeRepository, ask: Ask): Promise<Answer<readonly Entry[] | undefined>> {
    const answer = await this.#at(repository, ask, ({ owner, name }, way) => {
      const path = pathOf`/repos/${owner}/${name}/collaborators?affiliation=all&per_page=100`;
      return this.#credential.http.list(path, Collaborator, way);
    });
    const { askedAt, source } = answer;
    if (answer.status === "gone") return { value: undefined, askedAt, source };
    if (answer.status === "ok") return { value: answer.value.map((raw) => entryOf(raw, source)), askedAt, source };
    const { value: now } = await this.#repositories.read(repository, ask);
    if (now === undefined) return { value: undefined, askedAt, source };
    throw new Fault("forge.refused", `Cannot ask ${source}: the repository is shown to us, its collaborators are not`);
  }

  /**
   * One account's role. The name in the path may be somebody else's by now, so the answer counts only with the right
   * number; and since `read` is answered for everybody on a public repository, it counts only for a collaborator.
   */
  async read(repository: ForgeRepository, account: AccountName, ask: Ask): Promise<Answer<ForgeRole>> {
    const first = await this.#readNamed(repository, account, ask);
    if (first.value !== undefined) return { ...first, value: first.value };
    // Nobody, or somebody else, has the name that we know.
    const now = await this.#accounts.read(account.id, ask);
    const { askedAt } = first;
    const source = `${first.source}, ${now.source}`;
    // Asked by the right name, and answered with nobody or with another number: that name has no right.
    if (now.value === undefined || isSameName(now.value.login, account.login))
      return { value: "none", askedAt, source };
    const renamed = await this.#readNamed(repository, { id: account.id, login: now.value.login }, ask);
    return { value: renamed.value ?? "none", askedAt, source: `${source}, ${renamed.source}` };
  }

  /** `undefined`: the name is not this account's. */
  async #readNamed(
    repository: ForgeRepository,
    { id, login }: AccountName,
    ask: Ask,
  ): Promise<Answer<ForgeRole | undefined>> {
    const { http } = this.#credential;
    const answer = await this.#at(repository, ask, ({ owner, name }, way) =>
      http.get(pathOf`/repos/${owner}/${name}/collaborators/${login}/permission`, Permission, way),
    );
    const { askedAt, source } = answer;
    if (answer.status === "gone") return { value: "none", askedAt, source };
    if (answer.status === "absent" || String(answer.value.user?.id) !== id)
      return { value: undefined, askedAt, source };
    const role = known(roleOf({ ...answer.value, permissions: answer.value.user?.permissions }), source);
    if (role !== "read") return { value: role, askedAt, source };
    const member = await this.#at(repository, ask, ({ owner, name }, way) =>
      http.get(pathOf`/repos/${owner}/${name}/collaborators/${login}`, z.null(), way),
    );
    return { value: member.status === "ok" ? "read" : "none", askedAt, source: `${source}, ${member.source}` };
  }

  /**
   * Asks about a repository by its name, while making sure that the name is still its own; if not, asks again by the
   * one that is. To be refused is a reason to look closer: it may have been given to somebody who lets us see less.
   */
  async #at<Value>(
    repository: ForgeRepository,
    ask: Ask,
    question: Question<Value>,
  ): Promise<HttpAnswer<Value> | Gone> {
    const asked = this.#askAt(repository, ask, question);
    asked.catch(() => undefined); // what is answered to a name that is another's by now does not matter
    let now = await this.#repositories.place(repository, ask);
    if (now.value !== undefined && isSamePlace(now.value, repository)) {
      try {
        return await asked;
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== "forge.refused") throw error;
        now = await this.#repositories.read(repository, ask);
        if (now.value !== undefined && isSamePlace(now.value, repository)) throw error;
      }
    }
    if (now.value !== undefined) return await this.#askAt(now.value, ask, question);
    return { status: "gone", askedAt: now.askedAt, source: now.source };
  }

  async #askAt<Value>(place: Place, ask: Ask, question: Question<Value>): Promise<HttpAnswer<Value> | Gone> {
    const way = await this.#credential.wayTo(place.owner, ask);
    return way.status === "absent" ? { ...way, status: "gone" } : await question(place, way.ask);
  }
}

type Question<Value> = (place: Place, ask: HttpAsk) => Promise<HttpAnswer<Value>>;

/** The repository is. */
interface Gone {
  readonly status: "gone";
  readonly askedAt: number;
  readonly source: string;
}

function isSamePlace(one: Place, other: Place): boolean {
  return isSameName(one.owner, other.owner) && isSameName(one.name, other.name);
}

function entryOf(raw: GivenRole & { readonly id: number; readonly login: string }, source: string): Entry {
  return { id: String(raw.id), login: raw.login, role: known(roleOf(raw), source) };
}

function known(role: ForgeRole | undefined, source: string): ForgeRole {
  if (role !== undefined) return role;
  throw new Fault("forge.unreached", `Cannot ask ${source}: the answer names a role and not what it may do`);
}
