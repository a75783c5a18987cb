import fc from "fast-check";
import { expect, test } from "vitest";
import { toldOf } from "../base/fault.ts";
import { checkSettings, type Settings } from "./settings.ts";

// Made by ssh-keygen for this test.
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt";
const HEAD = `version: 1\npeople: { ada: { keys: ["${KEY}"] } }\nrepositories: { hello: { url: ./hello } }\n`;

function read(text: string): Settings {
  return checkSettings(`${HEAD}${text}`, "slipway.yaml");
}

/** What a person is told about a file; lines count from the first below people and repositories. */
function told(text: string): string {
  try {
    read(text);
    return "";
  } catch (error) {
    expect(error).toMatchObject({ code: "settings.invalid" });
    return toldOf(error).replace(/^slipway\.yaml:(\d+)/gm, (_, line: string) => String(Number(line) - 3));
  }
}

const BARE = {
  labels: {},
  capacity: 100,
  namespacePrefix: "slipway-",
  people: "*",
  images: {
    toolbox: "slipway/toolbox:0.1.0",
    base: "debian:bookworm-slim",
    pullPolicy: "IfNotPresent",
    pullSecrets: [],
    pullSecretsFrom: "slipway",
  },
  workspace: { sizeBytes: 10_737_418_240, isEphemeral: false, scratchBytes: 10_737_418_240 },
  podSecurity: "restricted",
  runAsUser: 1_000,
  tiers: {
    lightweight: { cpuCount: 2, memoryBytes: 4_294_967_296, requestShare: 0.1 },
    full: { cpuCount: 4, memoryBytes: 8_589_934_592, requestShare: 0.1 },
    compliance: { cpuCount: 4, memoryBytes: 8_589_934_592, requestShare: 0.1 },
  },
  network: { publicEgress: true, allow: [], deny: [] },
  path: "auto",
  requestRate: { perSecond: 20, burst: 50 },
};

test("checkSettings() needs no more of a cluster than how it is reached", () => {
  expect(read("clusters: { here: { inCluster: true }, west: { kubeconfig: west.kubeconfig } }").clusters).toEqual([
    { name: "here", access: { type: "in-cluster" }, ...BARE },
    { name: "west", access: { type: "kubeconfig", path: "west.kubeconfig" }, ...BARE },
  ]);
});

test("checkSettings() reads a cluster that says everything", () => {
  const text = `
clusters:
  west:
    kubeconfig: west.kubeconfig
    context: admin
    labels: { region: eu, "example.dev/gpu": "a100" }
    capacity: 50
    namespacePrefix: dev-slipway-
    people: [ada]
    images:
      toolbox: "registry.example:5000/team/toolbox:1.2"
      base: "debian@sha256:${"ab".repeat(32)}"
      pullPolicy: Never
      pullSecrets: [registry.example]
      pullSecretsFrom: registries
    workspace: { size: 1GiB, storageClass: fast, ephemeral: false, scratch: 64MiB }
    podSecurity: baseline
    runAsUser: 0
    tiers:
      lightweight: { cpus: 0.5, memory: 512MiB, request: 1 }
      full: { cpus: 8 }
    network: { publicEgress: false, allow: [10.1.2.3, "10.96.0.0/12"], deny: ["203.0.113.0/24", "2001:db8::/32"] }
    path: exec
    requestRate: { perSecond: 5, burst: 9 }
`;
  expect(read(text).clusters).toEqual([
    {
      name: "west",
      access: { type: "kubeconfig", path: "west.kubeconfig", context: "admin" },
      labels: { region: "eu", "example.dev/gpu": "a100" },
      capacity: 50,
      namespacePrefix: "dev-slipway-",
      people: ["ada"],
      images: {
        toolbox: "registry.example:5000/team/toolbox:1.2",
        base: `debian@sha256:${"ab".repeat(32)}`,
        pullPolicy: "Never",
        pullSecrets: ["registry.example"],
        pullSecretsFrom: "registries",
      },
      workspace: { sizeBytes: 1_073_741_824, storageClass: "fast", isEphemeral: false, scratchBytes: 67_108_864 },
      podSecurity: "baseline",
      runAsUser: 0,
      tiers: {
        lightweight: { cpuCount: 0.5, memoryBytes: 536_870_912, requestShare: 1 },
        full: { cpuCount: 8, memoryBytes: 8_589_934_592, requestShare: 0.1 },
        compliance: { cpuCount: 4, memoryBytes: 8_589_934_592, requestShare: 0.1 },
      },
      network: {
        publicEgress: false,
        allow: ["10.1.2.3/32", "10.96.0.0/12"],
        deny: ["203.0.113.0/24", "2001:db8::/32"],
      },
      path: "exec",
      requestRate: { perSecond: 5, burst: 9 },
    },
  ]);
});

