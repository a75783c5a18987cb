/**
 * Persistent volumes of a test cluster: a folder of the node for each claim, of a default storage class.
 *
 * Of type `local`, since the kubelet does nothing about `fsGroup` for `hostPath`. A claim's size is not enforced.
 *
 * @module
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Api, Thing } from "../api.ts";
import type { Layout } from "../layout.ts";
import { insist, latest } from "./latest.ts";

const CLASS = "folders";
const PROVISIONER = "slipway.test/folders";

interface Claim extends Thing {
  readonly spec: {
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly volumeMode?: string;
    readonly accessModes: readonly string[];
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

interface Volume extends Thing {
  readonly spec: {
    readonly storageClassName?: string;
    readonly local?: { readonly path: string };
    readonly persistentVolumeReclaimPolicy?: string;
  };
  readonly status?: { readonly phase?: string };
}

/** Makes a volume for each claim that has none, and takes it away when the claim has let go of it. */
export async function keepVolumes(api: Api, layout: Layout, signal: AbortSignal): Promise<void> {
  await insist(async () => makeClass(api), signal);
  const provide = latest(async (claims: readonly Claim[]) => {
    const open = claims.filter(
      (claim) => claim.spec.storageClassName === CLASS && (claim.spec.volumeName ?? "") === "",
    );
    for (const claim of open) if (claim.spec.volumeMode !== "Block") await makeVolume(api, layout, claim);
  });
  const reclaim = latest(async (volumes: readonly Volume[]) => {
    const released = volumes.filter((volume) => volume.spec.storageClassName === CLASS && mayGo(volume));
    for (const { metadata, spec } of released) {
      if (spec.local !== undefined) rmSync(spec.local.path, { recursive: true, force: true });
      await api.delete(`/api/v1/persistentvolumes/${metadata.name}`);
    }
  });
  await Promise.all([
    api.keepList<Claim>("/api/v1/persistentvolumeclaims", provide, signal),
    api.keepList<Volume>("/api/v1/persistentvolumes", reclaim, signal),
  ]);
}

function mayGo({ metadata, spec, status }: Volume): boolean {
  const isDeleted = metadata.deletionTimestamp !== undefined;
  return status?.phase === "Released" && spec.persistentVolumeReclaimPolicy === "Delete" && !isDeleted;
}

async function makeClass(api: Api): Promise<void> {
  await api.apply(`/apis/storage.k8s.io/v1/storageclasses/${CLASS}`, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: CLASS, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: PROVISIONER,
    reclaimPolicy: "Delete",
    volumeBindingMode: "Immediate",
  });
}

async function makeVolume(api: Api, layout: Layout, claim: Claim): Promise<void> {
  const { name: claimName, namespace, uid = "" } = claim.metadata;
  const name = `pvc-${uid}`;
  const path = join(layout.volumes, name);
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o777);
  await api.apply(`/api/v1/persistentvolumes/${name}`, {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, annotations: { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
    spec: {
      storageClassName: CLASS,
      accessModes: claim.spec.accessModes,
      capacity: { storage: claim.spec.resources.requests.storage },
      persistentVolumeReclaimPolicy: "Delete",
      local: { path },
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", name: claimName, namespace, uid },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [layout.nodeName] }] },
          ],
        },
      },
    },
  });
}
