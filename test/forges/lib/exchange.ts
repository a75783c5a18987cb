/**
 * A request that a forge server got, the answer that it means to give, and the entry of its log.
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";

export interface ForgeRequest {
  readonly method: string;
  /** Without query, as sent. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Over which of the server's ports it came. */
  readonly isSecure: boolean;
}

export interface ForgeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON in text; absent: no body. */
  readonly body?: string;
  /** @default "application/json; charset=utf-8" when there is a body */
  readonly type?: string;
  /** For the log: who asked, and whether it was counted against a limit. */
  readonly asker?: string;
  readonly isCharged?: boolean;
}

/** One request, as the log of a server has it. */
export interface LoggedRequest {
  /** Epoch ms of the server's clock at which it was read. */
  readonly at: number;
  readonly method: string;
  /** As the description writes it, as in `/repos/{owner}/{repo}`; the path itself where it describes none. */
  readonly template: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** `undefined`: it got no answer. */
  readonly status: number | undefined;
  readonly asker: string | undefined;
  readonly isCharged: boolean;
}
