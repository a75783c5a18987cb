import fc from "fast-check";
import { expect, test } from "vitest";
import { toldOf } from "../base/fault.ts";
import { checkSettings, namedKeysFiles } from "./settings.ts";

// Made by ssh-keygen for this test.
const ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt";
const ECDSA =
  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNxCggYOG9bLeM3UeJqXYxmYtq6Ani1381+cGVb/uKeNR98WhH0luMUaMnGH4pvx61isooI+NFUpAxi5VAnlgfs=";
const SMALL_RSA =
  "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDXbR6amBiNR/Z0qsnUPzCz0clYn6Xfif1nHiuZY3AkVTWogDKFmpbol2WH/p2IiAydyTnC2NC8n5kplqTVbYnzw9ri3cnm4u2iBLoqeX0N5oxuegf3/4mhZP1ESO/HSQkwtS/fGPPSJuzJ8n7gKxEaHsq1RJsT90ScmhiA2I1b8Q==";

/** What a person is told about a file. */
function told(text: string): string {
  try {
    checkSettings(text, "slipway.yaml");
    return "";
  } catch (error) {
    expect(error).toMatchObject({ code: "settings.invalid" });
    return toldOf(error);
  }
}

test("checkSettings() fills in every default when only people are given", () => {
  expect(checkSettings(`version: 1\npeople: { ada: { keys: ["ssh-ed25519 ${ED25519}"] } }`, "slipway.yaml")).toEqual({
    listen: {
      ssh: [
        { host: "127.0.0.1", port: 2_222 },
        { host: "::1", port: 2_222 },
      ],
      http: { host: "127.0.0.1", port: 9_222 },
      proxyProtocolFrom: [],
      webhooks: null,
    },
    forges: [],
    people: [
      {
        id: "ada",
        name: "ada",
        fullName: "ada",
        email: "ada@localhost",
        admin: false,
        keys: [{ type: "ssh-ed25519", blob: ED25519, comment: "" }],
      },
    ],
    repositories: [],
    grants: [],
    limits: {
      environmentsPerPerson: 20,
      sessionsPerPerson: 50,
      environment: { memoryBytes: 4_294_967_296, processCount: 1_024, cpuCount: 2, diskBytes: 10_737_418_240 },
      loginGraceMs: 30_000,
      keysPerConnection: 20,
      unauthenticated: { total: 256, perAddress: 32 },
    },
    sandbox: { root: "/", firstUid: 200_000, uidCount: 10_000, network: "auto" },
    clusters: [],
    pools: [],
  });
});

