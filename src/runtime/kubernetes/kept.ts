/**
 * What this runtime has to know of an environment after a restart, kept where it cannot be lost without the environment: in
 * an annotation of its namespace, which nobody inside can write. Nothing secret is in it.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import type { EnvironmentSpec, Unsaved } from "../runtime.ts";

export const KEPT_ANNOTATION = "slipway.dev/kept";

/** How the pod of a started environment is found and entered. */
export interface Entrance {
  readonly user: string;
  readonly workspaceFolder: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly container: string;
  /** Public host key of its sshd, in SSH wire form, base64. */
  readonly hostKey: string;
  /** Names by which the services beside it are reached. */
  readonly serviceNames: readonly string[];
  /** What was asked for and is not so, one sentence each. */
  readonly warnings: readonly string[];
}

/** Where definition and manifests were read last. */
export interface Revision {
  /** Its commit, which the mirror keeps when no branch leads to it any more. */
  readonly commit: string;
  /** That it was the tip of. */
  readonly branch: string;
}

/** An object that was applied, and may have to be removed once nobody plans it any more. */
export type AppliedObject = Pick<KubernetesObject, "apiVersion" | "kind"> & { readonly name: string };

export interface Kept {
  readonly spec: EnvironmentSpec;
  /** Run of a service that wrote this last. */
  readonly run?: string;
  /** Since its checkout is whole. */
  readonly isCheckedOut?: true;
  /** Since it was first started. */
  readonly entrance?: Entrance;
  /** Uid of the pod in which everything is set up. */
  readonly readyPod?: string;
  /** Since it was first started. */
  readonly revision?: Revision;
  /** Written before any of them is made, and until each that is planned no more is gone. */
  readonly applied?: readonly AppliedObject[];
  /** Since it was put to sleep: what nobody can look at any more. */
  readonly unsaved?: Unsaved;
}

const Source = z.object({
  repository: z.string(),
  mirrorPath: z.string(),
  originUrl: z.string(),
  branch: z.string(),
  credentialHost: z.string().exactOptional(),
  fromBranch: z.string().exactOptional(),
});

const Spec = z.object({
  id: z.string(),
  hostname: z.string(),
  uid: z.number(),
  source: Source,
  author: z.object({ name: z.string(), email: z.string() }),
  limits: z.object({
    memoryBytes: z.number().exactOptional(),
    processCount: z.number().exactOptional(),
    cpuCount: z.number().exactOptional(),
    diskBytes: z.number().exactOptional(),
  }),
  cluster: z.string(),
  generation: z.number(),
  owner: z.union([z.object({ person: z.string(), login: z.string() }), z.object({ pool: z.string() })]),
});

const KeptShape = z.object({
  spec: Spec,
  run: z.string().exactOptional(),
  isCheckedOut: z.literal(true).exactOptional(),
  entrance: z
    .object({
      user: z.string(),
      workspaceFolder: z.string(),
      labels: z.record(z.string(), z.string()),
      container: z.string(),
      hostKey: z.string(),
      serviceNames: z.array(z.string()),
      warnings: z.array(z.string()),
    })
    .exactOptional(),
  readyPod: z.string().exactOptional(),
  revision: z.object({ commit: z.string(), branch: z.string() }).exactOptional(),
  applied: z.array(z.object({ apiVersion: z.string(), kind: z.string(), name: z.string() })).exactOptional(),
  unsaved: z
    .object({
      changedPaths: z.array(z.string()),
      changedCount: z.number(),
      commits: z.array(z.string()),
      commitCount: z.number(),
      doubts: z.array(z.string()).exactOptional(),
    })
    .exactOptional(),
});

/** Reads what is kept in a namespace. @throws {Fault} `state.damaged` when somebody wrote something else there */
export function readKept(namespace: KubernetesObject): Kept {
  const text = namespace.metadata.annotations?.[KEPT_ANNOTATION];
  try {
    return KeptShape.parse(JSON.parse(text ?? ""));
  } catch (cause) {
    const { name } = namespace.metadata;
    throw new Fault("state.damaged", `Cannot read ${KEPT_ANNOTATION} of namespace ${name}: it has another shape`, {
      told: `somebody changed ${KEPT_ANNOTATION} of its namespace`,
      cause,
    });
  }
}

/** Puts it into a namespace to be applied. */
export function withKept(namespace: KubernetesObject, kept: Kept): KubernetesObject {
  const { metadata } = namespace;
  const annotations = { ...metadata.annotations, [KEPT_ANNOTATION]: JSON.stringify(kept) };
  return { ...namespace, metadata: { ...metadata, annotations } };
}
