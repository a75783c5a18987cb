/**
 * Sends an answer, as broken as the troubles that hit it make it.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../../src/base/clock.ts";
import type { ForgeAnswer } from "./exchange.ts";
import type { Trouble } from "./troubles.ts";

export interface Sending {
  readonly clock: Pick<Clock, "sleep">;
  readonly hits: readonly { readonly trouble: Trouble; readonly ended: Promise<void> }[];
  /** Asked with HEAD: all but the body. */
  readonly isHead: boolean;
  /** Aborts when the server closes. */
  readonly signal: AbortSignal;
}

/** @returns whether anything was sent */
export async function sendAnswer(response: ServerResponse, answer: ForgeAnswer, sending: Sending): Promise<boolean> {
  const { hits, clock, signal, isHead } = sending;
  for (const { trouble, ended } of hits) {
    if (trouble.type === "slow") await clock.sleep(trouble.ms, signal);
    if (trouble.type === "hang") {
      await Promise.race([ended, new Promise((resolve) => response.once("close", resolve))]);
      response.socket?.destroy();
      return false;
    }
    if (trouble.type === "reset") {
      response.socket?.resetAndDestroy();
      return false;
    }
  }
  const body = Buffer.from(answer.body ?? "");
  const types = hits.map(({ trouble }) => trouble.type);
  const half = body.subarray(0, body.length >> 1);
  const sent = types.includes("truncated") || types.includes("garbage") ? half : body;
  const wrong = hits.map(({ trouble }) => trouble).find((trouble) => trouble.type === "wrong-length");
  const promised = (types.includes("truncated") ? body : sent).length + (wrong === undefined ? 0 : wrong.byBytes);
  response.writeHead(answer.status, {
    ...(answer.body === undefined ? {} : { "content-type": answer.type ?? "application/json; charset=utf-8" }),
    ...(answer.status === 204 || answer.status === 304 ? {} : { "content-length": promised }),
    ...answer.headers,
  });
  if (isHead) response.end();
  else if (promised === sent.length) response.end(sent);
  else {
    // What was promised will never come: the end of the connection is the end of the body.
    response.write(sent, () => response.socket?.end());
  }
  return true;
}
