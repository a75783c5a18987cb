import { expect, test } from "vitest";
import { Fault } from "../base/fault.ts";
import { parseYamlDocuments } from "../base/yaml.ts";
import type { Permission } from "../runtime/kubernetes/api/cluster-api.ts";
import { faultOf, ServerStatus } from "../runtime/kubernetes/api/server-status.ts";
import type { InspectedApi } from "../runtime/kubernetes/inspecting.ts";
import type { ClusterSettings } from "../wire/cluster-settings.ts";
import type { KubernetesObject, ObjectRef } from "../wire/kubernetes.ts";
import { checkSettings } from "../wire/settings.ts";
import { checkClusters } from "./check-clusters.ts";

const needed: readonly Permission[] = [
  { verb: "create", group: "", resource: "namespaces" },
  { verb: "create", group: "", resource: "pods", subresource: "exec" },
  { verb: "get", group: "apps", resource: "deployments" },
];

/** A cluster of the settings. */
function cluster(more = ""): ClusterSettings {
  // Made by ssh-keygen for this test.
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt";
  const text = `version: 1\npeople: { ada: { keys: ["${key}"] } }\nclusters: { west: { kubeconfig: w${more} } }\n`;
  const [first] = checkSettings(text, "test").clusters;
  if (first === undefined) throw new Error("Cannot use the settings of the test");
  return first;
}

interface Cluster {
  readonly minor?: number;
  /** Verbs that are not allowed. */
  readonly forbidden?: readonly string[];
  /** As the cluster calls us. */
  readonly user?: string;
  /** Names of storage classes, the first being the default; `undefined`: they cannot be looked at. */
  readonly storageClasses?: readonly string[] | undefined;
}

/** A cluster that says what the real one says; the same is shown on a real one by test/kubernetes/check.test.ts. */
function fake(facts: Cluster): InspectedApi & AsyncDisposable {
  const { minor = 20, forbidden = [], user = "ada" } = facts;
  const classes = "storageClasses" in facts ? facts.storageClasses : ["local"];
  const refuse = (verb: string, resource: string): never => {
    const message = `${resource} is forbidden: User "${user}" cannot ${verb} resource "${resource}" at the cluster scope`;
    throw faultOf(
      "west",
      { verb, resource },
      new ServerStatus(message, { code: 403, reason: "Forbidden", causes: [] }),
    );
  };
  const classOf = (name: string, isDefault: boolean): KubernetesObject => ({
    ...{ apiVersion: "storage.k8s.io/v1", kind: "StorageClass" },
    metadata: { name, annotations: { "storageclass.kubernetes.io/is-default-class": String(isDefault) } },
  });
  return {
    version: async () => ({ major: 1, minor, text: `v1.${minor}.2` }),
    lacking: async (asked) => asked.filter(({ verb }) => forbidden.includes(verb)),
    read: async ({ of, name }: ObjectRef) => {
      if (of.kind !== "StorageClass" || classes === undefined) return refuse("get", of.resource);
      return classes.includes(name) ? classOf(name, false) : undefined;
    },
    list: async (of) => {
      if (classes === undefined) return refuse("list", of.resource);
      return classes.map((name, at) => classOf(name, at === 0));
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function check(facts: Cluster, settings = cluster()) {
  const [checked] = await checkClusters([settings], { open: async () => fake(facts), needed });
  const rows = checked?.findings.map(({ isGood, text }) => `${isGood ? "ok" : "missing"} ${text}`);
  return { rows, role: checked?.missingRole };
}

/** The name of a role. */
function nameIn(role: string | undefined): string | undefined {
  return /slipway:missing-[0-9a-z]+/.exec(role ?? "")?.[0];
}

const IMAGES = "ok takes images slipway/toolbox:0.1.0 and debian:bookworm-slim";

test("checkClusters() finds nothing missing in a cluster that has everything", async () => {
  expect(await check({})).toEqual({
    rows: ["ok v1.20.2 answers", "ok allows all 3 things that are needed", "ok has the storage class local", IMAGES],
    role: undefined,
  });
});

test("checkClusters() writes the role that is missing for the service account that we are", async () => {
  const { rows, role } = await check({ forbidden: ["create"], user: "system:serviceaccount:tools:slip" });
  expect(rows).toEqual([
    "ok v1.20.2 answers",
    "missing may not create namespaces",
    "missing may not create pods/exec",
    "ok has the storage class local",
    IMAGES,
  ]);
  expect(role).toMatch(/^# What is missing on cluster west, for kubectl apply -f:\n/);
  const name = nameIn(role);
  expect(parseYamlDocuments(role ?? "", "role")).toEqual([
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name },
      rules: [{ apiGroups: [""], resources: ["namespaces", "pods/exec"], verbs: ["create"] }],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", name: "slip", namespace: "tools" }],
    },
  ]);
});

test("checkClusters() names another role when something else is missing, so that applying it takes nothing away", async () => {
  const first = await check({ forbidden: ["create"] });
  const second = await check({ forbidden: ["get"] });
  expect(nameIn(first.role)).not.toBe(nameIn(second.role));
  expect(second.role).toContain("kind: User\n    name: ada\n");
});

test.each<[string, Cluster, ClusterSettings, string]>([
  ["a server that is too old", { minor: 19 }, cluster(), "missing v1.19.2 answers, needs 1.20 or later"],
  [
    "no default storage class",
    { storageClasses: [] },
    cluster(),
    "missing has no default storage class; needs workspace.storageClass, or workspace.ephemeral: true",
  ],
  [
    "a storage class that is not there",
    {},
    cluster(", workspace: { storageClass: fast }"),
    "missing has no storage class fast",
  ],
  [
    "storage classes that we may not look at",
    { storageClasses: undefined },
    cluster(),
    "ok does not let us look at storage classes, so whether there is one is not known",
  ],
  [
    "no need for volumes",
    { storageClasses: undefined },
    cluster(", workspace: { ephemeral: true }"),
    "ok keeps no files of environments that sleep, as is set",
  ],
])("checkClusters() tells of %s", async (_, facts, settings, row) => {
  expect((await check(facts, settings)).rows).toContain(row);
});

test("checkClusters() tells in a sentence of a cluster that does not answer, and looks at the others", async () => {
  const away = new Fault("cluster.unreached", 'Cannot get version on cluster "west": connect ECONNREFUSED');
  const open = async ({ name }: ClusterSettings) => (name === "away" ? Promise.reject(away) : fake({}));
  const checked = await checkClusters([{ ...cluster(), name: "away" }, cluster()], { open, needed });
  expect(checked.map(({ cluster: name, findings }) => [name, findings.length])).toEqual([
    ["away", 1],
    ["west", 4],
  ]);
  expect(checked[0]?.findings).toEqual([{ isGood: false, text: away.message }]);
});
