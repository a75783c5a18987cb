/**
 * What an installation has to be allowed to do in a cluster, and nothing more: one table for `slip check --online`, which
 * tries each, and for the role that `slip install kubernetes` writes.
 *
 * Rights are asked for in all namespaces, since those of environments come and go.
 *
 * @module
 */

/** One thing to be allowed; the same shape as `Permission` of `runtime/kubernetes/api/cluster-api.ts`. */
export interface NeededPermission {
  readonly verb: string;
  /** "" is the core group. */
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
}

interface Row {
  readonly group: string;
  /** `pods/exec` is a subresource. */
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Server-side apply, which is a `patch`, and a `create` too where there is nothing yet. */
const APPLY = ["create", "patch"] as const;
const SEE = ["list", "watch"] as const;

const table: readonly Row[] = [
  { group: "", resources: ["namespaces"], verbs: [...APPLY, ...SEE, "get", "delete"] },
  { group: "", resources: ["pods"], verbs: [...APPLY, ...SEE, "delete"] },
  // `get` for servers before 1.35, which ask for that when the stream is a WebSocket.
  { group: "", resources: ["pods/exec"], verbs: ["get", "create"] },
  // Read for host keys, and for the credentials of registries.
  { group: "", resources: ["secrets"], verbs: [...APPLY, "get", "delete"] },
  // Deleted once the manifests of a repository have them no more.
  { group: "", resources: ["configmaps", "services", "serviceaccounts"], verbs: [...APPLY, "delete"] },
  // These go with their namespace.
  { group: "", resources: ["persistentvolumeclaims", "resourcequotas", "limitranges"], verbs: APPLY },
  { group: "networking.k8s.io", resources: ["networkpolicies"], verbs: APPLY },
  // Why a workload has no pods.
  { group: "", resources: ["events"], verbs: ["list"] },
  { group: "apps", resources: ["deployments"], verbs: [...APPLY, "get", "list", "delete"] },
  { group: "apps", resources: ["statefulsets"], verbs: [...APPLY, "list", "delete"] },
  // Listed to be put to rest.
  { group: "batch", resources: ["jobs", "cronjobs"], verbs: [...APPLY, "list", "delete"] },
];

/** Lists everything that is needed. */
export function neededPermissions(): NeededPermission[] {
  return table.flatMap(({ group, resources, verbs }) =>
    resources.flatMap((name) => {
      const [resource = "", subresource] = name.split("/");
      return verbs.map((verb) => ({ verb, group, resource, ...(subresource === undefined ? {} : { subresource }) }));
    }),
  );
}