test("checkSettings() reads a file that says everything", () => {
  const text = `# ours
version: 1
listen:
  ssh: ["0.0.0.0:22", "[2001:db8::1]:0", "gate.example.dev:2222"]
  http: null
  proxyProtocolFrom: ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]
people:
  ada:
    fullName: Ada Lovelace
    email: ada@example.dev
    admin: true
    keys:
      - ssh-ed25519 ${ED25519} ada at home
      - |
        ecdsa-sha2-nistp256 ${ECDSA}
  bob.b:
    keysFile: ./keys/bob.pub
repositories:
  hello: { url: ./examples/hello, owner: acme }
  tools.js: { url: "git@example.dev:acme/tools.js" }
  site: { url: "https://example.dev/site.git" }
grants:
  - { people: [ada, bob.b], repositories: [hello] }
  - { people: "*", repositories: "*" }
limits:
  environmentsPerPerson: 1
  sessionsPerPerson: 2
  environment: { memory: 1.5GiB, processes: null, cpus: 0.5, disk: 1048576 }
  loginGrace: 1m
  keysPerConnection: 3
  unauthenticated: { total: 10, perAddress: 5 }
sandbox:
  root: /srv/root
  firstUid: 300000
  uidCount: 10
  network: loopback
`;
  expect(checkSettings(text, "slipway.yaml")).toEqual({
    listen: {
      ssh: [
        { host: "0.0.0.0", port: 22 },
        { host: "2001:db8::1", port: 0 },
        { host: "gate.example.dev", port: 2_222 },
      ],
      http: null,
      proxyProtocolFrom: [
        { address: "10.0.0.0", prefixLength: 8, family: "ipv4" },
        { address: "fd00::", prefixLength: 8, family: "ipv6" },
        { address: "192.0.2.7", prefixLength: 32, family: "ipv4" },
      ],
      webhooks: null,
    },
    forges: [],
    people: [
      {
        id: "ada",
        name: "ada",
        fullName: "Ada Lovelace",
        email: "ada@example.dev",
        admin: true,
        keys: [
          { type: "ssh-ed25519", blob: ED25519, comment: "ada at home" },
          { type: "ecdsa-sha2-nistp256", blob: ECDSA, comment: "" },
        ],
      },
      {
        id: "bob.b",
        name: "bob.b",
        fullName: "bob.b",
        email: "bob.b@localhost",
        admin: false,
        keys: [],
        keysFile: "./keys/bob.pub",
      },
    ],
    repositories: [
      { name: "hello", url: "./examples/hello", owner: "acme" },
      { name: "tools.js", url: "git@example.dev:acme/tools.js" },
      { name: "site", url: "https://example.dev/site.git" },
    ],
    grants: [
      { people: ["ada", "bob.b"], repositories: ["hello"] },
      { people: "*", repositories: "*" },
    ],
    limits: {
      environmentsPerPerson: 1,
      sessionsPerPerson: 2,
      environment: { memoryBytes: 1_610_612_736, cpuCount: 0.5, diskBytes: 1_048_576 },
      loginGraceMs: 60_000,
      keysPerConnection: 3,
      unauthenticated: { total: 10, perAddress: 5 },
    },
    sandbox: { root: "/srv/root", firstUid: 300_000, uidCount: 10, network: "loopback" },
    clusters: [],
    pools: [],
  });
});

