import { expect, test } from "vitest";
import { toldOf } from "../base/fault.ts";
import { checkDefinition } from "./definition.ts";

function told(text: string): string {
  try {
    checkDefinition(text, ".devcontainer.json");
    return "";
  } catch (error) {
    expect(error).toMatchObject({ code: "definition.invalid" });
    return toldOf(error);
  }
}

test("checkDefinition() separates what we act on from the rest", () => {
  const text = `{
  // comments are fine
  "name": "x", "image": "debian", "postCreateCommand": ["npm", "ci"],
  "remoteEnv": { "A": "1", "B": null, "A": "2" },
  "customizations": { "vscode": {}, "slipway": { "run": "npm start", "rnu": 1, "placement": { "zone": "b" } } },
}`;
  expect(checkDefinition(text, "x.json")).toEqual({
    source: "x.json",
    held: {
      containerEnv: {},
      remoteEnv: { A: "2", B: null },
      forwardPorts: [],
      postCreateCommand: { postCreateCommand: { argv: ["npm", "ci"] } },
      waitFor: "updateContentCommand",
      image: "debian",
      customizations: {
        slipway: {
          run: "npm start",
          ports: [],
          tier: "lightweight",
          manifests: [],
          podSecurity: "restricted",
          serviceAccountToken: false,
          placement: { labels: {} },
        },
      },
    },
    others: { name: "x" },
    strangeSlipwayKeys: ["rnu"],
    strangePlacementKeys: ["zone"],
    repeatedKeys: ["remoteEnv.A"],
  });
});

test("checkDefinition() complains of every wrong type and value at once, each with its line", () => {
  const text = `{
  "remoteUser": 5,
  "containerUser": ["dev"],
  "workspaceFolder": "src",
  "containerEnv": { "A": 1, "B": "x\\ny", "C D": "", "E": null },
  "remoteEnv": {
    "F": "x\\u0000y",
    "G": true,
    "1": "x" },
  "forwardPorts": [3000, 0, "db", 1.5, "db:5432", {}],
  "onCreateCommand": 7,
  "updateContentCommand": ["npm", 1],
  "postCreateCommand": [],
  "postStartCommand": { "a": "x", "b": [], "c": 3, "d\\n": "y" },
  "postAttachCommand": "a\\u0000b",
  "waitFor": "postAttachCommand",
  "customizations": { "slipway": {
    "run": "  ",
    "ports": "8080",
    "tier": "huge"
  } }
}`;
  expect(told(text)).toBe(`Cannot use .devcontainer.json: 25 complaints
.devcontainer.json:2: remoteUser: needs a string, is 5
.devcontainer.json:3: containerUser: needs a string, is a list
.devcontainer.json:4: workspaceFolder: needs an absolute path on one line
.devcontainer.json:5: containerEnv.A: needs a string, is 1
.devcontainer.json:5: containerEnv.B: cannot have a NUL or a line break in it: sshd could not hand it to a session
.devcontainer.json:5: containerEnv.E: needs a string, is null
.devcontainer.json:5: containerEnv["C D"]: needs a name of letters, digits and _, no digit first
.devcontainer.json:7: remoteEnv.F: cannot have a NUL or a line break in it: sshd could not hand it to a session
.devcontainer.json:8: remoteEnv.G: needs a string, is true
.devcontainer.json:9: remoteEnv.1: needs a name of letters, digits and _, no digit first
.devcontainer.json:10: forwardPorts[1]: needs a port from 1 to 65535, is 0
.devcontainer.json:10: forwardPorts[2]: needs a port from 1 to 65535, or "host:port"
.devcontainer.json:10: forwardPorts[3]: needs a port from 1 to 65535, is 1.5
.devcontainer.json:10: forwardPorts[5]: needs a port from 1 to 65535, or "host:port", is an object
.devcontainer.json:11: onCreateCommand: needs a shell line, or a list of a program and its arguments, is 7
.devcontainer.json:12: updateContentCommand: needs a list of strings only
.devcontainer.json:13: postCreateCommand: needs a program to run, is empty
.devcontainer.json:14: postStartCommand.b: needs a program to run, is empty
.devcontainer.json:14: postStartCommand.c: needs a shell line, or a list of a program and its arguments, is 3
.devcontainer.json:14: postStartCommand["d?"]: needs a label of 1 to 100 characters on one line
.devcontainer.json:15: postAttachCommand: cannot have a NUL in it
.devcontainer.json:16: waitFor: needs "initializeCommand", "onCreateCommand", "updateContentCommand", "postCreateCommand" or "postStartCommand", is "postAttachCommand"
.devcontainer.json:18: customizations.slipway.run: needs a shell line, is empty
.devcontainer.json:19: customizations.slipway.ports: needs a list, is a string
.devcontainer.json:20: customizations.slipway.tier: needs "lightweight", "full" or "compliance", is "huge"`);
});

