/**
 * The one pod of an environment that is an image alone.
 *
 * @module
 */
import type { PodSecurity } from "../../wire/cluster-settings.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { hardenPod } from "./harden-pod.ts";
import { INIT, MAIN, NAMES } from "./inside-names.ts";
import { DEFAULT_CONTAINER, LABELS } from "./labels.ts";
import { makeObject } from "./make-object.ts";
import type { PodComplaint } from "./pod-security.ts";
import { needsOf, type Sizes, targetResources } from "./sizes.ts";
import { envOf, GRACE_SECONDS, mountsOf, numbersOf, toolboxContainer, volumesOf } from "./target-parts.ts";

export interface ImagePodOptions {
  readonly image: string;
  readonly level: PodSecurity;
  readonly sizes: Sizes;
}

/** Plans the pod. What is complained of comes of the numbers that the definition asks for. */
export function planImagePod(
  facts: ObjectFacts,
  target: TargetFacts,
  { image, level, sizes }: ImagePodOptions,
): { readonly pod: KubernetesObject; readonly complaints: readonly PodComplaint[] } {
  const { cluster } = facts;
  const { runAsUser, fsGroup } = numbersOf({ target, cluster }, undefined, undefined);
  const { least } = needsOf(target, sizes);
  const { spec, complaints } = hardenPod(
    {
      hostname: target.hostname,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: GRACE_SECONDS,
      serviceAccountName: NAMES.serviceAccount,
      automountServiceAccountToken: target.serviceAccountToken,
      securityContext: { fsGroup, fsGroupChangePolicy: "OnRootMismatch" },
      imagePullSecrets: cluster.images.pullSecrets.map((name) => ({ name })),
      containers: [
        toolboxContainer(facts, { securityContext: { runAsUser }, sizes }),
        {
          name: MAIN,
          image,
          imagePullPolicy: cluster.images.pullPolicy,
          command: [INIT],
          env: envOf(target, []),
          resources: targetResources(undefined, sizes, least),
          volumeMounts: mountsOf(target),
          securityContext: { runAsUser },
        },
      ],
      volumes: volumesOf(facts),
    },
    level,
  );
  const pod = makeObject(facts, kinds.pod, MAIN, { spec });
  const labels = { ...pod.metadata.labels, [LABELS.target]: "true" };
  const annotations = { ...pod.metadata.annotations, [DEFAULT_CONTAINER]: MAIN };
  return { pod: { ...pod, metadata: { ...pod.metadata, labels, annotations } }, complaints };
}
