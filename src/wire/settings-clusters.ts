/**
 * What may stand under `clusters` in `slipway.yaml`, and what the rest of Slipway gets of it. What clusters must have to
 * do with each other, with people and with pools is `settings-cluster-links.ts`.
 *
 * @module
 */
import { z } from "zod";
import { needs } from "../base/complaint.ts";
import { addressRange } from "./addresses.ts";
import type { ClusterSettings, PodResources } from "./cluster-settings.ts";
import { processorCount, size, wholeNumber } from "./quantities.ts";
import { line, some } from "./settings-words.ts";

/** Images that are used when the settings name none. The toolbox is built by `images/toolbox`; any image will do as the base. */
const DEFAULT_IMAGES = { toolbox: "slipway/toolbox:0.1.0", base: "debian:bookworm-slim" } as const;

/** Where `slip install kubernetes` puts the service. */
const DEFAULT_NAMESPACE = "slipway";

/** What a name of an object may be: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const objectName = z
  .string()
  .refine(
    (text) => text.length <= 253 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(text),
    {
      error: 'needs the name of an object of the cluster: lower-case letters, digits, "-" and "."',
    },
  );

/** As https://github.com/distribution/reference has it, without its corners. */
const image = line.refine(
  (text) =>
    /^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?\/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$/.test(
      text,
    ),
  { error: 'needs the name of an image, as in "registry.example/team/image:1.2"' },
);

const LABEL = 'needs letters, digits, ".", "_", "/" and "-", at most 63';
const label = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/, LABEL);

/** Names and values that say what a cluster is good for; a definition asks for some of them. */
export const placementLabels = z.record(z.string(), label).superRefine(
  (given, context) => {
    for (const name of Object.keys(given)) {
      if (!label.safeParse(name).success) context.addIssue({ code: "custom", path: [name], message: LABEL });
    }
  },
  { when: ({ value }) => typeof value === "object" && value !== null },
);

const PREFIX_LENGTH_MAX = 40;

// With an id behind it a prefix has to be an RFC 1123 label, of 63 characters at most.
const namespacePrefix = z
  .string()
  .refine((text) => text.length <= PREFIX_LENGTH_MAX && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?-$/.test(text), {
    error: `needs lower-case letters, digits and "-", a "-" last and not first, at most ${PREFIX_LENGTH_MAX}`,
  })
  // https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
  .refine((text) => !text.startsWith("kube-"), {
    error: 'cannot begin with "kube-": such namespaces are the cluster\'s own',
  });

const range = addressRange.transform(({ address, prefixLength }) => `${address}/${prefixLength}`);

const share = z
  .number({ error: ({ input }) => needs(SHARE, input) })
  .refine((value) => value > 0 && value <= 1, { error: ({ input }) => needs(SHARE, input) });
const SHARE = "a share of the limits above 0 and at most 1, as in 0.1";

// A pod has the toolbox's sshd and a shell beside the service (guess).
const MEMORY_BYTES_MIN = 64 * 2 ** 20;

function tier(cpus: number, memoryGiB: number) {
  return z
    .strictObject({
      cpus: processorCount().default(cpus),
      memory: size(MEMORY_BYTES_MIN).default(memoryGiB * 2 ** 30),
      request: share.default(0.1),
    })
    .prefault({});
}

/** User numbers end here: user_namespaces(7). */
const UID_MAX = 4_294_967_294;

export const cluster = z.strictObject({
  kubeconfig: line.optional(),
  inCluster: z.literal(true, { error: ({ input }) => needs("true, or kubeconfig in its stead", input) }).optional(),
  context: line.optional(),
  labels: placementLabels.default({}),
  capacity: wholeNumber(1, 100_000).default(100),
  namespacePrefix: namespacePrefix.default("slipway-"),
  people: some.default("*"),
  images: z
    .strictObject({
      toolbox: image.default(DEFAULT_IMAGES.toolbox),
      base: image.default(DEFAULT_IMAGES.base),
      pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).default("IfNotPresent"),
      pullSecrets: z.array(objectName).default([]),
      pullSecretsFrom: objectName.default(DEFAULT_NAMESPACE),
    })
    .prefault({}),
  workspace: z
    .strictObject({
      // The checkout of a small repository and a home folder (guess).
      size: size(64 * 2 ** 20).default(10 * 2 ** 30),
      storageClass: objectName.optional(),
      ephemeral: z.boolean().default(false),
      // As much as a whole workspace: whoever needs more has a volume for it (guess).
      scratch: size(64 * 2 ** 20).default(10 * 2 ** 30),
    })
    .prefault({}),
  podSecurity: z.enum(["restricted", "baseline"]).default("restricted"),
  runAsUser: wholeNumber(0, UID_MAX).default(1_000),
  tiers: z.strictObject({ lightweight: tier(2, 4), full: tier(4, 8), compliance: tier(4, 8) }).prefault({}),
  network: z
    .strictObject({
      publicEgress: z.boolean().default(true),
      allow: z.array(range).default([]),
      deny: z.array(range).default([]),
    })
    .prefault({}),
  path: z.enum(["auto", "exec", "podIP"]).default("auto"),
  requestRate: z
    .strictObject({ perSecond: wholeNumber(1, 10_000).default(20), burst: wholeNumber(1, 10_000).default(50) })
    .prefault({}),
});

type ClusterFile = z.infer<typeof cluster>;

/** Gives what the rest of Slipway reads, of a cluster that `checkClusterLinks` has nothing against. */
export function toCluster(name: string, file: ClusterFile): ClusterSettings {
  const { labels, capacity, namespacePrefix, people, images, podSecurity, runAsUser, network, path, requestRate } =
    file;
  const { size: sizeBytes, storageClass, ephemeral: isEphemeral, scratch: scratchBytes } = file.workspace;
  return {
    ...{ name, access: toAccess(name, file), labels, capacity, namespacePrefix, people, images },
    workspace: { sizeBytes, isEphemeral, scratchBytes, ...(storageClass === undefined ? {} : { storageClass }) },
    podSecurity,
    runAsUser,
    tiers: {
      lightweight: toResources(file.tiers.lightweight),
      full: toResources(file.tiers.full),
      compliance: toResources(file.tiers.compliance),
    },
    ...{ network, path, requestRate },
  };
}

function toAccess(name: string, { kubeconfig, inCluster, context }: ClusterFile): ClusterSettings["access"] {
  if (inCluster === true) return { type: "in-cluster" };
  if (kubeconfig === undefined) throw new Error(`Cannot reach cluster ${name}: checkClusterLinks let it pass`);
  return { type: "kubeconfig", path: kubeconfig, ...(context === undefined ? {} : { context }) };
}

function toResources({ cpus, memory, request }: ClusterFile["tiers"]["full"]): PodResources {
  return { cpuCount: cpus, memoryBytes: memory, requestShare: request };
}
