/**
 * A service account that may do what it is told and nothing else, and the kubeconfig file of it.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { z } from "zod";
import { writeYaml } from "../../src/base/write-yaml.ts";
import { parseYaml } from "../../src/base/yaml.ts";
import type { NeededPermission } from "../../src/policy/kubernetes/needed-permissions.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";

export interface Rights {
  /** Of its namespace, role and binding; whoever made them removes them. */
  readonly name: string;
  readonly permissions: readonly NeededPermission[];
}

function ruleOf({ verb, group, resource, subresource }: NeededPermission) {
  const of = subresource === undefined ? resource : `${resource}/${subresource}`;
  return { apiGroups: [group], resources: [of], verbs: [verb] };
}

const Kubeconfig = z.looseObject({ users: z.array(z.looseObject({ name: z.string() })) });

/** Makes the account `slip`, and writes the file. */
export async function writeKubeconfig(path: string, { name, permissions }: Rights): Promise<void> {
  const cluster = await sharedCluster();
  await cluster.kubectl("create", "namespace", name);
  await cluster.kubectl("-n", name, "create", "serviceaccount", "slip");
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name };
  const subjects = [{ kind: "ServiceAccount", name: "slip", namespace: name }];
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const objects = [
    { apiVersion, kind: "ClusterRole", metadata: { name }, rules: permissions.map(ruleOf) },
    { apiVersion, kind: "ClusterRoleBinding", metadata: { name }, roleRef, subjects },
  ];
  await cluster.kubectlWith(writeYaml(objects), "apply", "-f", "-");
  const token = (await cluster.kubectl("-n", name, "create", "token", "slip")).trim();
  const view = await cluster.kubectl("config", "view", "--raw", "--minify", "--flatten");
  const config = Kubeconfig.parse(parseYaml(view, "kubeconfig"));
  const users = config.users.map((user) => ({ name: user.name, user: { token } }));
  writeFileSync(path, writeYaml([{ ...config, users }]), { mode: 0o600 });
}
