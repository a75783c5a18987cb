/**
 * What has to be in the namespace before any pod of it.
 *
 * @module
 */
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { toBase64 } from "./base64.ts";
import type { ObjectFacts } from "./facts.ts";
import { KEY_FILES, NAMES } from "./inside-names.ts";
import { makeObject } from "./make-object.ts";
import { planNetworkPolicy } from "./network.ts";
import { planLimitRange, planQuota, type QuotaFacts } from "./quota.ts";
import { writeBytes } from "./quantity.ts";

/** What the sshd inside proves and believes. */
export interface Keys {
  /** Text of a private key file. */
  readonly hostKey: string;
  /** In SSH wire form, base64. */
  readonly publicHostKey: string;
  /** Lines of an authorized_keys file. */
  readonly authorizedKeys: string;
}

/** Plans it, in the order in which it is applied. */
export function planBase(facts: ObjectFacts, keys: Keys, quota: QuotaFacts): KubernetesObject[] {
  const { images, workspace } = facts.cluster;
  return [
    planLimitRange(facts, quota.sizes),
    planQuota(facts, quota),
    planNetworkPolicy(facts),
    makeObject(facts, kinds.serviceAccount, NAMES.serviceAccount, {
      automountServiceAccountToken: false,
      ...(images.pullSecrets.length === 0 ? {} : { imagePullSecrets: images.pullSecrets.map((name) => ({ name })) }),
    }),
    makeObject(facts, kinds.secret, NAMES.keysSecret, {
      type: "Opaque",
      data: {
        [KEY_FILES.hostKey]: toBase64(keys.hostKey),
        [KEY_FILES.publicHostKey]: toBase64(keys.publicHostKey),
        [KEY_FILES.authorizedKeys]: toBase64(keys.authorizedKeys),
      },
    }),
    ...(workspace.isEphemeral
      ? []
      : [
          makeObject(facts, kinds.volumeClaim, NAMES.filesClaim, {
            spec: {
              accessModes: ["ReadWriteOnce"],
              resources: { requests: { storage: writeBytes(workspace.sizeBytes) } },
              ...(workspace.storageClass === undefined ? {} : { storageClassName: workspace.storageClass }),
            },
          }),
        ]),
  ];
}
