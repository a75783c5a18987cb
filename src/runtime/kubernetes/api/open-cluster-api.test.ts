import { afterEach, expect, test } from "vitest";

import { ClusterServer, refuse } from "../../../../test/fakes/cluster-server.ts";
import { fastClock } from "../../../../test/fakes/fast-clock.ts";
import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../../../test/fakes/recording-log.ts";
import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import { type KubernetesObject, kinds } from "../../../wire/kubernetes.ts";
import type { ResolvedAccess } from "./access.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { openClusterApi } from "./open-cluster-api.ts";
import { statusOf } from "./server-status.ts";

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

async function open(
  access: Partial<ResolvedAccess> = {},
  requestRate = { perSecond: 1_000, burst: 1_000 },
  clock: Clock = fastClock(10),
) {
  const server = await ClusterServer.open();
  opened.push(server);
  const options = { name: "one", access: { ...server.access, ...access }, requestRate, clock };
  const api: ClusterApi = await openClusterApi({ ...options, log: recordingLog().log });
  opened.push(api);
  return { server, api };
}

function soon(ms = 20_000): AbortSignal {
  return AbortSignal.timeout(ms);
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("No fault was thrown");
}

const ref = { of: kinds.configMap, namespace: "a", name: "x" } as const;
const object: KubernetesObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", namespace: "a" } };
const sent = { ...object, metadata: { ...object.metadata, uid: "u", resourceVersion: "1", managedFields: [{}] } };

function answerWith({ server }: { server: ClusterServer }, ...answers: readonly (readonly [number, object])[]): void {
  let count = 0;
  server.onRequest = (_, response) => {
    const [code, body] = answers[Math.min(count, answers.length - 1)] ?? [500, {}];
    count += 1;
    if (code >= 400) return refuse(response, code, { ...body });
    response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
    return true;
  };
}

test("apply() sends all of an object as the field manager slipway, by force", async () => {
  const world = await open();
  answerWith(world, [200, sent]);
  const got = await world.api.apply(kinds.configMap, object, soon());
  expect(got).toEqual({ ...object, metadata: { ...object.metadata, uid: "u", resourceVersion: "1" } });
  const [request] = world.server.seen;
  expect(request).toMatchObject({ method: "PATCH", body: JSON.stringify(object) });
  expect(`${request?.url.pathname}${request?.url.search}`).toBe(
    "/api/v1/namespaces/a/configmaps/x?fieldManager=slipway&force=true",
  );
  expect(request?.headers).toMatchObject({
    "content-type": "application/apply-patch+yaml",
    authorization: "Bearer secret-of-ours",
    "user-agent": "slipway/0.1",
  });
});

test("read(), create(), merge() and remove() say what is not there, or there already, by their answers", async () => {
  const world = await open();
  answerWith(world, [404, { reason: "NotFound" }]);
  expect(await world.api.read(ref, soon())).toBeUndefined();
  expect(await world.api.merge(ref, { metadata: {} }, soon())).toBeUndefined();
  expect(await world.api.remove(ref, {}, soon())).toBe("gone");
  answerWith(world, [409, { reason: "AlreadyExists" }]);
  expect(await world.api.create(kinds.configMap, object, soon())).toBeUndefined();
  expect(world.server.seen.map(({ method }) => method)).toEqual(["GET", "PATCH", "DELETE", "POST"]);
});

test("remove() tells what still is on its way out from what is gone", async () => {
  const world = await open();
  answerWith(world, [200, { kind: "Status", status: "Success" }]);
  expect(await world.api.remove(ref, { uid: "u", propagation: "foreground", graceSeconds: 0 }, soon())).toBe("gone");
  expect(JSON.parse(world.server.seen[0]?.body ?? "")).toEqual({
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: "Foreground",
    preconditions: { uid: "u" },
    gracePeriodSeconds: 0,
  });
  answerWith(world, [200, sent]);
  expect(await world.api.remove(ref, {}, soon())).toBe("going");
  answerWith(world, [409, { message: "the UID in the precondition (u) does not match the UID in record (v)" }]);
  expect(await world.api.remove(ref, { uid: "u" }, soon())).toBe("gone");
});

test("a permission that is missing is cluster.forbidden and names verb, resource and namespace; a quota is not", async () => {
  const world = await open();
  const message = 'configmaps "x" is forbidden: User "slip" cannot patch resource "configmaps" in API group ""';
  answerWith(world, [403, { reason: "Forbidden", message }]);
  const fault = await faultOf(world.api.apply(kinds.configMap, object, soon()));
  expect(fault).toMatchObject({
    code: "cluster.forbidden",
    message: `Cannot patch configmaps "x" in namespace "a" on cluster "one": ${message}`,
    told: 'Slipway may not patch configmaps "x" in namespace "a" on the cluster "one"; "slip check --online" prints the role that is missing',
  });
  answerWith(world, [403, { reason: "Forbidden", message: 'configmaps "x" is forbidden: exceeded quota: q' }]);
  const quota = await faultOf(world.api.create(kinds.configMap, object, soon()));
  expect(quota).toMatchObject({ code: "cluster.refused" });
  expect(statusOf(quota)).toMatchObject({ code: 403, reason: "Forbidden" });
  expect(world.server.seen).toHaveLength(2);
});

