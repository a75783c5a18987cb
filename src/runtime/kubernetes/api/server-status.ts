/**
 * What a server says when it will not: a `Status` object, and the fault that it becomes.
 *
 * @module
 */
import { z } from "zod";

import { Fault } from "../../../base/fault.ts";

/** https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ */
const Status = z.object({
  kind: z.literal("Status"),
  message: z.string().optional(),
  reason: z.string().optional(),
  code: z.int().optional(),
  details: z
    .object({
      causes: z
        .array(
          z.object({ reason: z.string().optional(), message: z.string().optional(), field: z.string().optional() }),
        )
        .nullish(),
    })
    .nullish(),
});

/** The server's own words; the cause of a fault, for whoever has to tell one refusal from another. */
export class ServerStatus extends Error {
  override readonly name = "ServerStatus";
  /** HTTP status. */
  readonly code: number;
  /** One word such as `AlreadyExists`, `Invalid`, `Forbidden`; empty where the server gave none. */
  readonly reason: string;
  /** Reasons in detail: `NamespaceTerminating`, `FieldValueInvalid`. */
  readonly causes: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];

  constructor(message: string, facts: Pick<ServerStatus, "code" | "reason" | "causes">) {
    super(message);
    this.code = facts.code;
    this.reason = facts.reason;
    this.causes = facts.causes;
  }
}

/** What was asked for, in the words of a role. */
export interface Asked {
  /** `create`. */
  readonly verb: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** Longest sentence of a server that is passed on: a webhook may say anything. */
const MESSAGE_MAX_LENGTH = 1_000;

/** Reads what came with an HTTP status of 400 and more; anything but a `Status` is cut short and quoted. */
export function readStatus(code: number, body: unknown, text: string): ServerStatus {
  const status = Status.safeParse(body);
  if (!status.success) {
    return new ServerStatus(`HTTP status ${code}: ${JSON.stringify(text.slice(0, 200))}`, {
      code,
      reason: "",
      causes: [],
    });
  }
  const { message = "", reason = "", details } = status.data;
  const words = shorten(message.replaceAll(/[\s\p{Cc}]+/gu, " "));
  const causes = (details?.causes ?? []).map((cause) => ({
    ...(cause.reason !== undefined && { reason: cause.reason }),
    ...(cause.message !== undefined && { message: cause.message }),
    ...(cause.field !== undefined && { field: cause.field }),
  }));
  return new ServerStatus(words === "" ? `HTTP status ${code}` : words, { code, reason, causes });
}

/** Leaves out the middle: what was refused stands in front, and why behind it, with a whole object between them at times. */
function shorten(words: string): string {
  if (words.length <= MESSAGE_MAX_LENGTH) return words;
  const half = MESSAGE_MAX_LENGTH / 2;
  return `${words.slice(0, half)} … ${words.slice(-half)}`;
}

/** Finds what a server said in a fault of this client. */
export function statusOf(error: unknown): ServerStatus | undefined {
  return error instanceof Fault && error.cause instanceof ServerStatus ? error.cause : undefined;
}

/** What an API server says that does not reach a kubelet: `upgradeaware.go` of k8s.io/apimachinery. An address follows. */
const AWAY = "error dialing backend: ";

/**
 * Makes the fault of a refusal. 403 is more than a missing permission: quotas, pod security and namespaces that end say it
 * too. What authorizers say is worded in one place, `responsewriters.Forbidden` of k8s.io/apiserver:
 * `pods is forbidden: User "a" cannot create resource "pods" in API group "" in the namespace "b"`.
 */
export function faultOf(cluster: string, asked: Asked, status: ServerStatus): Fault {
  const act = actOf(asked);
  const message = `Cannot ${act} on cluster "${cluster}": ${status.message}`.replace(/\.$/, "");
  if (status.code === 401) {
    const told = `the cluster "${cluster}" does not accept the credentials of Slipway`;
    return new Fault("cluster.forbidden", message, { told, cause: status });
  }
  if (status.code === 403 && /User ".*" cannot /.test(status.message)) {
    const told = `Slipway may not ${act} on the cluster "${cluster}"; "slip check --online" prints the role that is missing`;
    return new Fault("cluster.forbidden", message, { told, cause: status });
  }
  const told = status.message.startsWith(AWAY)
    ? "the node that this environment is on does not answer"
    : `the cluster "${cluster}" says: ${status.message}`;
  return new Fault(status.code >= 500 || status.code === 429 ? "cluster.unreached" : "cluster.refused", message, {
    told,
    cause: status,
  });
}

/** Makes the fault of an answer that never came, or came broken. */
export function unreachedFault(cluster: string, asked: Asked, why: string, cause?: unknown): Fault {
  return new Fault("cluster.unreached", `Cannot ${actOf(asked)} on cluster "${cluster}": ${why}`, {
    told: `the cluster "${cluster}" does not answer`,
    cause,
  });
}

/** `patch deployments "api" in namespace "x"`. */
function actOf({ verb, resource, namespace, name }: Asked): string {
  const one = name === undefined ? "" : ` "${name}"`;
  return `${verb} ${resource}${one}${namespace === undefined ? "" : ` in namespace "${namespace}"`}`;
}
