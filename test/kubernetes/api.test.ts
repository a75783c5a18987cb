import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { writeYaml } from "../../src/base/write-yaml.ts";
import { parseYaml } from "../../src/base/yaml.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { cronJobKind, isSupported } from "../../src/runtime/kubernetes/api/versions.ts";
import { type KubernetesObject, kinds, type ObjectRef } from "../../src/wire/kubernetes.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";
import { openApi } from "./use-cluster.ts";

const space = `api-test-${randomBytes(3).toString("hex")}`;
const soon = () => AbortSignal.timeout(30_000);
let api: ClusterApi;

function configMap(name: string, labels: Record<string, string> = {}, data = {}): KubernetesObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: space, labels }, data };
}

function refTo(name: string): ObjectRef {
  return { of: kinds.configMap, namespace: space, name };
}

beforeAll(async () => {
  api = await openApi();
  await api.apply(kinds.namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: space } }, soon());
});

afterAll(async () => {
  await api.remove({ of: kinds.namespace, name: space }, {}, soon());
  await api[Symbol.asyncDispose]();
});

test("version() is one that we support", async () => {
  expect(isSupported(await api.version(soon()))).toBe(true);
});

test("apply() makes an object, changes nothing the second time in one request, and takes back what others changed", async () => {
  const made = await api.apply(kinds.configMap, configMap("applied", { a: "1" }, { x: "1" }), soon());
  const before = api.requestCounts().get("patch configmaps") ?? 0;
  const again = await api.apply(kinds.configMap, configMap("applied", { a: "1" }, { x: "1" }), soon());
  expect(again).toEqual(made);
  expect(made.metadata).not.toHaveProperty("managedFields");
  expect(api.requestCounts().get("patch configmaps")).toBe(before + 1);
  await (await sharedCluster()).kubectl("-n", space, "patch", "configmap", "applied", "-p", '{"data":{"x":"2"}}');
  const back = await api.apply(kinds.configMap, configMap("applied", {}, { x: "1" }), soon());
  expect(back["data"]).toEqual({ x: "1" });
  expect(back.metadata.labels).toBeUndefined();
});

test("create(), read(), merge() and remove() do as they say, and say what there is not", async () => {
  expect(await api.read(refTo("made"), soon())).toBeUndefined();
  expect(await api.merge(refTo("made"), { data: {} }, soon())).toBeUndefined();
  const made = await api.create(kinds.configMap, configMap("made"), soon());
  expect(await api.create(kinds.configMap, configMap("made"), soon())).toBeUndefined();
  const merged = await api.merge(refTo("made"), { metadata: { labels: { a: "b" }, annotations: null } }, soon());
  expect(merged?.metadata.labels).toEqual({ a: "b" });
  expect(await api.read(refTo("made"), soon())).toEqual(merged);
  expect(await api.list(kinds.configMap, { namespace: space, labelSelector: "a=b" }, soon())).toEqual([merged]);
  expect(await api.remove(refTo("made"), { uid: "another" }, soon())).toBe("gone");
  expect(await api.read(refTo("made"), soon())).toBeDefined();
  expect(await api.remove(refTo("made"), { uid: made?.metadata.uid ?? "" }, soon())).toBe("gone");
  expect(await api.remove(refTo("made"), {}, soon())).toBe("gone");
});

test("remove() says of what something holds that it is going", async () => {
  await api.apply(kinds.configMap, configMap("held"), soon());
  await api.merge(refTo("held"), { metadata: { finalizers: ["slipway.example/hold"] } }, soon());
  expect(await api.remove(refTo("held"), {}, soon())).toBe("going");
  expect(await api.remove(refTo("held"), {}, soon())).toBe("going");
  await api.merge(refTo("held"), { metadata: { finalizers: null } }, soon());
  expect(await api.read(refTo("held"), soon())).toBeUndefined();
});

test("apply() of what the server will not have is cluster.refused with its words", async () => {
  const refused = api.apply(kinds.configMap, configMap("Not_A_Name"), soon());
  await expect(refused).rejects.toMatchObject({ code: "cluster.refused" });
  await expect(refused).rejects.toThrow("metadata.name: Invalid value");
});

