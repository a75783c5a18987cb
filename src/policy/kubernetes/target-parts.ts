/**
 * What of ours goes into the pod that people enter: the toolbox, the keys, the files, and the variables of the container.
 * What is where is told in `runtime/kubernetes/inside.ts`.
 *
 * @module
 */
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { at, fieldsOf, type Fields, listOf, textOf } from "./fields.ts";
import { CONTAINER_ENV, INSIDE, KEYS, NAMES, RUN, STATE, WORKSPACE } from "./inside-names.ts";
import { writeBytes } from "./quantity.ts";
import { type Sizes, TOOLBOX_REQUEST, toolboxLimit, writeResources } from "./sizes.ts";

/** For what is written while a pod lives: keys, scripts, small results (guess). */
const RUN_BYTES = 64 * 2 ** 20;

/** Our init process passes the end on at once and waits 2 s: inside.ts. */
export const GRACE_SECONDS = 5;

/** Where the toolbox's container has the volumes that it fills. */
const FILLED = { tools: "/slipway/tools", files: "/slipway/files" } as const;

/** Volumes of ours, by our names. */
export function volumesOf({ cluster }: Pick<ObjectFacts, "cluster">): Fields[] {
  const { isEphemeral, sizeBytes } = cluster.workspace;
  const sources = { secretName: NAMES.keysSecret, defaultMode: 0o440 };
  return [
    { name: NAMES.toolsVolume, emptyDir: {} },
    { name: NAMES.runVolume, emptyDir: { medium: "Memory", sizeLimit: writeBytes(RUN_BYTES) } },
    { name: NAMES.keysVolume, secret: sources },
    isEphemeral
      ? { name: NAMES.filesVolume, emptyDir: { sizeLimit: writeBytes(sizeBytes) } }
      : { name: NAMES.filesVolume, persistentVolumeClaim: { claimName: NAMES.filesClaim } },
    { name: NAMES.temporaryVolume, emptyDir: {} },
  ];
}

/** Mounts of the target beside its own; the last one only where it has none there, and needed by read-only root file systems. */
export function mountsOf({ user }: Pick<TargetFacts, "user">): Fields[] {
  const { toolsVolume, runVolume, keysVolume, filesVolume, temporaryVolume } = NAMES;
  return [
    { name: toolsVolume, mountPath: INSIDE, readOnly: true },
    { name: runVolume, mountPath: RUN },
    { name: keysVolume, mountPath: KEYS, readOnly: true },
    { name: filesVolume, mountPath: WORKSPACE, subPath: "workspace" },
    { name: filesVolume, mountPath: `/home/${user}`, subPath: "home" },
    { name: filesVolume, mountPath: STATE, subPath: "state" },
    { name: temporaryVolume, mountPath: "/tmp" },
  ];
}

/**
 * The container that fills the volumes before any other starts, as the user of the target; it comes first in the pod, and stays.
 *
 * Kubelets start the containers of a pod one after another and wait for the hook of each. The end of an init container they see
 * up to a second late: https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/ and decision 0011.
 */
export function toolboxContainer(
  { cluster }: Pick<ObjectFacts, "cluster">,
  given: { readonly securityContext: Fields; readonly sizes: Sizes },
): Fields {
  const { toolbox, pullPolicy } = cluster.images;
  return {
    name: NAMES.toolboxContainer,
    image: toolbox,
    imagePullPolicy: pullPolicy,
    command: [`${INSIDE}/bin/stay`],
    lifecycle: { postStart: { exec: { command: [`${INSIDE}/bin/fill`, FILLED.tools, FILLED.files] } } },
    securityContext: { ...given.securityContext, readOnlyRootFilesystem: true },
    resources: writeResources({ request: TOOLBOX_REQUEST, limit: toolboxLimit(given.sizes) }),
    volumeMounts: [
      { name: NAMES.toolsVolume, mountPath: FILLED.tools },
      { name: NAMES.filesVolume, mountPath: FILLED.files },
    ],
  };
}

/**
 * The variables of the target: the definition's over those of its manifest, and ours over all. What the definition says is said
 * as it is: `$(NAME)`, which Kubernetes would replace, is no way to write anything there.
 */
export function envOf(target: TargetFacts, own: unknown): Fields[] {
  const { user, workspaceFolder } = CONTAINER_ENV;
  const ours: Readonly<Record<string, string>> = {
    HOME: `/home/${target.user}`,
    ...target.containerEnv,
    [user]: target.user,
    [workspaceFolder]: target.workspaceFolder,
  };
  const kept = listOf(own).map(fieldsOf);
  const values = Object.entries(ours).map(([name, value]) => ({ name, value: value.replaceAll("$", () => "$$") }));
  return [...kept.filter(({ name }) => !Object.hasOwn(ours, textOf(name) ?? "")), ...values];
}

/** The numbers that a pod runs as, of what its manifest says. */
export interface Numbers {
  readonly runAsUser: number;
  readonly fsGroup: number;
}

/**
 * Chooses the numbers of the target: of the definition, of the container, of its pod, of the cluster.
 *
 * @param pod its `securityContext`
 */
export function numbersOf(
  { target, cluster }: { readonly target: TargetFacts; readonly cluster: ObjectFacts["cluster"] },
  pod: unknown,
  container: unknown,
): Numbers {
  const read = (from: unknown, name: string): number | undefined => {
    const value = at(from, [name]);
    return typeof value === "number" ? value : undefined;
  };
  const runAsUser = target.runAsUser ?? read(container, "runAsUser") ?? read(pod, "runAsUser") ?? cluster.runAsUser;
  return { runAsUser, fsGroup: read(pod, "fsGroup") ?? runAsUser };
}
