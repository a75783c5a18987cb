/**
 * Which kinds of objects a repository's manifests may have in an environment: those that run or describe a part of the
 * application inside of one namespace. What is of no use there is left out with a sentence; the rest is refused.
 *
 * @module
 */

/** What is done with an object of some kind. */
export type KindRule =
  | { readonly do: "take"; readonly apiVersions: readonly string[] }
  | { readonly do: "skip"; readonly because?: string }
  | { readonly do: "refuse"; readonly because: string };

const EVERYWHERE = "is of the whole cluster, and environments have a namespace each: leave it out";
const RIGHTS = "gives rights in the cluster, which environments have none of";

/** By group and kind. */
const table: ReadonlyMap<string, KindRule> = new Map<string, KindRule>([
  ["/Service", take("v1")],
  ["/ConfigMap", take("v1")],
  ["/Secret", take("v1")],
  ["/PersistentVolumeClaim", take("v1")],
  ["/ServiceAccount", take("v1")],
  ["apps/Deployment", take("apps/v1")],
  ["apps/StatefulSet", take("apps/v1")],
  ["batch/Job", take("batch/v1")],
  // Of 1.21 and later, and before.
  ["batch/CronJob", take("batch/v1", "batch/v1beta1")],
  ["/Namespace", { do: "skip" }],
  ["autoscaling/HorizontalPodAutoscaler", skip("environments are not scaled")],
  ["policy/PodDisruptionBudget", skip("it would hold up nodes for the sake of one environment")],
  ["networking.k8s.io/Ingress", skip("environments are reached through ssh; forward a port")],
  ["extensions/Ingress", skip("environments are reached through ssh; forward a port")],
  ["networking.k8s.io/NetworkPolicy", skip("environments have Slipway's own")],
  ["rbac.authorization.k8s.io/Role", skip(`it ${RIGHTS}`)],
  ["rbac.authorization.k8s.io/RoleBinding", skip(`it ${RIGHTS}`)],
  ["/ResourceQuota", skip("environments have Slipway's own")],
  ["/LimitRange", skip("environments have Slipway's own")],
  ["/Pod", refuse("does not come back once it is gone: write a Deployment")],
  ["apps/ReplicaSet", refuse("cannot be followed by us: write a Deployment")],
  ["/ReplicationController", refuse("cannot be followed by us: write a Deployment")],
  ["apps/DaemonSet", refuse("would run on every node: write a Deployment, or leave it out")],
  ["rbac.authorization.k8s.io/ClusterRole", refuse(`${RIGHTS}: leave it out`)],
  ["rbac.authorization.k8s.io/ClusterRoleBinding", refuse(`${RIGHTS}: leave it out`)],
  ["apiextensions.k8s.io/CustomResourceDefinition", refuse(EVERYWHERE)],
  ["/PersistentVolume", refuse(EVERYWHERE)],
  ["storage.k8s.io/StorageClass", refuse(EVERYWHERE)],
  ["scheduling.k8s.io/PriorityClass", refuse(EVERYWHERE)],
]);

/** Whole groups that only describe how others reach or watch an application. */
const groups: ReadonlyMap<string, KindRule> = new Map<string, KindRule>([
  ["gateway.networking.k8s.io", skip("environments are reached through ssh; forward a port")],
  ["monitoring.coreos.com", skip("environments are not watched by the cluster's monitoring")],
  ["autoscaling.k8s.io", skip("environments are not scaled")],
  ["cert-manager.io", skip("environments get no certificates")],
]);

/** The kinds that are taken, for sentences. */
const TAKEN =
  "Deployment, StatefulSet, Service, ConfigMap, Secret, Job, CronJob, PersistentVolumeClaim, ServiceAccount";

function take(...apiVersions: string[]): KindRule {
  return { do: "take", apiVersions };
}

function skip(because: string): KindRule {
  return { do: "skip", because };
}

function refuse(because: string): KindRule {
  return { do: "refuse", because };
}

/** Says what is done with an object of a kind. */
export function ruleFor(apiVersion: string, kind: string): KindRule {
  const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
  const rule = table.get(`${group}/${kind}`) ?? groups.get(group);
  if (rule === undefined) return refuse(`is no kind that environments take (${TAKEN}): leave it out`);
  if (rule.do !== "take" || rule.apiVersions.includes(apiVersion)) return rule;
  return refuse(`is not taken of ${apiVersion}: write ${rule.apiVersions.join(" or ")}`);
}

/** Where the template of its pods is in an object; `undefined` for kinds that have no pods. */
export function templatePath(kind: string): readonly string[] | undefined {
  if (kind === "Deployment" || kind === "StatefulSet" || kind === "Job") return ["spec", "template"];
  return kind === "CronJob" ? ["spec", "jobTemplate", "spec", "template"] : undefined;
}
