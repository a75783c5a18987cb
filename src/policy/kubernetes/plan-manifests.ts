/**
 * The workloads of an environment that a repository has manifests for: all of them, one in development mode.
 *
 * @module
 */
import type { PodSecurity } from "../../wire/cluster-settings.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { adaptPod } from "./adapt-pod.ts";
import { type Chosen, chooseTarget } from "./choose-target.ts";
import { type ManifestComplaint, nameOf } from "./complaint.ts";
import { developPod } from "./develop-pod.ts";
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { at, fieldsOf, type Fields, listOf, textOf, without, withAt } from "./fields.ts";
import { hardenPod } from "./harden-pod.ts";
import { NAMES } from "./inside-names.ts";
import { DEFAULT_CONTAINER, LABELS } from "./labels.ts";
import { templatePath } from "./manifest-kinds.ts";
import type { QuotaFacts } from "./quota.ts";
import { limitReplicas, podsOf, REPLICAS_MAX, replicasOf } from "./replicas.ts";
import { type Amount, limitsOf, shareSizes, type Sized, type Sizes } from "./sizes.ts";
import { takeObjects, type Taken } from "./take-objects.ts";
import { claimsOf, type PlannedClaims, withoutClaims, withTidyClaims } from "./volume-claims.ts";

export interface ManifestsOptions {
  readonly manifests: readonly KubernetesObject[];
  readonly targetName: string | undefined;
  readonly level: PodSecurity;
}

export interface PlannedManifests {
  readonly workloads: readonly KubernetesObject[];
  /** Name of the container to be entered. */
  readonly container: string;
  readonly serviceNames: readonly string[];
  readonly quota: Omit<QuotaFacts, "claimCount">;
  readonly claims: PlannedClaims;
  readonly warnings: readonly string[];
  readonly complaints: readonly ManifestComplaint[];
}

/** Plans them. Never throws, whatever the manifests are: what is wrong with them is in `complaints`, all of it. */
export function planManifests(facts: ObjectFacts, target: TargetFacts, options: ManifestsOptions): PlannedManifests {
  const { cluster } = facts;
  const { taken, ...told } = takeObjects(facts, target, { manifests: options.manifests, isOurs });
  const chosen = chooseTarget(taken, options.targetName);
  const entered = "wrong" in chosen ? undefined : chosen;
  const sizes = shareSizes(facts, sizedOf(taken, entered));
  const serviceAccounts = namesOf(taken, "ServiceAccount");
  const adapting = { cluster, sizes, token: target.serviceAccountToken, serviceAccounts };
  const placed = cluster.workspace.isEphemeral ? withoutClaims(taken) : withTidyClaims(taken, cluster.workspace);
  const made = placed.taken.map((one) => {
    const own = isOf(entered, one) ? { entered } : {};
    return makeWorkload(one, { ...options, facts, target, adapting, ...own });
  });
  return {
    workloads: made.map(({ object }) => object).toSorted((one, other) => rank(one, entered) - rank(other, entered)),
    container: entered?.container ?? "",
    serviceNames: namesOf(taken, "Service"),
    quota: { sizes, podCount: podCountOf(taken), largestPod: largestOf(taken, entered, sizes) },
    claims: claimsOf(placed.taken, entered?.taken.given),
    warnings: [
      ...told.warnings,
      ...placed.warnings,
      ...made.flatMap(({ warnings }) => warnings),
      ...overfull(taken, sizes),
    ],
    complaints: [
      ...told.complaints,
      // With nothing taken there is nothing to choose from, and that has been said.
      ...("wrong" in chosen && (taken.length > 0 || told.complaints.length === 0)
        ? [{ path: [], message: chosen.wrong }]
        : []),
      ...placed.complaints,
      ...made.flatMap(({ complaints }) => complaints),
    ],
  };
}

function isOurs(kind: string, name: string): boolean {
  const { keysSecret, filesClaim, serviceAccount } = NAMES;
  const ours = { Secret: keysSecret, PersistentVolumeClaim: filesClaim, ServiceAccount: serviceAccount };
  return Object.entries(ours).some(([ownKind, own]) => kind === ownKind && name === own);
}

function namesOf(taken: readonly Taken[], kind: string): string[] {
  return taken.filter(({ object }) => object.kind === kind).map(({ object }) => object.metadata.name);
}

/** What pods refer to comes before them, and the target before what is beside it: it is what people wait for. */
function rank({ kind, metadata }: KubernetesObject, entered: Chosen | undefined): number {
  if (templatePath(kind) === undefined) return 0;
  const { object } = entered?.taken ?? {};
  return object?.kind === kind && object.metadata.name === metadata.name ? 1 : 2;
}

interface WorkloadOptions extends ManifestsOptions {
  readonly facts: ObjectFacts;
  readonly target: TargetFacts;
  readonly adapting: Parameters<typeof adaptPod>[1];
  /** When this is the workload to be entered. */
  readonly entered?: Chosen;
}

