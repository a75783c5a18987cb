/**
 * What a cluster refuses: an image that is not there, a quota that is used up, an admission webhook that says no or is away.
 * People are told in the cluster's own words, and what they have is whole when the cause is gone.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openWebhook } from "./open-webhook.ts";
import { HOOK_MS, lobby, SLOW_MS, untilNoneLeft, useFaulty } from "./use-faulty.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");
const kustomization = readFileSync(join(EXAMPLES, "hello-kubernetes/k8s/kustomization.yaml"), "utf8");
const faulty = useFaulty({
  repositories: {
    lost: { definition: '{ "image": "slipway.test/nowhere:1" }' },
    plain: { definition: "{}" },
    shop: { example: "hello-kubernetes", files: { "k8s/kustomization.yaml": kustomization.replace("0.1.0", "test") } },
  },
});

const LOGINS = ["plain-main", "shop-main"] as const;

/** Logs in to all at the same time. @returns how each ended */
async function loginToAll() {
  const ada = faulty().service.as("ada");
  return Promise.all(LOGINS.map((login) => ada.ssh([`${login}@slipway`, "cat kept"], { timeoutMs: SLOW_MS })));
}

test("an image that is not there is told, and nothing stays", async () => {
  const { service, namespaces } = faulty();
  const { exitCode, stderr } = await service.as("ada").ssh(["lost-main@slipway", "true"], { timeoutMs: SLOW_MS });
  expect(exitCode).toBe(255);
  expect(stderr).toMatch(
    /this environment does not start: the image slipway\.test\/nowhere:1 is not on the node, and is never pulled/,
  );
  await untilNoneLeft({ namespaces });
  expect(JSON.parse((await service.as("ada").lobby("ls", "--json")).stdout)).toEqual([]);
});

test(
  "a quota that is used up is told by a pod of its own and by one of a Deployment",
  { timeout: HOOK_MS },
  async () => {
    const { service, kubectl, apply, namespaceOf } = faulty();
    const ada = service.as("ada");
    const made = LOGINS.map((login) => ada.ssh([`${login}@slipway`, "echo mine >kept"], { timeoutMs: SLOW_MS }));
    for (const { exitCode } of await Promise.all(made)) expect(exitCode).toBe(0);
    for (const login of LOGINS) expect((await lobby(ada, "sleep", login)).exitCode).toBe(0);
    const spaces = await Promise.all(LOGINS.map(namespaceOf));
    const quota = (namespace: string) => ({
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name: "shut", namespace },
      spec: { hard: { pods: "0" } },
    });
    await apply(...spaces.map(quota));
    for (const { exitCode, stderr } of await loginToAll()) {
      expect(exitCode).toBe(255);
      expect(stderr).toMatch(/forbidden: exceeded quota: shut, requested: pods=1, used: pods=0, limited: pods=0/);
    }
    for (const space of spaces) await kubectl("-n", space, "delete", "resourcequota", "shut");
  },
);

test(
  "a webhook that refuses pods is told in its own words, and so is one that is away",
  { timeout: HOOK_MS },
  async () => {
    const { service, prefix, kubectl, apply, namespaceOf } = faulty();
    const space = await namespaceOf("plain-main");
    const label = "jsonpath={.metadata.labels.slipway\\.dev/installation}";
    const installation = await kubectl("get", "namespace", space, "-o", label);
    const webhook = await openWebhook("no pods on Saturdays");
    const name = `${prefix}saturday`;
    try {
      await apply(webhook.configuration(name, { "slipway.dev/installation": installation }));
      for (const { exitCode, stderr } of await loginToAll()) {
        expect(exitCode).toBe(255);
        expect(stderr).toMatch(/admission webhook "pods\.slipway\.test" denied the request: no pods on Saturdays/);
      }
      await webhook[Symbol.asyncDispose]();
      const { exitCode, stderr } = await service.as("ada").ssh(["plain-main@slipway", "true"], { timeoutMs: SLOW_MS });
      expect([exitCode, stderr]).toEqual([255, expect.stringMatching(/failed calling webhook "pods\.slipway\.test"/)]);
    } finally {
      await webhook[Symbol.asyncDispose]();
      await kubectl("delete", "validatingwebhookconfiguration", name);
    }
    for (const { exitCode, stdout } of await loginToAll()) expect([exitCode, stdout]).toEqual([0, "mine\n"]);
  },
);
