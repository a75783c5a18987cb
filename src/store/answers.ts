/**
 * The answers of a forge, kept for conditional requests. Is the `AnswerCache` of `forge/`.
 *
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "./schema.ts";

export interface KeptAnswer {
  readonly etag: string;
  readonly body: string;
  /** Address of the next page. */
  readonly next?: string;
}

export interface Answers {
  read(url: string): Promise<KeptAnswer | undefined>;
  write(url: string, answer: KeptAnswer): Promise<void>;
}

export function makeAnswerQueries(database: Kysely<Tables>, forge: string): Answers {
  return {
    read: async (url) => {
      const row = await database
        .selectFrom("forge_answers")
        .select(["etag", "body", "next"])
        .where("forge", "=", forge)
        .where("url", "=", url)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const { next, ...answer } = row;
      return next === null ? answer : { ...answer, next };
    },
    write: async (url, answer) => {
      const { etag, body } = answer;
      const next = answer.next ?? null;
      await database
        .insertInto("forge_answers")
        .values({ forge, url, etag, body, next })
        .onConflict((conflict) => conflict.columns(["forge", "url"]).doUpdateSet({ etag, body, next }))
        .execute();
    },
  };
}