test("watch() tells of what comes, changes, leaves the selector and goes", async () => {
  const watch = api.watch(kinds.configMap, { namespace: space, labelSelector: "watched=yes" });
  const told: string[] = [];
  watch.onChange(({ type, object }) => told.push(`${type} ${object.metadata.name}`));
  await watch.untilSynced(soon());
  const absent = (name: string) =>
    watch.until(() => (watch.find(space, name) === undefined ? true : undefined), soon());
  const present = (name: string) => watch.until(() => watch.find(space, name), soon());
  await api.apply(kinds.configMap, configMap("w1", { watched: "yes" }), soon());
  await api.apply(kinds.configMap, configMap("w2", { watched: "yes" }), soon());
  await api.apply(kinds.configMap, configMap("w3", { watched: "no" }), soon());
  await present("w2");
  await api.apply(kinds.configMap, configMap("w1", { watched: "no" }), soon());
  await api.remove(refTo("w2"), {}, soon());
  await absent("w1");
  await absent("w2");
  expect(told).toEqual(["set w1", "set w2", "gone w1", "gone w2"]);
  watch.close();
});

test("watch() and list() read what fills more than a page", async () => {
  const names = Array.from({ length: 520 }, (_, index) => `page-${index}`);
  const left = names.values();
  const make = async (): Promise<void> => {
    for (const name of left) await api.create(kinds.configMap, configMap(name, { paged: "yes" }), soon());
  };
  await Promise.all(Array.from({ length: 8 }, make));
  const where = { namespace: space, labelSelector: "paged=yes" };
  const before = api.requestCounts().get("list configmaps") ?? 0;
  expect(await api.list(kinds.configMap, where, soon())).toHaveLength(names.length);
  expect(api.requestCounts().get("list configmaps")).toBe(before + 2);
  const watch = api.watch(kinds.configMap, where);
  await watch.untilSynced(soon());
  expect(watch.all()).toHaveLength(names.length);
  watch.close();
});

test("findKind() knows what the server serves", async () => {
  const cronJob = cronJobKind(await api.version(soon())); // of another version on old servers
  for (const kind of Object.values({ ...kinds, cronJob })) {
    expect(await api.findKind(kind.apiVersion, kind.kind, soon())).toEqual(kind);
  }
  expect(await api.findKind("v1", "Nothing", soon())).toBeUndefined();
  expect(await api.findKind("nobody.example/v1", "Nothing", soon())).toBeUndefined();
});

const Kubeconfig = z.looseObject({ users: z.array(z.looseObject({ name: z.string() })) });

test("a service account that may little is told what it lacks, and refused the same", async () => {
  const cluster = await sharedCluster();
  await cluster.kubectl("-n", space, "create", "serviceaccount", "little");
  await cluster.kubectl("-n", space, "create", "role", "little", "--verb=get,list", "--resource=pods");
  await cluster.kubectl(
    "-n",
    space,
    "create",
    "rolebinding",
    "little",
    "--role=little",
    `--serviceaccount=${space}:little`,
  );
  const token = (await cluster.kubectl("-n", space, "create", "token", "little")).trim();
  const view = await cluster.kubectl("config", "view", "--raw", "--minify", "--flatten");
  const config = Kubeconfig.parse(parseYaml(view, "kubeconfig"));
  const folder = mkdtempSync(join(tmpdir(), "api-test-"));
  const path = join(folder, "kubeconfig");
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, token);
  const users = config.users.map(({ name }) => ({ name, user: { tokenFile: "token" } }));
  writeFileSync(path, writeYaml([{ ...config, users }]));
  try {
    await using little = await openApi(path);
    const asked = [
      { verb: "list", group: "", resource: "pods", namespace: space },
      { verb: "create", group: "", resource: "pods", subresource: "exec", namespace: space },
      { verb: "list", group: "", resource: "pods" },
    ];
    expect(await little.lacking(asked, soon())).toEqual(asked.slice(1));
    expect(await little.list(kinds.pod, { namespace: space }, soon())).toEqual([]);
    const refused = little.create(kinds.configMap, configMap("little"), soon());
    await expect(refused).rejects.toMatchObject({ code: "cluster.forbidden" });
    await expect(refused).rejects.toThrow(
      `Cannot create configmaps "little" in namespace "${space}" on cluster "test"`,
    );
    writeFileSync(tokenFile, "nonsense");
    await using nobody = await openApi(path);
    await expect(nobody.list(kinds.pod, { namespace: space }, soon())).rejects.toMatchObject({
      code: "cluster.forbidden",
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a server that is not there is cluster.unreached", async () => {
  const view = parseYaml(
    await (await sharedCluster()).kubectl("config", "view", "--raw", "--minify", "--flatten"),
    "kubeconfig",
  );
  const folder = mkdtempSync(join(tmpdir(), "api-test-"));
  const path = join(folder, "kubeconfig");
  writeFileSync(path, JSON.stringify(view).replace(/"server":"[^"]*"/, '"server":"https://127.0.0.1:1"'));
  try {
    await using away = await openApi(path);
    await expect(away.version(soon())).rejects.toMatchObject({ code: "cluster.unreached" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