test("checkSettings() complains of everything at once, also across parts that are wrong in themselves", () => {
  const text = `version: 1
listen:
  ssh: []
  http: 9222
  proxyProtocolFrom: [10.0.0.0/33, somewhere]
  htpp: x
people:
  ada:
    keys:
      - ssh-ed25519 ${ED25519}
      - ssh-rsa ${SMALL_RSA}
      - no-pty ssh-ed25519 ${ED25519}
  Bob:
    keys: ["ssh-ed25519 ${ED25519} bob"]
    fullName: "Bob <bob@example.dev>"
    email: |
      bob@example.dev
      eve@example.dev
  eve: {}
  mallory: { keys: ssh-ed25519, kyes: [] }
  oscar:
repositories:
  hello..x: { url: "ext::sh -c id" }
  site: { url: "--upload-pack=id", owner: a/b }
  fine: {}
grants:
  - { people: [ada, adda, 7], repositories: [hello, fien] }
  - { people: all, repositories: "*" }
  - { people: "*" }
limits:
  environmentsPerPerson: 0
  sessionsPerPerson: 1.5
  environment: { memory: 4GB, processes: "many", cpus: 0, disk: 12 }
  loginGrace: 30
  keysPerConnection: .inf
  unauthenticated: { total: 1e3 }
sandbox:
  root: srv
  firstUid: 0
  network: bridge
`;
  expect(told(text)).toBe(`Cannot use slipway.yaml: 37 complaints
slipway.yaml:3: listen.ssh: needs at least one address
slipway.yaml:4: listen.http: needs host:port, as in "127.0.0.1:2222", or "[::]:2222" for every address, is 9222
slipway.yaml:5: listen.proxyProtocolFrom[0]: needs a range of addresses, as in "10.0.0.0/8" or "fd00::/8", is "10.0.0.0/33"
slipway.yaml:5: listen.proxyProtocolFrom[1]: needs a range of addresses, as in "10.0.0.0/8" or "fd00::/8", is "somewhere"
slipway.yaml:6: listen.htpp: unknown key; did you mean "http"?
slipway.yaml:11: people.ada.keys[1]: an RSA key needs at least 2048 bits, this one has 1024
slipway.yaml:12: people.ada.keys[2]: options before a key are not taken: what a person may do is said in grants
slipway.yaml:13: people.Bob: needs a name of lower-case letters, digits, ".", "_" and "-", a letter or digit first, no two dots in a row, at most 64
slipway.yaml:14: people.Bob.keys[0]: is a key of ada too: a key says who somebody is, so it belongs to one person
slipway.yaml:15: people.Bob.fullName: cannot have "<" or ">"
slipway.yaml:16: people.Bob.email: needs 1 to 200 characters on one line
slipway.yaml:19: people.eve: needs keys or keysFile: without one nobody gets in by this name
slipway.yaml:20: people.mallory.keys: needs a list, is a string
slipway.yaml:20: people.mallory.kyes: unknown key; did you mean "keys"?
slipway.yaml:21: people.oscar: needs an object, is null
slipway.yaml:23: repositories["hello..x"].url: needs a path, user@host:path, or a URL by https, ssh or file
slipway.yaml:23: repositories["hello..x"]: needs a name of lower-case letters, digits, ".", "_" and "-", a letter or digit first, no two dots in a row, at most 64
slipway.yaml:24: repositories.site.url: needs a path, user@host:path, or a URL by https, ssh or file
slipway.yaml:24: repositories.site.owner: needs letters, digits, ".", "_" and "-", a letter or digit first
slipway.yaml:25: repositories.fine.url: is missing, needs a string
slipway.yaml:27: grants[0].people: needs a list of names, or "*" for all
slipway.yaml:27: grants[0].people[1]: "adda" is not under people; did you mean "ada"?
slipway.yaml:27: grants[0].repositories[0]: "hello" is not under repositories
slipway.yaml:27: grants[0].repositories[1]: "fien" is not under repositories; did you mean "fine"?
slipway.yaml:28: grants[1].people: needs a list of names, or "*" for all
slipway.yaml:29: grants[2].repositories: needs a list of names, or "*" for all
slipway.yaml:31: limits.environmentsPerPerson: needs a whole number from 1 to 100000, is 0
slipway.yaml:32: limits.sessionsPerPerson: needs a whole number from 1 to 100000, is 1.5
slipway.yaml:33: limits.environment.memory: needs a size of at least 32MiB, as in 4GiB, 512MiB or a number of bytes, is "4GB"
slipway.yaml:33: limits.environment.processes: needs a whole number from 16 to 4194304, is a string
slipway.yaml:33: limits.environment.cpus: needs a number of processors above 0, as in 0.5 or 2, is 0
slipway.yaml:33: limits.environment.disk: needs a size of at least 1MiB, as in 4GiB, 512MiB or a number of bytes, is 12
slipway.yaml:34: limits.loginGrace: needs a duration from 1s to 1h, as in 500ms, 30s, 5m or 1h, is 30
slipway.yaml:35: limits.keysPerConnection: needs a whole number from 1 to 1000, is Infinity
slipway.yaml:38: sandbox.root: needs an absolute path
slipway.yaml:39: sandbox.firstUid: needs a whole number from 1000 to 4294000000, is 0
slipway.yaml:40: sandbox.network: needs "auto", "nat" or "loopback", is "bridge"`);
});

test.each([
  ["missing", "version: 1\n", "slipway.yaml:1: people: is missing, needs"],
  ["empty", "version: 1\npeople: {}\n", "slipway.yaml:2: people: needs"],
])("checkSettings() says what to write when people are %s", (_, text, complaint) => {
  expect(told(text)).toBe(`Cannot use slipway.yaml: 1 complaint
${complaint} somebody, as in
  people:
    ada:
      keys: ["ssh-ed25519 AAAA… ada@laptop"]`);
});

