import { expect, test } from "vitest";
import { rolesOf, rulesOf } from "./rules.ts";

const core = (verb: string, resource: string) => ({ verb, group: "", resource });

test("rulesOf() puts together what has the same verbs in one group, and nothing else", () => {
  const rules = rulesOf([
    core("get", "pods"),
    core("create", "pods"),
    core("create", "services"),
    core("get", "services"),
    core("get", "services"),
    { verb: "create", group: "", resource: "pods", subresource: "exec" },
    { verb: "get", group: "apps", resource: "deployments" },
  ]);
  expect(rules).toEqual([
    { apiGroups: [""], resources: ["pods", "services"], verbs: ["create", "get"] },
    { apiGroups: [""], resources: ["pods/exec"], verbs: ["create"] },
    { apiGroups: ["apps"], resources: ["deployments"], verbs: ["get"] },
  ]);
});

test("rolesOf() makes a cluster's role and one for each namespace, with their bindings", () => {
  const permissions = [core("list", "pods"), { ...core("get", "secrets"), namespace: "slipway" }];
  const roles = rolesOf(permissions, { name: "x", subject: { kind: "User", name: "ada" } });
  const subjects = [{ kind: "User", name: "ada", apiGroup: "rbac.authorization.k8s.io" }];
  expect(roles).toEqual([
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "x" },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "x" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "x" },
      subjects,
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "x", namespace: "slipway" },
      rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "x", namespace: "slipway" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "x" },
      subjects,
    },
  ]);
});
