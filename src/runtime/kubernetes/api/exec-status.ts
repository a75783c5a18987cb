/**
 * Reads what an API server says about an exec: the status at its end (channel 3), and the refusal of its beginning.
 *
 * Both are a `metav1.Status`: https://github.com/kubernetes/apimachinery/blob/v0.20.2/pkg/apis/meta/v1/types.go. Called by
 * `exec.ts` and `exec-stream.ts`.
 *
 * @module
 */
import { z } from "zod";

import { Fault } from "../../../base/fault.ts";
import type { ExecEnd, ExecRequest } from "./cluster-api.ts";

const Status = z.object({
  kind: z.literal("Status").optional(),
  status: z.string().optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  details: z
    .object({ causes: z.array(z.object({ reason: z.string().optional(), message: z.string().optional() })).optional() })
    .optional(),
});

type Status = z.infer<typeof Status>;

/** What the server says can be no longer than this before we cut it. */
const SENTENCE_LENGTH = 1_000;

/** Reads the status that ends an exec. What cannot be read says nothing of the program. */
export function readExecStatus(text: string): ExecEnd {
  const status = parseStatus(text);
  if (status?.status === undefined) return { type: "lost", reason: "the server's last word cannot be read" };
  if (status.status === "Success") return { type: "exited", exitCode: 0 };
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message ?? "";
  if (status.reason === "NonZeroExitCode" && /^\d{1,3}$/.test(code)) return { type: "exited", exitCode: Number(code) };
  return { type: "refused", reason: sentenceOf(status) ?? "the server does not say why" };
}

/** What came back instead of an upgrade. */
export interface Refusal {
  readonly httpStatus: number;
  readonly body: string;
}

/**
 * Makes the fault of a refused upgrade. 401 and 403 are ours to be allowed; 400, 404 and the like are what we asked for. An error
 * of the server itself, 429 and 5xx, is to be tried again: it is how a kubelet that is away looks, or a container that is
 * not there yet.
 */
export function faultOfRefusal(request: ExecRequest, { httpStatus, body }: Refusal): Fault {
  const sentence = sentenceOf(parseStatus(body)) ?? `HTTP ${httpStatus} ${cut(body)}`.trim();
  const message = `Cannot run a program in pod ${nameOf(request)}: ${sentence}`;
  if (httpStatus === 401) {
    return new Fault("cluster.forbidden", message, { told: "the cluster does not accept the service's credential" });
  }
  if (httpStatus === 403) {
    const told = `the service may not create pods/exec in namespace ${request.namespace} of the cluster: ${sentence}`;
    return new Fault("cluster.forbidden", message, { told });
  }
  const isServers = httpStatus >= 500 || httpStatus === 429;
  if (isServers) return new Fault("cluster.unreached", message, { told: `the cluster did not do it: ${sentence}` });
  return new Fault("cluster.refused", message, { told: `the cluster refused: ${sentence}` });
}

/** Names the container a program is for. */
export function nameOf({ namespace, pod, container }: ExecRequest): string {
  return `${namespace}/${pod}, container ${container}`;
}

function parseStatus(text: string): Status | undefined {
  try {
    return Status.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // no JSON: a proxy in between answered, or the server broke off
  }
}

function sentenceOf(status: Status | undefined): string | undefined {
  const sentence = status?.message ?? status?.reason;
  return sentence === undefined || sentence === "" ? undefined : cut(sentence);
}

/** One line, so that nobody's text begins a line of ours. */
function cut(text: string): string {
  return text
    .replace(/[\0-\x1f\x7f]+/g, " ")
    .trim()
    .slice(0, SENTENCE_LENGTH);
}
