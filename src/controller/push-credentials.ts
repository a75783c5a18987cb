/**
 * Answers git inside an environment that asks for a credential (git-credential(1)): with a short-lived token for the
 * repository of that environment alone, while its person may push to it.
 *
 * Called by `opening.ts` as soon as anything runs inside. What calls is hostile, and none of it chooses what is handed
 * out: it only has to ask for the one thing there is. Tokens are kept in memory and never logged.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { Fault, toldOf } from "../base/fault.ts";
import type { GitCredential } from "../forge/forge-client.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import type { Repository } from "../wire/repository.ts";
import type { Context } from "./context.ts";
import { type CredentialQuestion, makeCredentialAnswer, readCredentialQuestion } from "./credential-words.ts";
import { guardToken } from "./guard-token.ts";
import { plainLine } from "./lines.ts";
import { readCall } from "./read-call.ts";

/** A token is handed out again while it lasts this much longer (guess: git uses it at once). */
const LASTS_MS = 5 * 60_000;

/** How long a forge that failed to make a token is not asked again for the same environment (guess). */
const PAUSE_MS = 10_000;

/** Calls of one environment in a minute; those beyond get no answer, and no line in the log (guess: git asks once a push). */
const CALLS_A_MINUTE = 60;

/** Where a person pushes by token; `undefined` where they do it with keys of their own. */
export function tokenUrlOf(
  { directory, pushCredential }: Pick<Context, "directory" | "pushCredential">,
  repository: string,
): URL | undefined {
  return pushCredential === undefined ? undefined : tokenUrl(directory.repository(repository));
}

/** The same of a repository whose forge is there to make tokens. */
export function tokenUrl(repository: Repository | undefined): URL | undefined {
  if (repository?.canPushByToken !== true) return undefined;
  const url = URL.parse(repository.url);
  return url?.protocol === "https:" ? url : undefined;
}

/**
 * Answers the calls of an environment that runs, where there is anything to answer, until it is closed. Never rejects:
 * without it everything but pushing works.
 */
export async function takeCalls(
  context: Context,
  record: EnvironmentRecord,
): Promise<{ close(): Promise<void> } | undefined> {
  if (tokenUrlOf(context, record.repository) === undefined) return undefined;
  const desk = new CredentialDesk(context, record);
  try {
    return await context.runtime.listen(record.id, (stream) => void desk.take(stream));
  } catch (error) {
    context.log.error("push.unheard", error, { environment: record.id });
    return undefined;
  }
}

/** Answers one environment, one call after another. */
class CredentialDesk {
  readonly #context: Context;
  readonly #record: EnvironmentRecord;
  /** Ends when the calls so far are answered; never rejects. */
  #before: Promise<void> = Promise.resolve();
  #held: GitCredential | undefined;
  #failed: { readonly error: unknown; readonly until: number } | undefined;
  #minute = { endsAt: 0, callCount: 0 };

  constructor(context: Context, record: EnvironmentRecord) {
    this.#context = context;
    this.#record = record;
  }

  /** Answers a call, or hangs up. Never rejects. */
  async take(stream: Duplex): Promise<void> {
    const gone = new AbortController();
    stream.on("error", () => undefined);
    stream.once("close", () => gone.abort());
    const question = readCredentialQuestion((await readCall(stream)) ?? "");
    if (question === undefined || this.#isTooOften()) {
      stream.destroy();
      return;
    }
    const answering = this.#before.then(() => this.#answer(question, gone.signal));
    this.#before = answering.then(() => undefined);
    const answer = await answering;
    stream.end(answer, () => stream.destroy());
  }

  /** @returns "" for no answer. Never rejects. */
  async #answer(question: CredentialQuestion, signal: AbortSignal): Promise<string> {
    try {
      signal.throwIfAborted();
      return await this.#decide(question, signal);
    } catch (error) {
      if (signal.aborted) return "";
      const facts = this.#facts();
      if (error instanceof Fault) this.#context.log.warn("push.refused", { ...facts, reason: error.message });
      else this.#context.log.error("push.failed", error, facts);
      return this.#tell(toldOf(error));
    }
  }

  async #decide(question: CredentialQuestion, signal: AbortSignal): Promise<string> {
    const { directory, log } = this.#context;
    const { person, repository } = this.#record;
    const url = tokenUrlOf(this.#context, repository);
    if (url === undefined || !isAbout(question, url)) {
      // Nothing is said: git may well get what it wants elsewhere, as for another repository of the same host.
      const what = url === undefined ? "one that its forge makes tokens for" : "the repository of the environment";
      log.info("push.refused", { ...this.#facts(), reason: `it is not about ${what}` });
      return "";
    }
    const refuse = (told: string): string => {
      this.#held = undefined;
      log.warn("push.refused", { ...this.#facts(), reason: told });
      return this.#tell(told);
    };
    const use = await directory.mayPush(person, repository, signal);
    if (!use.allowed) return refuse(use.told);
    const credential = await this.#credential(signal);
    signal.throwIfAborted();
    if (credential === undefined) return refuse("its forge makes no token for it");
    if (credential === "lost") {
      const now = await directory.mayPush(person, repository, signal);
      return refuse(now.allowed ? "the right to push to it was just changed; try again" : now.told);
    }
    return question.username === undefined || question.username === credential.username
      ? makeCredentialAnswer(credential)
      : ""; // they have asked for another account's, which is their own to give
  }

  /**
   * The token held, or a new one, which is on record before it is handed out; `undefined` where its forge makes none, and
   * `lost` where the right went while this one was made.
   */
  async #credential(signal: AbortSignal): Promise<GitCredential | "lost" | undefined> {
    const { clock, audit, pushCredential } = this.#context;
    const { id: environment, person, repository } = this.#record;
    if ((this.#held?.expiresAt ?? 0) - clock.now() > LASTS_MS) return this.#held;
    if (this.#failed !== undefined && clock.elapsed() < this.#failed.until) throw this.#failed.error;
    try {
      this.#held = await pushCredential?.(repository, signal);
      this.#failed = undefined;
    } catch (error) {
      if (!signal.aborted) this.#failed = { error, until: clock.elapsed() + PAUSE_MS };
      throw error;
    }
    if (this.#held !== undefined) {
      const made = this.#held;
      guardToken(this.#context, this.#record, made, () => {
        if (this.#held === made) this.#held = undefined;
      });
      await audit.append({ type: "credential.issued", environment, person, repository });
      return this.#held === made ? made : "lost";
    }
    return undefined;
  }

  #isTooOften(): boolean {
    const now = this.#context.clock.elapsed();
    if (now >= this.#minute.endsAt) this.#minute = { endsAt: now + 60_000, callCount: 0 };
    this.#minute.callCount += 1;
    return this.#minute.callCount > CALLS_A_MINUTE;
  }

  #tell(told: string): string {
    const { owner, name = this.#record.repositoryName } =
      this.#context.directory.repository(this.#record.repository) ?? {};
    const full = owner === undefined ? name : `${owner}/${name}`;
    return `told=${plainLine(`cannot push to ${full}: ${told}`)}\n`;
  }

  #facts() {
    const { id, person, repository } = this.#record;
    return { environment: id, person, repository };
  }
}

/** Says whether a question is about a repository, whose names have no case and may end in `.git`. */
function isAbout({ protocol, host, path }: CredentialQuestion, url: URL): boolean {
  return protocol === "https" && lower(host) === url.host && plainPath(path) === plainPath(url.pathname.slice(1));
}

function plainPath(path: string): string {
  return lower(path).replace(/\.git$/, "");
}

/** Of ASCII alone: in Unicode other letters than "K" become "k". */
function lower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