test("a refusal is not asked again, and has the server's words on one line", async () => {
  const world = await open();
  answerWith(world, [422, { reason: "Invalid", message: "spec.x: Invalid value:\n\u001b[31mbad" }]);
  expect(await faultOf(world.api.apply(kinds.configMap, object, soon()))).toMatchObject({
    code: "cluster.refused",
    told: 'the cluster "one" says: spec.x: Invalid value: [31mbad',
  });
  expect(world.server.seen).toHaveLength(1);
});

test.each([429, 500, 503, 504])(
  "what can be repeated is sent again after %i, after the time asked for",
  async (code) => {
    const world = await open();
    answerWith(world, [code, { headers: { "retry-after": "3" } }], [200, sent]);
    const startMs = performance.now();
    await world.api.apply(kinds.configMap, object, soon());
    expect(performance.now() - startMs).toBeGreaterThan(290); // the clock is ten times as fast
    expect(world.server.seen).toHaveLength(2);
  },
);

test("create() is sent again only where it cannot have been done", async () => {
  const world = await open();
  answerWith(world, [503, { message: "starting" }]);
  expect(await faultOf(world.api.create(kinds.configMap, object, soon()))).toMatchObject({ code: "cluster.unreached" });
  expect(world.server.seen).toHaveLength(1);
  answerWith(world, [429, {}], [201, sent]);
  expect(await world.api.create(kinds.configMap, object, soon())).toBeDefined();
  expect(world.server.seen).toHaveLength(3);
  world.server.onRequest = (_, response) => {
    response.socket?.destroy();
    return true;
  };
  expect(await faultOf(world.api.create(kinds.configMap, object, soon()))).toMatchObject({ code: "cluster.unreached" });
  expect(world.server.seen).toHaveLength(4);
});

test("merge() for one version of an object is not sent again when nobody knows whether it was done", async () => {
  const world = await open();
  answerWith(world, [500, {}]);
  await faultOf(world.api.merge(ref, { metadata: { resourceVersion: "1" } }, soon()));
  expect(world.server.seen).toHaveLength(1);
  await faultOf(world.api.merge(ref, { metadata: { labels: { a: "b" } } }, soon()));
  expect(world.server.seen).toHaveLength(5);
});

test("read() is sent again when the connection broke, and gives up after four times with what broke it", async () => {
  const world = await open();
  world.server.onRequest = (_, response) => {
    response.writeHead(200, { "content-length": "100" }).write("{", () => response.socket?.destroy());
    return true;
  };
  const fault = await faultOf(world.api.read(ref, soon()));
  expect(fault).toMatchObject({ code: "cluster.unreached", told: 'the cluster "one" does not answer' });
  expect(world.server.seen).toHaveLength(4);
});

test("a server that is away is cluster.unreached, and used again as soon as it is there", async () => {
  const world = await open();
  await world.server.stop();
  expect((await faultOf(world.api.read(ref, soon()))).message).toContain("ECONNREFUSED");
  await world.server.start();
  answerWith(world, [200, sent]);
  expect(await world.api.read(ref, soon())).toBeDefined();
});

test("a server that takes a request and says nothing is given up in time", async () => {
  const world = await open();
  world.server.onRequest = () => true;
  const fault = await faultOf(world.api.create(kinds.configMap, object, soon()));
  expect(fault.message).toContain("there was no answer within 40000 ms");
});

test("a request ends at once when the asker stops waiting, also in the queue and between tries", async () => {
  const world = await open({}, { perSecond: 0.01, burst: 1 });
  world.server.onRequest = () => true;
  const startMs = performance.now();
  expect(await faultOf(world.api.read(ref, soon(100)))).toMatchObject({ code: "cluster.unreached" });
  expect((await faultOf(world.api.read(ref, soon(100)))).message).toContain("the asker stopped waiting");
  expect(performance.now() - startMs).toBeLessThan(1_500);
  expect(world.server.seen).toHaveLength(1);
});

test("requests wait for their turn", async () => {
  const world = await open({}, { perSecond: 10, burst: 5 });
  answerWith(world, [200, sent]);
  const startMs = performance.now();
  await Promise.all(Array.from({ length: 15 }, () => world.api.read(ref, soon())));
  expect(performance.now() - startMs).toBeGreaterThan(90); // 10 more than the burst take a second on the fast clock
  expect(world.api.requestCounts().get("get configmaps")).toBe(15);
});