interface Made {
  readonly object: KubernetesObject;
  readonly complaints: readonly ManifestComplaint[];
  readonly warnings: readonly string[];
}

function makeWorkload({ given, object }: Taken, options: WorkloadOptions): Made {
  const path = templatePath(object.kind);
  if (path === undefined) return { object, complaints: [], warnings: [] };
  const { entered, facts, target, level, adapting } = options;
  const specPath = [...path, "spec"];
  const adapted = adaptPod(at(object, specPath), adapting);
  const pod =
    entered === undefined
      ? { spec: adapted.spec, warnings: [] }
      : developPod(adapted.spec, { facts, target, sizes: adapting.sizes, container: entered.container });
  const hardened = hardenPod(at(object, specPath) === undefined ? undefined : pod.spec, level);
  const named = object.kind === "Deployment" && entered !== undefined ? { hostname: target.hostname } : {};
  const replicas = replicasOf(object);
  const spec = withAt(object, specPath, { ...named, ...hardened.spec });
  const scaled =
    entered === undefined ? limitReplicas(spec, object.kind) : enterable(spec, { ...object, ...entered, path });
  const offset = entered === undefined ? 0 : 1;
  return {
    object: { ...object, ...scaled },
    complaints: [...adapted.complaints, ...hardened.complaints].map(({ path: inner, message }, index) => ({
      object: given,
      path: [...specPath, ...(index < adapted.complaints.length ? inner : asGiven(inner, offset))],
      message,
    })),
    warnings: [
      ...[...adapted.warnings, ...pod.warnings].map((warning) => `${nameOf(object)}: ${warning}`),
      ...(entered === undefined && replicas > REPLICAS_MAX
        ? [`${nameOf(object)}: it has ${REPLICAS_MAX} replicas, not ${replicas}`]
        : []),
    ],
  };
}

/** Our container is before those of the manifest. */
function asGiven(path: readonly (string | number)[], offset: number): readonly (string | number)[] {
  const [list, index, ...rest] = path;
  return list === "containers" && typeof index === "number" ? [list, Math.max(0, index - offset), ...rest] : path;
}

/** One pod at a time, since two cannot have the files; and not one that waits for somebody to let it. */
function enterable(
  object: Fields,
  { kind, container, path }: { readonly kind: string; readonly container: string; readonly path: readonly string[] },
): Fields {
  const spec = without(fieldsOf(object["spec"]), ["paused", "minReadySeconds", "strategy"]);
  const only = { ...spec, replicas: 1, ...(kind === "Deployment" ? { strategy: { type: "Recreate" } } : {}) };
  const labelled = withAt(withAt(object, ["spec"], only), [...path, "metadata", "labels", LABELS.target], "true");
  return withAt(labelled, [...path, "metadata", "annotations", DEFAULT_CONTAINER], container);
}

function podCountOf(taken: readonly Taken[]): number {
  return taken
    .filter(({ object }) => templatePath(object.kind) !== undefined)
    .reduce((total, { object }) => total + podsOf(object), 0);
}

/** What there is to be shared out, and among whom. */
function sizedOf(taken: readonly Taken[], entered: Chosen | undefined): Sized[] {
  return taken.flatMap((one) => {
    const { object } = one;
    const path = templatePath(object.kind);
    if (path === undefined) return [];
    const isEntered = isOf(entered, one);
    const pods = isEntered ? 1 : podsOf(object);
    return listOf(at(object, [...path, "spec", "containers"])).map((container) => {
      const { name, resources } = fieldsOf(container);
      return { pods, isTarget: isEntered && textOf(name) === entered.container, ...limitsOf(resources) };
    });
  });
}

function isOf(entered: Chosen | undefined, { given }: Taken): entered is Chosen {
  return entered?.taken.given === given;
}

/** What the largest pod beside the target may use: while its workload replaces it there are two. */
function largestOf(taken: readonly Taken[], entered: Chosen | undefined, { ceiling, each }: Sizes): Amount {
  const others = taken.filter((one) => !isOf(entered, one)).map((one) => sizedOf([one], undefined));
  const largest = (of: keyof Amount): number => {
    const pods = others.map((containers) => containers.reduce((sum, one) => sum + (one[of] ?? each[of]), 0));
    return Math.min(ceiling[of], Math.max(0, ...pods));
  };
  return { cpuCount: largest("cpuCount"), memoryBytes: largest("memoryBytes") };
}

/** Says so when the quota will keep some pods away. */
function overfull(taken: readonly Taken[], { ceiling }: Sizes): string[] {
  const sized = sizedOf(taken, undefined);
  const total = (of: "cpuCount" | "memoryBytes"): number =>
    sized.reduce((sum, container) => sum + (container[of] ?? 0) * container.pods, 0);
  const isOver = total("cpuCount") > ceiling.cpuCount || total("memoryBytes") > ceiling.memoryBytes;
  return isOver
    ? ["the containers of the manifests may use more together than this environment has: some may not start"]
    : [];
}
