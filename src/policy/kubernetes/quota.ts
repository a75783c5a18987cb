/**
 * What all objects of an environment together may take of a cluster. The limit range has to be there before any pod: once a
 * quota covers processors, a pod that says nothing of them is refused.
 *
 * @module
 */
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { ObjectFacts } from "./facts.ts";
import { makeObject } from "./make-object.ts";
import { writeBytes, writeCpu } from "./quantity.ts";
import { type Amount, SCRATCH, type Sizes, TOOLBOX_REQUEST, toolboxLimit } from "./sizes.ts";

export interface QuotaFacts {
  readonly sizes: Sizes;
  /** Pods that there are to be at one time. */
  readonly podCount: number;
  /** What the largest of them may use: while pods are replaced there is one more. */
  readonly largestPod: Amount;
  readonly claimCount: number;
}

/** Plans what containers that say nothing get. */
export function planLimitRange(facts: ObjectFacts, sizes: Sizes): KubernetesObject {
  const { each, ceiling, requestShare } = sizes;
  const scratch = { [SCRATCH]: writeBytes(sizes.scratchBytes) };
  return makeObject(facts, kinds.limitRange, "slipway", {
    spec: {
      limits: [
        {
          type: "Container",
          default: { cpu: writeCpu(each.cpuCount), memory: writeBytes(each.memoryBytes), ...scratch },
          defaultRequest: {
            cpu: writeCpu(each.cpuCount * requestShare),
            memory: writeBytes(each.memoryBytes * requestShare),
            // Some kubelets do not tell how much disk they have, and who asks for some of it finds no node.
            [SCRATCH]: "0",
          },
          max: { cpu: writeCpu(ceiling.cpuCount), memory: writeBytes(ceiling.memoryBytes), ...scratch },
        },
      ],
    },
  });
}

/** For what each container's request loses or gains when it is written in whole units. */
const ROUNDING: Amount = { cpuCount: 0.05, memoryBytes: 2 ** 20 };

/** Pods with a toolbox that count at one time: one that is gone does so until the quota has been counted anew. */
const TARGETS = 2;

/** Plans the quota. */
export function planQuota(
  facts: ObjectFacts,
  { sizes, podCount, largestPod, claimCount }: QuotaFacts,
): KubernetesObject {
  const { ceiling, requestShare } = sizes;
  const cpuCount = ceiling.cpuCount + largestPod.cpuCount + ROUNDING.cpuCount;
  const memoryBytes = ceiling.memoryBytes + largestPod.memoryBytes + ROUNDING.memoryBytes;
  const toolbox = toolboxLimit(sizes);
  const hard = {
    limits: {
      cpuCount: cpuCount + TARGETS * toolbox.cpuCount,
      memoryBytes: memoryBytes + TARGETS * toolbox.memoryBytes,
    },
    requests: {
      cpuCount: cpuCount * requestShare + ROUNDING.cpuCount + TARGETS * TOOLBOX_REQUEST.cpuCount,
      memoryBytes: memoryBytes * requestShare + ROUNDING.memoryBytes + TARGETS * TOOLBOX_REQUEST.memoryBytes,
    },
  };
  return makeObject(facts, kinds.resourceQuota, "slipway", {
    spec: {
      hard: {
        "limits.cpu": writeCpu(hard.limits.cpuCount),
        "limits.memory": writeBytes(hard.limits.memoryBytes),
        "requests.cpu": writeCpu(hard.requests.cpuCount),
        "requests.memory": writeBytes(hard.requests.memoryBytes),
        // As many again for those that replace others or have not quite ended.
        pods: String(podCount * 2 + 2),
        persistentvolumeclaims: String(claimCount),
        "requests.storage": claimCount === 0 ? "0" : writeBytes(claimCount * facts.cluster.workspace.sizeBytes),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
      },
    },
  });
}
