/**
 * Reads what an API server says about an exec: the status at its end (channel 3), and the refusal of its beginning.
 *
 * Both are a `metav1.Status`: https://github.com/kubernetes/apimachinery/blob/v0.20.2/pkg/apis/meta/v1/types.go. Called by
 * `exec.ts` and `exec-stream.ts`.
 *
 * @module
 */
import { z } from "zod";

import type { Fault } from "../../../base/fault.ts";
import type { ExecEnd, ExecRequest } from "./cluster-api.ts";
import { parseJson } from "./requests.ts";
import { type Asked, faultOf, readStatus, unreachedFault } from "./server-status.ts";

const Status = z.object({
  kind: z.literal("Status").optional(),
  status: z.string().optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  details: z
    .object({ causes: z.array(z.object({ reason: z.string().optional(), message: z.string().optional() })).optional() })
    .optional(),
});

/** What the server says can be no longer than this before we cut it. */
const SENTENCE_LENGTH = 1_000;

/** Reads the status that ends an exec. What cannot be read says nothing of the program. */
export function readExecStatus(text: string): ExecEnd {
  const status = Status.safeParse(parseJson(text)).data;
  if (status?.status === undefined) return { type: "lost", reason: "the server's last word cannot be read" };
  if (status.status === "Success") return { type: "exited", exitCode: 0 };
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message ?? "";
  if (status.reason === "NonZeroExitCode" && /^\d{1,3}$/.test(code)) return { type: "exited", exitCode: Number(code) };
  return { type: "refused", reason: sentenceOf(status) ?? "the server does not say why" };
}

/** What was asked for when a program was to be started: that is the permission it needs, besides `get`. */
const askedFor = ({ namespace, pod }: ExecRequest): Asked => ({
  verb: "create",
  resource: "pods/exec",
  namespace,
  name: pod,
});

/** What came back instead of an upgrade. */
export interface Refusal {
  readonly httpStatus: number;
  readonly body: string;
}

/** Makes the fault of a refused upgrade. A 5xx may be a kubelet that is away, or a container that is not there yet. */
export function faultOfRefusal(cluster: string, request: ExecRequest, { httpStatus, body }: Refusal): Fault {
  return faultOf(cluster, askedFor(request), readStatus(httpStatus, parseJson(body), body));
}

/** Makes the fault of a server that was not reached. */
export function faultOfDialling(cluster: string, request: ExecRequest, cause: Error): Fault {
  return unreachedFault(cluster, askedFor(request), cause.message, cause);
}

/** Names the container a program is for. */
export function nameOf({ namespace, pod, container }: ExecRequest): string {
  return `${namespace}/${pod}, container ${container}`;
}

function sentenceOf(status: z.infer<typeof Status>): string | undefined {
  const sentence = status.message ?? status.reason;
  return sentence === undefined || sentence === "" ? undefined : cut(sentence);
}

/** One line, so that nobody's text begins a line of ours. */
function cut(text: string): string {
  return text
    .replace(/[\0-\x1f\x7f]+/g, " ")
    .trim()
    .slice(0, SENTENCE_LENGTH);
}