test("checkSettings() refuses a private key loudly and repeats none of it", () => {
  const head = "-----BEGIN OPENSSH PRIVATE KEY-----";
  const text = `version: 1
people:
  ada:
    keys:
      - |
        ${head}
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE
  bob:
    keys: |
      ${head}
      b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE
`;
  expect(told(text)).toBe(`Cannot use slipway.yaml: 2 complaints
slipway.yaml:5: people.ada.keys[0]: this is a PRIVATE key: take it out of here, count it as stolen and make a new one; what belongs here is the line in the file that ends in .pub
slipway.yaml:9: people.bob.keys: has a PRIVATE key in it: take it out of here, count it as stolen and make a new one`);
});

test.each([
  ["500ms", "500ms"],
  ["0s", "0s"],
  ["61m", "61m"],
  ["2h", "2h"],
  ["1d", "1d"],
  ["-5s", "-5s"],
  ["constructor", "constructor"],
])("checkSettings() refuses %s as the time to log in", (written, shown) => {
  expect(told(`version: 1\npeople: { ada: { keysFile: x } }\nlimits: { loginGrace: ${written} }\n`)).toBe(
    `Cannot use slipway.yaml: 1 complaint\nslipway.yaml:3: limits.loginGrace: needs a duration from 1s to 1h, as in 500ms, 30s, 5m or 1h, is "${shown}"`,
  );
});

test.each([
  ["1500ms", 1_500],
  ["1s", 1_000],
  ["1.5 m", 90_000],
  ["1h", 3_600_000],
])("checkSettings() takes %s as the time to log in", (written, loginGraceMs) => {
  const text = `version: 1\npeople: { ada: { keysFile: x } }\nlimits: { loginGrace: ${written} }\n`;
  expect(checkSettings(text, "slipway.yaml").limits.loginGraceMs).toBe(loginGraceMs);
});

test.each([
  "127.0.0.1",
  "127.0.0.1:",
  ":2222",
  "::1:2222",
  "[::1]",
  "[127.0.0.1]:1",
  "localhost:65536",
  "1.2.3:1",
  "a b:1",
  "host:-1",
  "[fe80::1%eth0]:22x",
  "-x:1",
])("checkSettings() refuses to listen on %s", (address) => {
  expect(told(`version: 1\npeople: { ada: { keysFile: x } }\nlisten: { ssh: [${JSON.stringify(address)}] }\n`)).toBe(
    `Cannot use slipway.yaml: 1 complaint\nslipway.yaml:3: listen.ssh[0]: needs host:port, as in "127.0.0.1:2222", or "[::]:2222" for every address, is ${JSON.stringify(address)}`,
  );
});

test("checkSettings() returns or complains whatever stands where", () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom("*", "4GiB", "30s", "a:1", {}, [], null));
  const file = fc.record(
    Object.fromEntries(
      ["version", "listen", "people", "repositories", "grants", "limits", "sandbox", "more"].map((name) => [
        name,
        fc.oneof(value, fc.dictionary(fc.constantFrom("ssh", "keys", "url", "ada", "environment", "root"), value)),
      ]),
    ),
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(file, (content) => {
      expect(told(JSON.stringify(content))).toMatch(/^(|Cannot use slipway\.yaml: [0-9]+ complaints?\n.*)$/s);
    }),
    { numRuns: 200 },
  );
});

test.each([
  ["version: 2\npeople: { ada: { keysFile: ada.pub, bogus: 1 }, bob: { keysFile: 3 }, eve: 4, mia: {} }", ["ada.pub"]],
  ["people: [1]", []],
  ["people: {{", []],
  ["", []],
])("namedKeysFiles() finds the files of keys in %j", (text, files) => {
  expect(namedKeysFiles(text).map(({ keysFile }) => keysFile)).toEqual(files);
});