// Node does not call a connection reused that goes from one request to the next without a pause: they waited for it to come up.
test("slow answers are waited for by requests that got the connection of another, too", async () => {
  const clock = new HandClock();
  const world = await open({}, undefined, clock);
  const answers: (() => void)[] = [];
  let askedCount = 0;
  world.server.onRequest = (_, response) => {
    askedCount += 1;
    answers.push(() => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(sent)));
    return true;
  };
  const asked = Array.from({ length: 20 }, () => world.api.read(ref, soon()));
  for (const count of [12, 20]) {
    // As many as there are connections, and then the others, on those.
    await expect.poll(() => askedCount).toBe(count);
    await clock.advance(12_000); // longer than a connection may take to come up, and less than an answer
    for (const answer of answers.splice(0)) answer();
  }
  expect((await Promise.all(asked)).every((one) => one?.metadata.name === "x")).toBe(true);
  expect(askedCount).toBe(20);
});

test("an answer of another shape, or larger than 64 MiB, is cluster.unreached", async () => {
  const world = await open();
  answerWith(world, [200, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: 1 } }]);
  expect((await faultOf(world.api.read(ref, soon()))).message).toContain("the answer is no ConfigMap");
  answerWith(world, [200, { metadata: {}, items: {} }]);
  expect((await faultOf(world.api.list(kinds.configMap, {}, soon()))).message).toContain("no list of configmaps");
  world.server.onRequest = (_, response) => {
    response.writeHead(200).end(Buffer.alloc(65 * 2 ** 20, 0x20));
    return true;
  };
  expect((await faultOf(world.api.read(ref, soon()))).message).toContain("longer than 67108864 bytes");
});

test("a certificate of another authority is not believed, and not asked again, unless that is what is wanted", async () => {
  const { authority: _, ...access } = (await open()).server.access;
  const other = await ClusterServer.open();
  opened.push(other);
  const options = {
    name: "one",
    requestRate: { perSecond: 100, burst: 100 },
    clock: fastClock(10),
    log: recordingLog().log,
  };
  const strict = await openClusterApi({ ...options, access: { ...access, server: other.access.server } });
  opened.push(strict);
  expect(await faultOf(strict.version(soon()))).toMatchObject({ code: "cluster.unreached" });
  expect(strict.requestCounts().get("get version")).toBe(1);
  const lax = await openClusterApi({
    ...options,
    access: { ...access, server: other.access.server, isInsecure: true },
  });
  opened.push(lax);
  expect((await lax.list(kinds.configMap, {}, soon())).length).toBe(0);
});

test("version() reads what clouds write too", async () => {
  const world = await open();
  answerWith(world, [200, { major: "1", minor: "29+", gitVersion: "v1.29.4-gke.1" }]);
  expect(await world.api.version(soon())).toMatchObject({ major: 1, minor: 29, text: "v1.29.4-gke.1" });
});

test("findKind() asks for a group once, and takes no path for a group", async () => {
  const world = await open();
  const resources = [
    { name: "deployments", kind: "Deployment", namespaced: true },
    { name: "deployments/scale", kind: "Scale", namespaced: true },
  ];
  answerWith(world, [200, { kind: "APIResourceList", resources }]);
  const found = { apiVersion: "apps/v1", kind: "Deployment", resource: "deployments", isNamespaced: true };
  expect(await world.api.findKind("apps/v1", "Deployment", soon())).toEqual(found);
  expect(await world.api.findKind("apps/v1", "Scale", soon())).toBeUndefined();
  expect(await world.api.findKind("../../v1", "Deployment", soon())).toBeUndefined();
  expect(world.server.seen.map(({ url }) => url.pathname)).toEqual(["/apis/apps/v1"]);
});

test("lacking() lists what the server would refuse", async () => {
  const world = await open();
  world.server.onRequest = ({ body }, response) => {
    const { spec } = JSON.parse(body) as { spec: { resourceAttributes: { verb: string } } };
    const allowed = spec.resourceAttributes.verb === "get";
    response.writeHead(201).end(JSON.stringify({ status: { allowed } }));
    return true;
  };
  const asked = ["get", "create", "delete"].map((verb) => ({ verb, group: "", resource: "pods", namespace: "a" }));
  expect(await world.api.lacking(asked, soon())).toEqual(asked.slice(1));
});

test("what is asked for after the client was closed ends at once", async () => {
  const world = await open();
  await world.api[Symbol.asyncDispose]();
  expect(await faultOf(world.api.read(ref, soon()))).toMatchObject({ code: "cluster.unreached" });
  expect(world.server.seen).toHaveLength(0);
});
