import { expect, test } from "vitest";
import { objectFacts } from "../../../test/fakes/object-facts.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { copyPullSecrets } from "./pull-secrets.ts";

const TYPE = "kubernetes.io/dockerconfigjson";

/** Copies `registry`, where the namespace `slipway` has these secrets. */
async function copy(there: Readonly<Record<string, Readonly<Record<string, unknown>>>>): Promise<KubernetesObject[]> {
  const facts = objectFacts();
  const { cluster } = facts;
  const settings = { ...cluster, images: { ...cluster.images, pullSecrets: ["registry"] } };
  const read = async ({ of, namespace = "", name }: { of: unknown; namespace?: string; name: string }) => {
    const found = of === kinds.secret ? there[`${namespace}/${name}`] : undefined;
    return found === undefined ? undefined : { apiVersion: "v1", kind: "Secret", metadata: { name }, ...found };
  };
  return copyPullSecrets({ api: { read } as never, settings }, facts, new AbortController().signal);
}

test("copyPullSecrets() copies what is for registries into the environment, as an object of ours", async () => {
  const data = { ".dockerconfigjson": "e30=" };
  const [secret, ...others] = await copy({ "slipway/registry": { type: TYPE, data } });
  expect(others).toEqual([]);
  expect(secret).toMatchObject({ kind: "Secret", type: TYPE, data, metadata: { name: "registry" } });
  expect(secret?.metadata.namespace).toMatch(/^slipway-/);
  expect(Object.keys(secret?.metadata.labels ?? {})).toContain("slipway.dev/installation");
});

test.each([
  ["is not there", {}],
  ["is in another namespace", { "default/registry": { type: TYPE, data: {} } }],
  ["is for something else", { "slipway/registry": { type: "Opaque", data: { password: "eA==" } } }],
])("copyPullSecrets() refuses one that %s, and says who has to do what", async (_, there) => {
  await expect(copy(there)).rejects.toMatchObject({
    code: "cluster.refused",
    told: expect.stringContaining("the secret registry, for private images, is not in the namespace slipway") as string,
  });
});
