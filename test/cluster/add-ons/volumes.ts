/**
 * Persistent volumes of a test cluster: a folder of the node for each claim, of a default storage class, whose size nobody
 * enforces; and of the class `sized` a file system in memory for each, which is full when it is full.
 *
 * Of type `local`, since the kubelet does nothing about `fsGroup` for `hostPath`.
 *
 * @module
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { mustRun, run } from "../../harness/program.ts";
import type { Api, Thing } from "../api.ts";
import type { Layout } from "../layout.ts";
import { insist, latest } from "./latest.ts";

const CLASSES = ["folders", "sized"] as const;
const PROVISIONER = "slipway.test/folders";

type Class = (typeof CLASSES)[number];

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
  for (const name of CLASSES) await insist(async () => makeClass(api, name), signal);
  const provide = latest(async (claims: readonly Claim[]) => {
    const open = claims.filter((claim) => isOurs(claim) && (claim.spec.volumeName ?? "") === "");
    for (const claim of open) if (claim.spec.volumeMode !== "Block") await makeVolume(api, layout, claim);
  });
  const reclaim = latest(async (volumes: readonly Volume[]) => {
    const released = volumes.filter((volume) => isOurs(volume) && mayGo(volume));
    for (const { metadata, spec } of released) {
      if (spec.local !== undefined) await removeFolder(spec.local.path, spec.storageClassName);
      await api.delete(`/api/v1/persistentvolumes/${metadata.name}`);
    }
  });
  await Promise.all([
    api.keepList<Claim>("/api/v1/persistentvolumeclaims", provide, signal),
    api.keepList<Volume>("/api/v1/persistentvolumes", reclaim, signal),
  ]);
}

function isOurs({ spec: { storageClassName } }: Claim | Volume): boolean {
  return CLASSES.some((name) => name === storageClassName);
}

function mayGo({ metadata, spec, status }: Volume): boolean {
  const isDeleted = metadata.deletionTimestamp !== undefined;
  return status?.phase === "Released" && spec.persistentVolumeReclaimPolicy === "Delete" && !isDeleted;
}

async function makeClass(api: Api, name: Class): Promise<void> {
  const isDefault = String(name === CLASSES[0]);
  await api.apply(`/apis/storage.k8s.io/v1/storageclasses/${name}`, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name, annotations: { "storageclass.kubernetes.io/is-default-class": isDefault } },
    provisioner: PROVISIONER,
    reclaimPolicy: "Delete",
    volumeBindingMode: "Immediate",
  });
}

async function makeVolume(api: Api, layout: Layout, claim: Claim): Promise<void> {
  const { name: claimName, namespace, uid = "" } = claim.metadata;
  const name = `pvc-${uid}`;
  const path = join(layout.volumes, name);
  const { storageClassName = "", resources } = claim.spec;
  await makeFolder(path, storageClassName, resources.requests.storage);
  await api.apply(`/api/v1/persistentvolumes/${name}`, {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, annotations: { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
    spec: {
      storageClassName,
      accessModes: claim.spec.accessModes,
      capacity: { storage: resources.requests.storage },
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

/** @param size as in a claim: bytes, or with a suffix of binary multiples */
async function makeFolder(path: string, storageClass: string, size: string): Promise<void> {
  mkdirSync(path, { recursive: true });
  // tmpfs(5) knows `k`, `m` and `g` for what Kubernetes calls `Ki`, `Mi` and `Gi`. Mounted once, however often we are asked.
  if (storageClass === "sized" && (await run(["mountpoint", "-q", path])).exitCode !== 0)
    await mustRun(["mount", "-t", "tmpfs", "-o", `size=${size.replace(/i$/, "")}`, "tmpfs", path]);
  chmodSync(path, 0o777);
}

async function removeFolder(path: string, storageClass = ""): Promise<void> {
  if (storageClass === "sized") await run(["umount", path]); // not there where it went with the cluster's namespaces
  rmSync(path, { recursive: true, force: true });
}
