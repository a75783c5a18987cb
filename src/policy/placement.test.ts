import fc from "fast-check";
import { expect, test } from "vitest";
import { claimableOn, place, type PlacementCluster, type PlacementRequest } from "./placement.ts";

const ask: PlacementRequest = { person: "ada", wantedLabels: {}, podSecurity: "restricted" };

function cluster(name: string, changes: Partial<PlacementCluster> = {}): PlacementCluster {
  return { name, labels: {}, capacity: 10, present: 0, isUp: true, people: "*", podSecurity: "baseline", ...changes };
}

test.each<[string, Partial<PlacementRequest>, PlacementCluster[], string]>([
  ["the one with the most free share", {}, [cluster("a", { present: 5 }), cluster("b", { capacity: 2 })], "b"],
  ["the first by name of those alike", {}, [cluster("b"), cluster("a")], "a"],
  ["the sticky one, however full", { sticky: "a" }, [cluster("a", { present: 9 }), cluster("b")], "a"],
  ["another when the sticky one is full", { sticky: "a" }, [cluster("a", { present: 10 }), cluster("b")], "b"],
  ["another when the sticky one is away", { sticky: "a" }, [cluster("a", { isUp: false }), cluster("b")], "b"],
  [
    "the one with the label",
    { wantedLabels: { gpu: "yes" } },
    [cluster("a"), cluster("b", { labels: { gpu: "yes" } })],
    "b",
  ],
  ["one that is open to the person", {}, [cluster("a", { people: ["bob"] }), cluster("b", { people: ["ada"] })], "b"],
  [
    "one that allows baseline",
    { podSecurity: "baseline" },
    [cluster("a", { podSecurity: "restricted" }), cluster("b")],
    "b",
  ],
])("place() takes %s", (_, request, clusters, name) => {
  expect(place({ ...ask, ...request }, clusters)).toMatchObject({ type: "placed", cluster: name });
});

test("place() says why the sticky cluster is not taken", () => {
  expect(place({ ...ask, sticky: "a" }, [cluster("a", { isUp: false }), cluster("b", { present: 3 })])).toEqual({
    type: "placed",
    cluster: "b",
    why: "it has the most room, 3 of 10 in use, since a does not answer",
  });
});

test("place() says for each cluster why not, and whether that may pass", () => {
  const all = [
    cluster("a", { people: [] }),
    cluster("b", { labels: { gpu: "no" } }),
    cluster("c", { labels: { gpu: "yes" }, isUp: false }),
    cluster("d", { labels: { gpu: "yes" }, present: 12 }),
    cluster("e", { labels: { gpu: "yes" }, podSecurity: "restricted" }),
  ];
  const request: PlacementRequest = { ...ask, wantedLabels: { gpu: "yes" }, podSecurity: "baseline" };
  expect(place(request, all)).toEqual({
    type: "refused",
    code: "cluster.full",
    told:
      "no cluster can take this environment: a has no label gpu=yes; b has no label gpu=yes; c does not answer; " +
      "d is full, 12 of 10 in use; e takes only pods that are restricted, and the definition asks for baseline",
  });
  expect(place(request, all.slice(0, 3))).toMatchObject({ code: "cluster.unreached" });
  expect(place(ask, all.slice(0, 1))).toMatchObject({
    code: "environment.unplaced",
    told: "no cluster can take this environment: a is not open to you",
  });
  expect(place(ask, [])).toMatchObject({ code: "environment.unplaced" });
});

const label = fc.dictionary(fc.constantFrom("gpu", "zone", "__proto__", "toString"), fc.constantFrom("x", "y"), {
  maxKeys: 2,
});
const security = fc.constantFrom("restricted" as const, "baseline" as const);
const clustersOf: fc.Arbitrary<PlacementCluster[]> = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom("a", "b", "c", "d", "e"),
    labels: label,
    capacity: fc.nat(4),
    present: fc.nat(5),
    isUp: fc.boolean(),
    people: fc.oneof(fc.constant("*" as const), fc.subarray(["ada", "bob"])),
    podSecurity: security,
  }),
  { selector: ({ name }) => name, maxLength: 5 },
);
const requestOf: fc.Arbitrary<PlacementRequest> = fc
  .record({
    wantedLabels: label,
    sticky: fc.option(fc.constantFrom("a", "b", "z"), { nil: undefined }),
    podSecurity: security,
  })
  .map(({ sticky, ...rest }) => ({ person: "ada", ...rest, ...(sticky === undefined ? {} : { sticky }) }));

/** The rules said again, one by one. */
function mayTake(request: PlacementRequest, one: PlacementCluster): boolean {
  return (
    one.isUp &&
    one.present < one.capacity &&
    (one.people === "*" || one.people.includes(request.person)) &&
    !(request.podSecurity === "baseline" && one.podSecurity === "restricted") &&
    Object.entries(request.wantedLabels).every(([key, value]) =>
      Object.entries(one.labels).some(([k, v]) => k === key && v === value),
    )
  );
}

test("place() takes a cluster that may take it if there is one, sticky first, then by free share; else it names each", () => {
  fc.assert(
    fc.property(requestOf, clustersOf, (request, clusters) => {
      const able = clusters.filter((one) => mayTake(request, one));
      const answer = place(request, clusters);
      if (answer.type === "refused") {
        expect(able).toEqual([]);
        for (const { name } of clusters) expect(answer.told).toMatch(new RegExp(`(: |; )${name} \\S`));
        return;
      }
      const taken = able.find(({ name }) => name === answer.cluster);
      expect(taken).toBeDefined();
      const isThere = able.some(({ name }) => name === request.sticky);
      if (isThere) expect(answer.cluster).toBe(request.sticky);
      const share = (one?: PlacementCluster): number => (one === undefined ? -1 : one.present / one.capacity);
      if (!isThere) for (const one of able) expect(share(taken)).toBeLessThanOrEqual(share(one));
    }),
  );
});

test("place() answers the same in whatever order the clusters come", () => {
  const shuffled = clustersOf.chain((clusters) =>
    fc.tuple(fc.constant(clusters), fc.shuffledSubarray(clusters, { minLength: clusters.length })),
  );
  fc.assert(
    fc.property(requestOf, shuffled, (request, [one, other]) => {
      const answers = [one, other].map((clusters) => place(request, clusters));
      const clusterOf = answers.map((answer) => (answer.type === "placed" ? answer.cluster : answer.code));
      expect(clusterOf[0]).toBe(clusterOf[1]);
    }),
  );
});

test("place() says how many of those on a full cluster are members of pools", () => {
  expect(place(ask, [cluster("a", { present: 10, pooled: 4 })])).toMatchObject({
    told: "no cluster can take this environment: a is full, 10 of 10 in use, 4 of them by pools",
  });
});

test("claimableOn() lists all that fit and answer, full ones too, the sticky one first and then those with the most room", () => {
  const all = [
    cluster("full", { present: 10 }),
    cluster("away", { isUp: false }),
    cluster("theirs", { people: ["bob"] }),
    cluster("some", { present: 3 }),
    cluster("most", { present: 1 }),
  ];
  expect(claimableOn(ask, all)).toEqual(["most", "some", "full"]);
  expect(claimableOn({ ...ask, sticky: "full" }, all)).toEqual(["full", "most", "some"]);
  expect(claimableOn({ ...ask, wantedLabels: { gpu: "yes" } }, all)).toEqual([]);
});
