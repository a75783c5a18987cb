import fc from "fast-check";
import { afterEach, expect, test } from "vitest";

import { ClusterServer, refuse } from "../../../../test/fakes/cluster-server.ts";
import { fastClock } from "../../../../test/fakes/fast-clock.ts";
import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../../../test/fakes/recording-log.ts";
import { kinds } from "../../../wire/kubernetes.ts";
import type { ClusterApi, ObjectWatch, WatchChange } from "./cluster-api.ts";
import { openClusterApi } from "./open-cluster-api.ts";

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

interface World {
  readonly server: ClusterServer;
  readonly api: ClusterApi;
  readonly watch: ObjectWatch;
  readonly told: WatchChange[];
  readonly lines: ReturnType<typeof recordingLog>["lines"];
}

async function open({ names = [] as string[], factor = 10, clock = fastClock(factor) } = {}): Promise<World> {
  const server = await ClusterServer.open();
  opened.push(server);
  for (const name of names) server.set(name);
  const { log, lines } = recordingLog();
  const requestRate = { perSecond: 1_000, burst: 1_000 };
  const api = await openClusterApi({ name: "one", access: server.access, requestRate, clock, log });
  opened.push(api);
  const watch = api.watch(kinds.configMap, {});
  const told: WatchChange[] = [];
  watch.onChange((change) => told.push(change));
  await watch.untilSynced(soon());
  await expect.poll(() => server.streamCount).toBe(1);
  await expect.poll(() => watch.isConnected).toBe(true);
  return { server, api, watch, told, lines };
}

function soon(ms = 10_000): AbortSignal {
  return AbortSignal.timeout(ms);
}

