/**
 * The answers of a forge, kept for conditional requests.
 *
 * @module
 */
import type { Kysely } from "kysely";
import type { AnswerCache } from "../wire/knowledge.ts";
import type { Tables } from "./schema.ts";

export function makeAnswerQueries(database: Kysely<Tables>, forge: string): AnswerCache {
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