const WEST = "clusters: { west: { kubeconfig: west.kubeconfig } }";

test("checkSettings() reads pools, with hours in minutes since midnight", () => {
  const text = `${WEST}
pools:
  hello:
    repository: hello
    cluster: west
    schedule:
      - { days: "mon-fri", from: "08:00", until: "19:30", timeZone: Europe/Berlin, size: 10 }
      - { days: "fri-sun,wed", from: "22:00", until: "6:00", size: 0 }
      - { from: "00:00", until: "24:00", size: 1 }
  spare: { repository: hello, size: 0 }
`;
  expect(read(text).pools).toEqual([
    {
      name: "hello",
      repository: "hello",
      cluster: "west",
      size: 5,
      schedule: [
        { days: [1, 2, 3, 4, 5], fromMinute: 480, untilMinute: 1_170, timeZone: "Europe/Berlin", size: 10 },
        { days: [0, 3, 5, 6], fromMinute: 1_320, untilMinute: 360, timeZone: "UTC", size: 0 },
        { days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 0, untilMinute: 1_440, timeZone: "UTC", size: 1 },
      ],
    },
    { name: "spare", repository: "hello", size: 0, schedule: [] },
  ]);
});

test("checkSettings() complains of everything in clusters and pools at once, by line", () => {
  const text = `clusters:
  West: { inCluster: true, kubeconfig: west.kubeconfig }
  nowhere: {}
  east:
    inCluster: false
    context: admin
    labels: { "a b": x, region: "-eu" }
    capacity: 0
    namespacePrefix: Slipway
    people: [ida, 7]
    images: { toolbox: "Tool Box", pullPolicy: never, pullSecrets: [A] }
    workspace: { size: 1MiB, storageClass: fast, ephemeral: true }
    podSecurity: privileged
    runAsUser: 0
    tiers: { lightwheight: {}, full: { cpus: 0, memory: 1KiB, request: 2 } }
    network: { allow: [10.0.0.0/33], deny: all }
    path: podip
    requestRate: { perSecond: 0.5, burst: many }
  system: { kubeconfig: b, namespacePrefix: kube-envs- }
  long: { kubeconfig: c, namespacePrefix: ${"a".repeat(40)}-, path: podIP }
pools:
  one: { repository: helo, cluster: est, size: 51 }
  two:
    schedule:
      - { days: weekdays, from: 8, until: "25:00", timeZone: Mars/Olympus, size: -1 }
      - { from: "08:00", until: "08:00", timeZone: "+01:00", size: 1, siez: 1 }
      - {}
`;
  expect(told(text)).toMatchInlineSnapshot(`
    "Cannot use slipway.yaml: 45 complaints
    2: clusters.West: needs a name of lower-case letters, digits and "-", a letter or digit first and last, at most 32
    2: clusters.West: needs one of kubeconfig and inCluster, has both
    3: clusters.nowhere: needs kubeconfig or inCluster: true
    5: clusters.east.inCluster: needs true, or kubeconfig in its stead, is false
    6: clusters.east.context: is for a kubeconfig, which is not here
    7: clusters.east.labels.region: needs letters, digits, ".", "_", "/" and "-", at most 63
    7: clusters.east.labels["a b"]: needs letters, digits, ".", "_", "/" and "-", at most 63
    8: clusters.east.capacity: needs a whole number from 1 to 100000, is 0
    9: clusters.east.namespacePrefix: needs lower-case letters, digits and "-", a "-" last and not first, at most 40
    10: clusters.east.people: needs a list of names, or "*" for all
    10: clusters.east.people[0]: "ida" is not under people; did you mean "ada"?
    11: clusters.east.images.toolbox: needs the name of an image, as in "registry.example/team/image:1.2"
    11: clusters.east.images.pullPolicy: needs "Always", "IfNotPresent" or "Never", is "never"
    11: clusters.east.images.pullSecrets[0]: needs the name of an object of the cluster: lower-case letters, digits, "-" and "."
    12: clusters.east.workspace.size: needs a size of at least 64MiB, as in 4GiB, 512MiB or a number of bytes, is "1MiB"
    12: clusters.east.workspace.storageClass: is for volumes, and an ephemeral workspace has none
    13: clusters.east.podSecurity: needs "restricted" or "baseline", is "privileged"
    14: clusters.east.runAsUser: needs podSecurity: baseline: restricted lets nothing run as root
    15: clusters.east.tiers.full.cpus: needs a number of processors above 0, as in 0.5 or 2, is 0
    15: clusters.east.tiers.full.memory: needs a size of at least 64MiB, as in 4GiB, 512MiB or a number of bytes, is "1KiB"
    15: clusters.east.tiers.full.request: needs a share of the limits above 0 and at most 1, as in 0.1, is 2
    15: clusters.east.tiers.lightwheight: unknown key; did you mean "lightweight"?
    16: clusters.east.network.allow[0]: needs a range of addresses, as in "10.0.0.0/8" or "fd00::/8", is "10.0.0.0/33"
    16: clusters.east.network.deny: needs a list, is a string
    17: clusters.east.path: needs "auto", "exec" or "podIP", is "podip"
    18: clusters.east.requestRate.perSecond: needs a whole number from 1 to 10000, is 0.5
    18: clusters.east.requestRate.burst: needs a whole number from 1 to 10000, is a string
    19: clusters.system.namespacePrefix: cannot begin with "kube-": such namespaces are the cluster's own
    20: clusters.long.namespacePrefix: needs lower-case letters, digits and "-", a "-" last and not first, at most 40
    20: clusters.long.path: needs inCluster: true: from elsewhere nobody is let in to pods
    22: pools.one.size: needs a whole number from 0 to 50, is 51
    22: pools.one.cluster: "est" is not under clusters; did you mean "West"?
    22: pools.one.repository: "helo" is not under repositories; did you mean "hello"?
    23: pools.two.repository: is missing, needs a string
    25: pools.two.schedule[0].days: needs days, as in "mon-fri" or "sat,sun", is "weekdays"
    25: pools.two.schedule[0].from: needs a time of day as in "08:00", up to "23:59", is 8
    25: pools.two.schedule[0].until: needs a time of day as in "08:00", up to "24:00", is "25:00"
    25: pools.two.schedule[0].timeZone: needs a time zone, as in "Europe/Berlin" or "UTC", is "Mars/Olympus"
    25: pools.two.schedule[0].size: needs a whole number from 0 to 50, is -1
    26: pools.two.schedule[1].timeZone: needs a time zone, as in "Europe/Berlin" or "UTC", is "+01:00"
    26: pools.two.schedule[1].siez: unknown key; did you mean "size"?
    26: pools.two.schedule[1].until: needs another time than from
    27: pools.two.schedule[2].from: is missing, needs a time of day as in "08:00", up to "23:59"
    27: pools.two.schedule[2].until: is missing, needs a time of day as in "08:00", up to "24:00"
    27: pools.two.schedule[2].size: is missing, needs a whole number from 0 to 50"
  `);
});