test.each([
  ["a list", "[]", ".devcontainer.json:1: needs an object, is a list"],
  ["null", "null", ".devcontainer.json:1: needs an object, is null"],
  ["nothing", "// only this\n", ".devcontainer.json:2: is no JSON with comments: Value expected"],
  [
    "customizations that are none",
    '{\n"customizations": []}',
    ".devcontainer.json:2: customizations: needs an object, is a list",
  ],
  [
    "settings of ours that are none",
    '{"customizations": {\n"slipway": null}}',
    ".devcontainer.json:2: customizations.slipway: needs an object, is null",
  ],
  ["variables that are none", '{"containerEnv": null}', ".devcontainer.json:1: containerEnv: needs an object, is null"],
  ["a file of another kind", "FROM debian\n", ".devcontainer.json:1: is no JSON with comments: Invalid symbol"],
])("checkDefinition() refuses %s", (_, text, complaint) => {
  expect(told(text)).toContain(`\n${complaint}`);
});

test("checkDefinition() writes out no more complaints than people read, and no long names", () => {
  const ports = told(`{"forwardPorts": [${"0,".repeat(5_000)}]}`).split("\n");
  expect([ports.length, ports[0], ports.at(-1)]).toEqual([
    102,
    "Cannot use .devcontainer.json: 5000 complaints",
    "and 4900 more",
  ]);
  expect(told(`{"containerEnv": {"${"\u202e".repeat(90)}": ""}}`)).toBe(
    `Cannot use .devcontainer.json: 1 complaint\n.devcontainer.json:1: containerEnv["${"?".repeat(60)}…"]: needs a name of letters, digits and _, no digit first`,
  );
});

test("checkDefinition() complains of everything about containers at once", () => {
  const text = `{
  "image": 1,
  "hostRequirements": { "cpus": 0,
    "memory": "4 GB",
    "storage": 4 },
  "customizations": { "slipway": {
    "manifests": ["../k8s", "/etc",
      "a\\u0000b", 5, "", "https://example.dev/x.yaml"],
    "target": "service/api",
    "podSecurity": "privileged",
    "serviceAccountToken": "yes",
    "runAsUser": -1,
    "placement": { "labels": { "a b": "x", "c": "-" } }
  } }
}`;
  expect(told(text)).toMatchInlineSnapshot(`
    "Cannot use .devcontainer.json: 15 complaints
    .devcontainer.json:2: image: needs a string, is 1
    .devcontainer.json:3: hostRequirements.cpus: needs a number of processors above 0, is 0
    .devcontainer.json:4: hostRequirements.memory: needs a size, as in "4gb" or "512mb"
    .devcontainer.json:5: hostRequirements.storage: needs a size, as in "4gb" or "512mb", is 4
    .devcontainer.json:7: customizations.slipway.manifests[0]: needs a path in the repository, as in "k8s" or "deploy/app.yaml"
    .devcontainer.json:7: customizations.slipway.manifests[1]: needs a path in the repository, as in "k8s" or "deploy/app.yaml"
    .devcontainer.json:8: customizations.slipway.manifests[2]: needs a path in the repository, as in "k8s" or "deploy/app.yaml"
    .devcontainer.json:8: customizations.slipway.manifests[3]: needs a path in the repository, as in "k8s" or "deploy/app.yaml", is 5
    .devcontainer.json:8: customizations.slipway.manifests[4]: needs a path in the repository, as in "k8s" or "deploy/app.yaml"
    .devcontainer.json:9: customizations.slipway.target: needs a workload as in "deployment/api", "statefulset/db" or "deployment/api/container"
    .devcontainer.json:10: customizations.slipway.podSecurity: needs "restricted" or "baseline", is "privileged"
    .devcontainer.json:11: customizations.slipway.serviceAccountToken: needs true or false, is a string
    .devcontainer.json:12: customizations.slipway.runAsUser: needs the number of a user, from 0 to 4294967294, is -1
    .devcontainer.json:13: customizations.slipway.placement.labels.c: needs letters, digits, ".", "_", "/" and "-", at most 63
    .devcontainer.json:13: customizations.slipway.placement.labels["a b"]: needs letters, digits, ".", "_", "/" and "-", at most 63"
  `);
});

/** There was no end to the paths, each of which may have 500 files: one push could take all the memory of the gateway. */
test("checkDefinition() takes at most 50 paths of manifests", () => {
  const paths = (count: number): string[] => Array.from({ length: count }, (_, index) => `k8s/${index}.yaml`);
  const written = (count: number): string =>
    JSON.stringify({ customizations: { slipway: { manifests: paths(count) } } });
  expect(told(written(50))).toBe("");
  expect(told(written(51))).toContain(
    ".devcontainer.json:1: customizations.slipway.manifests: needs at most 50 paths; a folder is one",
  );
});

test.each([
  "api",
  "deployment/",
  "deployment/api/",
  "deployment/api/web/x",
  "Deployment/api",
  "deployment/Api",
  "pod/a",
  "sts/a_b",
])("checkDefinition() takes %j for no target", (target) => {
  expect(told(JSON.stringify({ customizations: { slipway: { target } } }))).toMatch(
    /target: needs a workload as in "deployment\/api"/,
  );
});

test.each(["deploy/api", "statefulset/db.main/web"])("checkDefinition() takes %j for a target", (target) => {
  expect(told(JSON.stringify({ customizations: { slipway: { target } } }))).toBe("");
});
