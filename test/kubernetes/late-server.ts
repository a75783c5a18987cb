/**
 * Makes a service take the clock of every API server for one that is so many milliseconds ahead (`SLIPWAY_TEST_LATE_MS`), so
 * that what was made a moment ago is old. Loaded into its process before it, by `NODE_OPTIONS`.
 *
 * The servers' own clock is the machine's, which is not ours to set.
 *
 * @module
 */
import { ClientRequest, IncomingMessage } from "node:http";

const lateMs = Number(process.env["SLIPWAY_TEST_LATE_MS"] ?? 0);
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the request that it is of
const emit = ClientRequest.prototype.emit as (
  this: ClientRequest,
  name: string | symbol,
  ...given: unknown[]
) => boolean;

ClientRequest.prototype.emit = function (this: ClientRequest, name: string | symbol, ...given: unknown[]): boolean {
  const [answer] = given;
  if (name === "response" && answer instanceof IncomingMessage) putAhead(answer);
  return emit.call(this, name, ...given);
};

function putAhead(answer: IncomingMessage): void {
  const told = Date.parse(answer.headers.date ?? "");
  if (Number.isNaN(told)) return;
  answer.headers = { ...answer.headers, date: new Date(told + lateMs).toUTCString() };
}
