/**
 * From what has to be allowed to the rules of a role, as short as they can be without allowing more.
 *
 * Called for `slip install kubernetes` and `slip check --online`.
 *
 * @module
 */
import type { Permission } from "../../runtime/kubernetes/api/cluster-api.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";

/** https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/cluster-role-v1/ */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Who a role is for. */
export interface Subject {
  readonly kind: "ServiceAccount" | "User";
  readonly name: string;
  /** Of a service account. */
  readonly namespace?: string;
}

const RBAC = "rbac.authorization.k8s.io";

/** Makes the rules that allow just these. */
export function rulesOf(permissions: readonly Permission[]): PolicyRule[] {
  const verbs = new Map<string, { group: string; resource: string; verbs: Set<string> }>();
  for (const { group, resource, subresource, verb } of permissions) {
    const name = subresource === undefined ? resource : `${resource}/${subresource}`;
    const entry = verbs.get(`${group} ${name}`) ?? { group, resource: name, verbs: new Set() };
    entry.verbs.add(verb);
    verbs.set(`${group} ${name}`, entry);
  }
  const rules = new Map<string, { apiGroups: string[]; resources: string[]; verbs: string[] }>();
  for (const { group, resource, verbs: own } of verbs.values()) {
    const sorted = [...own].toSorted();
    const key = `${group} ${sorted.join(",")}`;
    const rule = rules.get(key) ?? { apiGroups: [group], resources: [], verbs: sorted };
    rule.resources.push(resource);
    rules.set(key, rule);
  }
  return [...rules.values()];
}

export interface RoleFacts {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly subject: Subject;
}

/** Makes a role with its binding for what is needed everywhere, and one for each namespace that some of it is needed in. */
export function rolesOf(permissions: readonly Permission[], facts: RoleFacts): KubernetesObject[] {
  const namespaces = [...new Set(permissions.map(({ namespace }) => namespace))];
  return namespaces.flatMap((namespace) => {
    const own = permissions.filter((permission) => permission.namespace === namespace);
    return roleOf(rulesOf(own), namespace, facts);
  });
}

function roleOf(rules: PolicyRule[], namespace: string | undefined, facts: RoleFacts): KubernetesObject[] {
  const { name, labels, subject } = facts;
  const metadata = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
  };
  const kind = namespace === undefined ? "ClusterRole" : "Role";
  const subjects = [{ ...subject, ...(subject.kind === "User" ? { apiGroup: RBAC } : {}) }];
  return [
    { apiVersion: `${RBAC}/v1`, kind, metadata, rules },
    { apiVersion: `${RBAC}/v1`, kind: `${kind}Binding`, metadata, roleRef: { apiGroup: RBAC, kind, name }, subjects },
  ];
}
