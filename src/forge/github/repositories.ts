/**
 * Which repositories are connected, and what each is called now. Used by `github.ts` and by `roles.ts`.
 *
 * A repository is its number. Its name may have become another repository's, so an answer to a name counts only when the
 * number in it is the right one.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeRepository } from "../../wire/forge.ts";
import type { Answer, Ask, Priority } from "../forge-client.ts";
import type { HttpAnswer } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { type Credential, isSameName } from "./credential.ts";
import { Repository } from "./shapes.ts";

/** How long a name that was seen to belong to a repository is taken to do so still, by what rests on it. */
const NAME_AGE_MS: Readonly<Record<Priority, number>> = { login: 30_000, live: 30_000, background: 3_600_000 };

export interface RepositoriesOptions {
  readonly settings: ForgeSettings;
  readonly credential: Credential;
  readonly clock: Clock;
}

export type Place = Pick<ForgeRepository, "owner" | "name">;

type Asked = Pick<Answer<unknown>, "askedAt" | "source">;

type Found = HttpAnswer<Repository>;

export class Repositories {
  readonly #settings: ForgeSettings;
  readonly #credential: Credential;
  readonly #clock: Clock;
  /** By number. */
  readonly #seen = new Map<string, Answer<Place>>();

  constructor({ settings, credential, clock }: RepositoriesOptions) {
    this.#settings = settings;
    this.#credential = credential;
    this.#clock = clock;
  }

  async list(ask: Ask): Promise<Answer<readonly ForgeRepository[]>> {
    const { organizations, repositories } = this.#settings;
    const alone = repositories.filter((fullName) => !this.#isConnectedOwner(ownerIn(fullName)));
    const lists = await Promise.all(organizations.map((owner) => this.#credential.listOf(owner, ask)));
    const singles = await Promise.all(alone.map((fullName) => this.#readEntry(fullName, ask)));
    const byId = new Map<string, ForgeRepository>();
    for (const list of lists) {
      if (list.status === "ok") for (const raw of list.value) this.#add(byId, raw, list);
    }
    for (const single of singles) if (single.status === "ok") this.#add(byId, single.value, single);
    const answers = [...lists, ...singles];
    return {
      value: [...byId.values()],
      // Without anything connected nothing was asked.
      askedAt: Math.min(this.#clock.now(), ...answers.map(({ askedAt }) => askedAt)),
      source: [...new Set(answers.map(({ source }) => source))].join(", "),
    };
  }

  async read(repository: ForgeRepository, ask: Ask): Promise<Answer<ForgeRepository | undefined>> {
    const found = await this.#find(repository, ask);
    const { askedAt, source } = found;
    if (found.status === "absent") return { value: undefined, askedAt, source };
    const isConnected = await this.#isConnected(found.value, ask);
    return { value: isConnected ? this.#note(found.value, { askedAt, source }) : undefined, askedAt, source };
  }

  /** The name that the repository has now, from memory where it was seen lately; `undefined` as in `read`. */
  async place(repository: ForgeRepository, ask: Ask): Promise<Answer<Place | undefined>> {
    const seen = this.#seen.get(repository.id);
    const isLate = seen === undefined || this.#clock.now() - seen.askedAt > NAME_AGE_MS[ask.priority];
    return isLate ? await this.read(repository, ask) : seen;
  }

  /** By its name, and by its number where that name is nobody's or another's. */
  async #find({ id, owner, name }: ForgeRepository, ask: Ask): Promise<Found> {
    const named = await this.#readNamed(owner, name, ask);
    if (named.status === "ok" && String(named.value.id) === id) return named;
    const source = `GET /repositories/${id}`;
    for (const lane of await this.#lanes(owner, ask)) {
      // GitHub redirects old names to this path; it shows what is there under whatever name.
      const found = await this.#credential.http.get(pathOf`/repositories/${id}`, Repository, lane);
      if (found.status === "ok" && String(found.value.id) === id) return { ...found, askedAt: named.askedAt };
    }
    return { status: "absent", askedAt: named.askedAt, source: `${named.source}, ${source}`, url: named.url };
  }

  /** Every way to ask that may show a repository which was `owner`'s, each once. */
  async #lanes(owner: string, ask: Ask) {
    const { organizations, repositories } = this.#settings;
    const owners = new Set([owner, ...organizations, ...repositories.map(ownerIn)].map((name) => name.toLowerCase()));
    const ways = await Promise.all([...owners].map((name) => this.#credential.wayTo(name, ask)));
    const asks = ways.flatMap((way) => (way.status === "ok" ? [way.ask] : []));
    return [...new Map(asks.map((lane) => [lane.lane, lane])).values()];
  }

  async #readNamed(owner: string, name: string, ask: Ask): Promise<Found> {
    const way = await this.#credential.wayTo(owner, ask);
    if (way.status === "absent") return { ...way, url: "" };
    return await this.#credential.http.get(pathOf`/repos/${owner}/${name}`, Repository, way.ask);
  }

  /** What a name in the settings leads to. A repository that was given away is not connected any more, one renamed is. */
  async #readEntry(fullName: string, ask: Ask): Promise<Found> {
    const [owner = "", name = ""] = fullName.split("/");
    const found = await this.#readNamed(owner, name, ask);
    if (found.status === "absent") return found;
    const now = found.value.owner.login;
    if (isSameName(now, owner) || this.#isConnectedOwner(now)) return found;
    return { status: "absent", askedAt: found.askedAt, source: found.source, url: found.url };
  }

  async #isConnected({ id, name, owner: { login } }: Repository, ask: Ask): Promise<boolean> {
    if (this.#isConnectedOwner(login)) return true;
    const entries = this.#settings.repositories.filter((entry) => isSameName(ownerIn(entry), login));
    if (entries.some((entry) => isSameName(entry, `${login}/${name}`))) return true;
    for (const entry of entries) {
      const found = await this.#readEntry(entry, ask);
      if (found.status === "ok" && found.value.id === id) return true;
    }
    return false;
  }

  #isConnectedOwner(login: string): boolean {
    return this.#settings.organizations.some((name) => isSameName(name, login));
  }

  #add(byId: Map<string, ForgeRepository>, raw: Repository, asked: Asked): void {
    const repository = this.#note(raw, asked);
    byId.set(repository.id, repository);
  }

  #note(raw: Repository, { askedAt, source }: Asked): ForgeRepository {
    const id = String(raw.id);
    const owner = raw.owner.login;
    this.#seen.set(id, { value: { owner, name: raw.name }, askedAt, source });
    return {
      id,
      owner,
      name: raw.name,
      cloneUrl: this.#cloneUrl(raw.clone_url),
      isPrivate: raw.private,
      isArchived: raw.archived || raw.disabled === true,
    };
  }

  /** Our credentials are sent to this address, so it has to be on the forge that the settings name. */
  #cloneUrl(text: string): string {
    const [url, ours] = [URL.parse(text), URL.parse(this.#settings.url)];
    if (url !== null && url.origin === ours?.origin && url.username === "" && url.password === "") return url.href;
    const why = `GitHub clones from ${url?.origin ?? "no address"}, needs to be ${ours?.origin ?? "an address"} as in the settings`;
    throw new Fault("forge.unreached", `Cannot use a repository of forge ${this.#settings.name}: ${why}`);
  }
}

function ownerIn(fullName: string): string {
  return fullName.split("/")[0] ?? "";
}