test("checkSettings() complains of links between sound clusters and pools", () => {
  const text = `clusters:
  west: { kubeconfig: w, capacity: 12 }
  other: { kubeconfig: w }
  below: { kubeconfig: w, namespacePrefix: slipway-two- }
  beside: { kubeconfig: w, namespacePrefix: two- }
  admin: { kubeconfig: w, context: admin }
pools:
  hello: { repository: hello, cluster: west, schedule: [{ from: "08:00", until: "09:00", size: 10 }] }
  again: { repository: hello, cluster: west, size: 3 }
  anywhere: { repository: hello, size: 50 }
  forge: { repository: acme/shop }
`;
  expect(told(text)).toMatchInlineSnapshot(`
    "Cannot use slipway.yaml: 5 complaints
    2: clusters.west.capacity: is 12, and its pools alone may have 13 environments
    3: clusters.other: is the same cluster as west, needs a namespacePrefix of its own
    4: clusters.below: is the same cluster as west, needs a namespacePrefix of its own
    9: pools.again: is for the same repository and cluster as hello, needs to be one with it
    11: pools.forge.repository: "acme/shop" is not under repositories"
  `);
});

test("checkSettings() lets a pool be for a repository of a forge", () => {
  const forges = "forges: { github: { tokenFile: t, organizations: [acme] } }";
  expect(read(`${forges}\n${WEST}\npools: { shop: { repository: acme/shop } }`).pools).toHaveLength(1);
});

test("checkSettings() has no pools without clusters", () => {
  expect(told("pools: { hello: { repository: hello } }")).toMatchInlineSnapshot(`
    "Cannot use slipway.yaml: 1 complaint
    1: pools.hello: needs clusters: the sandbox of this machine keeps no pools, it is as fast without"
  `);
});

test("checkSettings() returns or complains whatever stands under clusters and pools", () => {
  const words = fc.constantFrom(
    "clusters",
    "pools",
    "west",
    "schedule",
    "people",
    "tiers",
    "images",
    "network",
    "labels",
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 5 },
      fc.jsonValue({ maxDepth: 1 }),
      tie("record"),
      fc.array(tie("any"), { maxLength: 3 }),
    ),
    record: fc.dictionary(fc.oneof(words, fc.string({ maxLength: 3 })), tie("any"), { maxKeys: 4 }),
  })).any;
  fc.assert(
    fc.property(value, value, (clusters, pools) => {
      told(`clusters: ${JSON.stringify(clusters)}\npools: ${JSON.stringify(pools)}`);
    }),
    { numRuns: 200 },
  );
});
