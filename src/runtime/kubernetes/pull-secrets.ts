/**
 * Copies the credentials of private registries into the namespace of an environment: pods find those of their own namespace
 * alone.
 *
 * Called by `starting.ts` at each start, so that new credentials arrive with the next one.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { ObjectFacts } from "../../policy/kubernetes/facts.ts";
import { makeObject } from "../../policy/kubernetes/make-object.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { Cluster } from "./cluster.ts";

/** https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets: no other secret is for this. */
const TYPES: readonly unknown[] = ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"];

/** Makes the copies, to be applied. @throws {Fault} `cluster.refused` when one is not there, or is something else */
export async function copyPullSecrets(
  { api, settings }: Pick<Cluster, "api" | "settings">,
  facts: ObjectFacts,
  signal: AbortSignal,
): Promise<KubernetesObject[]> {
  const { pullSecrets, pullSecretsFrom: namespace } = settings.images;
  return Promise.all(
    pullSecrets.map(async (name) => {
      const secret = await api.read({ of: kinds.secret, namespace, name }, signal);
      const { type, data }: Partial<KubernetesObject> = secret ?? {};
      if (TYPES.includes(type)) return makeObject(facts, kinds.secret, name, { type, data });
      const told = `the secret ${name}, for private images, is not in the namespace ${namespace} of the cluster ${settings.name}, or is not one for registries: an administrator has to put it there`;
      throw new Fault("cluster.refused", `Cannot copy ${namespace}/${name}: needs type ${TYPES.join(" or ")}`, {
        told,
      });
    }),
  );
}
