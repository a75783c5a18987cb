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

/** Server-side apply is a `patch`, and a `create` too where there is nothing yet. */
const APPLY = ["get", "create", "patch", "delete"] as const;
const SEE = ["list", "watch"] as const;

const table: readonly Row[] = [
  { group: "", resources: ["namespaces"], verbs: [...APPLY, ...SEE] },
  { group: "", resources: ["pods"], verbs: [...APPLY, ...SEE] },
  // `get` for servers before 1.35, which ask for that when the stream is a WebSocket.
  { group: "", resources: ["pods/exec"], verbs: ["get", "create"] },
  { group: "", resources: ["pods/log"], verbs: ["get"] },
  {
    group: "",
    resources: [
      ...["secrets", "configmaps", "services", "serviceaccounts"],
      ...["persistentvolumeclaims", "resourcequotas", "limitranges"],
    ],
    verbs: APPLY,
  },
  { group: "networking.k8s.io", resources: ["networkpolicies"], verbs: APPLY },
  { group: "apps", resources: ["deployments", "statefulsets"], verbs: [...APPLY, "list"] },
  { group: "batch", resources: ["jobs", "cronjobs"], verbs: [...APPLY, "list"] },
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