/** Name, uid and version of each: what makes two states the same. */
function stateOf(objects: Iterable<{ readonly metadata: WatchChange["object"]["metadata"] }>): string[] {
  return [...objects].map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`).toSorted();
}

async function untilSame({ server, watch }: World): Promise<void> {
  await expect.poll(() => stateOf(watch.all()), { timeout: 15_000 }).toEqual(stateOf(server.objects.values()));
}

function wordsOf(told: readonly WatchChange[]): string[] {
  return told.map(({ type, object }) => `${type} ${object.metadata.name}`);
}

test("watch() lists what there is, then tells each change once", async () => {
  const world = await open({ names: ["a", "b"] });
  const { server, watch, told } = world;
  expect(wordsOf(told)).toEqual(["set a", "set b"]);
  expect(watch.find("a", "a")).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } });
  expect(watch.find("a", "a")?.metadata).not.toHaveProperty("managedFields");
  server.set("a", { x: "1" });
  server.remove("b");
  server.set("c");
  await untilSame(world);
  expect(wordsOf(told).slice(2)).toEqual(["set a", "gone b", "set c"]);
  expect(server.seen.map(({ url }) => url.searchParams.get("watch"))).toEqual([null, "true"]);
});

test("watch() reads lists of many pages, and all at once when the server forgets them in between", async () => {
  const world = await open({ names: Array.from({ length: 1_201 }, (_, index) => `n${index}`) });
  expect(world.watch.all()).toHaveLength(1_201);
  const lists = () => world.server.seen.filter(({ url }) => url.searchParams.get("watch") === null);
  expect(lists().map(({ url }) => url.searchParams.get("limit"))).toEqual(["500", "500", "500"]);
  world.server.onRequest = ({ url }) => {
    // Something changes after each first page.
    if (url.searchParams.has("continue")) world.server.set("changes");
    return false;
  };
  world.server.compact();
  world.server.endStreams("cleanly");
  await expect.poll(() => lists().at(-1)?.url.searchParams.get("limit")).toBeNull();
  await untilSame(world);
});

test("watch() goes on where it was when a stream ends as agreed, and asks for nothing else", async () => {
  const world = await open({ names: ["a"] });
  const { server, told } = world;
  server.set("a", { x: "1" });
  await untilSame(world);
  server.endStreams("cleanly");
  server.set("a", { x: "2" });
  await untilSame(world);
  expect(wordsOf(told)).toEqual(["set a", "set a", "set a"]);
  expect(server.seen).toHaveLength(3);
  expect(server.seen[2]?.url.searchParams.get("resourceVersion")).toBe("10002");
  expect(world.lines.filter(({ level }) => level === "warn")).toEqual([]);
});

test("watch() begins the next stream after the last bookmark", async () => {
  const world = await open();
  const { server } = world;
  server.compact();
  server.bookmark();
  server.endStreams("cleanly");
  await expect.poll(() => server.streamCount).toBe(1);
  expect(server.seen.at(-1)?.url.searchParams.get("resourceVersion")).toBe("10001");
});

test.each(["abruptly", "within a line"] as const)(
  "watch() goes on where it was when a stream is cut %s",
  async (how) => {
    const world = await open({ names: ["a"] });
    const { server, told, lines } = world;
    server.endStreams(how);
    server.set("b");
    server.remove("a");
    await untilSame(world);
    expect(wordsOf(told)).toEqual(["set a", "set b", "gone a"]);
    expect(lines.map(({ event }) => event)).toContain("cluster.watch.failed");
  },
);

test.each(["event", "status"])(
  "watch() lists anew after a 410 as %s, and tells only what is different",
  async (form) => {
    const world = await open({ names: ["a", "b", "c"] });
    const { server, told } = world;
    if (form === "event") {
      server.disorder(() => {
        server.set("a", { x: "1" });
        server.remove("b");
        server.compact();
        server.sendExpired(); // before the changes, which the cut swallows
        server.endStreams("cleanly");
      });
    } else {
      server.endStreams("abruptly");
      server.set("a", { x: "1" });
      server.remove("b");
      server.compact();
    }
    await untilSame(world);
    expect(wordsOf(told).slice(3).toSorted()).toEqual(["gone b", "set a"]);
  },
);

test("watch() tells nobody anything after a relist that finds what is known", async () => {
  const world = await open({ names: ["a", "b"] });
  const { server, told, watch } = world;
  const before = watch.find("a", "a");
  server.sendExpired();
  await expect.poll(() => server.seen.length).toBe(4);
  await expect.poll(() => server.streamCount).toBe(1);
  expect(told).toHaveLength(2);
  expect(watch.find("a", "a")).toBe(before);
});

test("watch() tells of an object made anew under the same name that the old one is gone", async () => {
  const world = await open({ names: ["a"] });
  const { server, told } = world;
  server.endStreams("abruptly");
  server.remove("a");
  server.set("a");
  server.compact();
  await untilSame(world);
  expect(told.map(({ type, object }) => `${type} ${object.metadata.uid}`)).toEqual([
    "set uid-1",
    "gone uid-1",
    "set uid-2",
  ]);
});

test("watch() lists anew when the server was set back to an earlier state", async () => {
  const world = await open({ names: ["a", "b"] });
  const { server, told } = world;
  server.setBack();
  server.remove("b");
  await untilSame(world);
  expect(wordsOf(told).slice(2).toSorted()).toEqual(["gone b", "set a"]);
});

test("watch() lists anew when the server was set back unseen, once a stream that brought nothing is over", async () => {
  const world = await open({ names: ["a"], factor: 20 });
  const { server } = world;
  server.streamMs = 600;
  let isSetBack = false;
  server.onRequest = () => {
    if (!isSetBack) server.setBack();
    isSetBack = true;
    return false;
  };
  server.endStreams("cleanly");
  await expect.poll(() => wordsOf(world.told), { timeout: 5_000 }).toEqual(["set a", "set a"]);
  await untilSame(world);
});

test("watch() passes over events that come twice, and lists anew when they come in disorder", async () => {
  const world = await open({ names: ["a"] });
  const { server, told } = world;
  server.set("a", { x: "1" });
  server.repeat(1);
  server.set("b");
  await untilSame(world);
  expect(wordsOf(told)).toEqual(["set a", "set a", "set b"]);
  expect(server.seen).toHaveLength(2);
  server.disorder(() => {
    server.set("b", { x: "1" });
    server.set("a", { x: "2" });
  });
  await untilSame(world);
  expect(wordsOf(told).slice(3).toSorted()).toEqual(["set a", "set b"]);
});

test("watch() reads characters that are cut in two", async () => {
  const world = await open();
  await world.server.sendSlowly(() => world.server.set("a", { x: "grüße 🚀 ok" }));
  await untilSame(world);
  expect(world.watch.find("a", "a")?.["data"]).toEqual({ x: "grüße 🚀 ok" });
});

test("watch() ends a stream with a line of more than 16 MiB, with a complaint, and lists anew", async () => {
  const world = await open();
  const { server, lines } = world;
  server.sendLine(`{"type":"ADDED","object":{"x":"${"x".repeat(17 * 2 ** 20)}"}}`);
  server.set("a");
  await untilSame(world);
  const why = lines.find(({ event }) => event === "cluster.watch.failed")?.facts["why"];
  expect(why).toBe('Cannot watch configmaps on cluster "one": a line is longer than 16777216 bytes');
});

test.each(["no JSON", '{"type":"OTHER","object":{}}', '{"type":"ADDED","object":{"metadata":{}}}', "[]"])(
  "watch() lists anew after the line %s",
  async (line) => {
    const world = await open();
    world.server.sendLine(line);
    world.server.set("a");
    await untilSame(world);
    expect(wordsOf(world.told)).toEqual(["set a"]);
  },
);

test("watch() goes on after an outage, however long, and says that it is not connected", async () => {
  const world = await open({ names: ["a"], factor: 50 });
  const { server, watch, told } = world;
  await server.stop();
  await expect.poll(() => watch.isConnected).toBe(false);
  server.set("b");
  server.compact();
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // 75 s on its clock: longer than it trusts a version
  await server.start();
  await untilSame(world);
  await expect.poll(() => watch.isConnected).toBe(true);
  expect(wordsOf(told)).toEqual(["set a", "set b"]);
});

test("watch() notices a stream that went silent after bookmarks had come", async () => {
  const clock = new HandClock(); // one that runs so fast that this is short leaves no time to connect
  const world = await open({ clock });
  const { server, lines } = world;
  server.bookmark();
  for (const name of ["a", "b"]) {
    server.set(name);
    await untilSame(world); // the first may have come together with the bookmark, the second comes after it
  }
  const whys = () => lines.map(({ facts }) => facts["why"]);
  await clock.advance(89_999);
  expect(whys()).toEqual([]);
  await clock.advance(1);
  expect(whys()).toEqual([expect.stringContaining("silent for 90000 ms")]);
  const streams = () => server.seen.filter(({ url }) => url.searchParams.get("watch") === "true");
  await expect
    .poll(async () => {
      await clock.advance(50); // less in all than an answer may take
      return streams().length;
    })
    .toBe(2);
  server.set("c");
  await untilSame(world);
});

test("watch() asks with growing waits while it is refused", async () => {
  const world = await open({ factor: 20 });
  const { server, watch } = world;
  server.onRequest = (_, response) => refuse(response, 403, { message: 'x is forbidden: User "u" cannot watch' });
  server.endStreams("abruptly");
  const before = server.seen.length;
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // 20 s on its clock
  expect(watch.isConnected).toBe(false);
  expect(server.seen.length - before).toBeGreaterThan(3);
  expect(server.seen.length - before).toBeLessThan(10);
  server.onRequest = () => false;
  server.set("a");
  await untilSame(world);
});

test("watch() asks with growing waits a server that ends every stream at once", async () => {
  const world = await open({ factor: 20 });
  const { server } = world;
  const before = server.seen.length;
  server.onRequest = ({ url }, response) => {
    if (url.searchParams.get("watch") === null) return false;
    response.writeHead(200).end();
    return true;
  };
  server.endStreams("cleanly");
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // 20 s on its clock
  expect(server.seen.length - before).toBeLessThan(20);
});

test("watch() is one stream for all who want the same, and ends with the last", async () => {
  const world = await open({ names: ["a"] });
  const { server, api, watch } = world;
  const other = api.watch(kinds.configMap, {});
  await other.untilSynced(soon());
  expect(server.seen).toHaveLength(2);
  const waiting = other.until(() => undefined, soon());
  other.close();
  other.close();
  await expect(waiting).rejects.toMatchObject({ code: "cluster.unreached" });
  server.set("b");
  await untilSame(world);
  watch.close();
  await expect.poll(() => server.streamCount).toBe(0);
  const again = api.watch(kinds.configMap, {});
  await again.untilSynced(soon());
  expect(again.all()).toHaveLength(2);
});

test("until() asks now and after each change, and rejects with what is thrown or when the signal aborts", async () => {
  const { server, watch } = await open({ names: ["a"] });
  expect(await watch.until(() => watch.find("a", "a")?.metadata.name, soon())).toBe("a");
  const waiting = watch.until(() => watch.find("a", "b")?.metadata.name, soon());
  server.set("b");
  expect(await waiting).toBe("b");
  const throwing = watch.until(() => {
    if (watch.find("a", "b") === undefined) throw new Error("It is gone");
    return undefined;
  }, soon());
  server.remove("b");
  await expect(throwing).rejects.toThrow("It is gone");
  await expect(watch.until(() => undefined, soon(20))).rejects.toMatchObject({ name: "TimeoutError" });
});

test("onChange() goes on telling others when one of them throws", async () => {
  const world = await open();
  const { server, watch, lines } = world;
  const seen: string[] = [];
  watch.onChange(() => {
    throw new Error("A bug");
  });
  const stop = watch.onChange(({ object }) => seen.push(object.metadata.name));
  server.set("a");
  await untilSame(world);
  stop();
  server.set("b");
  await untilSame(world);
  expect(seen).toEqual(["a"]);
  expect(lines.filter(({ event }) => event === "cluster.watch.listener")).toHaveLength(2);
});

test("untilSynced() says why when the server does not answer in time", async () => {
  const server = await ClusterServer.open();
  opened.push(server);
  await server.stop();
  const requestRate = { perSecond: 100, burst: 100 };
  const { log } = recordingLog();
  const api = await openClusterApi({ name: "one", access: server.access, requestRate, clock: fastClock(20), log });
  opened.push(api);
  const watch = api.watch(kinds.configMap, {});
  const waiting = watch.untilSynced(soon(1_000));
  await expect(waiting).rejects.toMatchObject({ code: "cluster.unreached" });
  await expect(waiting).rejects.toThrow("ECONNREFUSED");
});

type Act = (server: ClusterServer) => void | Promise<void>;
const someName = fc.constantFrom("a", "b", "c");
const act = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(someName, fc.string()).map(
      ([name, x]): Act =>
        (server) =>
          server.set(name, { x }),
    ),
  },
  {
    weight: 2,
    arbitrary: someName.map(
      (name): Act =>
        (server) =>
          server.remove(name),
    ),
  },
  fc.constantFrom("cleanly" as const, "abruptly" as const, "within a line" as const).map(
    (how): Act =>
      (server) =>
        server.endStreams(how),
  ),
  fc.constantFrom<Act[]>(
    (server) => server.compact(),
    (server) => server.bookmark(),
    (server) => server.sendExpired(),
    (server) => server.repeat(2),
    (server) => server.setBack(),
    (server) => server.sendLine('{"type":"ADDED"'),
    (server) =>
      server.disorder(() => {
        server.set("a");
        server.set("b");
      }),
    (server) => failNext(server, 500),
    (server) => failNext(server, 429),
    async (server) => {
      await server.stop();
      await server.start();
    },
    () => new Promise((resolve) => setTimeout(resolve, 20)),
  ),
);

function failNext(server: ClusterServer, code: number): void {
  server.onRequest = (_, response) => {
    server.onRequest = () => false;
    return refuse(response, code);
  };
}

test("watch() ends with the server's state whatever happens, and tells each state of an object once and in order", async () => {
  const property = fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (acts) => {
    const world = await open({ names: ["a"], factor: 20 });
    world.server.streamMs = 1_000; // 20 s on its clock
    let isSetBack = false;
    for (const each of acts) {
      const before = world.server.version;
      await each(world.server);
      isSetBack ||= world.server.version < before;
    }
    await untilSame(world);
    const told = new Map<string, string>();
    for (const { type, object } of world.told) {
      const { name, uid = "", resourceVersion = "" } = object.metadata;
      const [, lastUid, lastVersion = "0"] = told.get(name)?.split(" ") ?? [];
      if (type === "gone") {
        expect(lastUid).toBe(uid);
        told.delete(name);
      } else {
        if (lastUid !== undefined) expect(uid).toBe(lastUid);
        if (isSetBack) expect(resourceVersion).not.toBe(lastVersion);
        else expect(Number(resourceVersion)).toBeGreaterThan(Number(lastVersion));
        told.set(name, `${name} ${uid} ${resourceVersion}`);
      }
    }
    // Whoever went by what was told has the server's state too.
    expect([...told.values()].toSorted()).toEqual(stateOf(world.server.objects.values()));
    for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  });
  await fc.assert(property, { numRuns: 30, endOnFailure: true, timeout: 30_000 });
}, 120_000);
