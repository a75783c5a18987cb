import fc from "fast-check";
import { expect, test } from "vitest";
import { toldOf } from "../base/fault.ts";
import { type Definition, lifecycle } from "../wire/definition.ts";
import { makeDefinition, mustWaitFor } from "./definition.ts";

const facts = { repository: "hello", environmentId: "e1f2" };

function make(content: unknown): Definition {
  return makeDefinition({ text: JSON.stringify(content), source: ".devcontainer.json" }, facts);
}

const bare: Definition = {
  source: ".devcontainer.json",
  user: "dev",
  workspaceFolder: "/workspace/hello",
  containerEnv: {},
  remoteEnv: {},
  forwardPorts: [],
  commands: [],
  waitFor: "updateContentCommand",
  slipway: { ports: [], tier: "lightweight" },
  container: {
    manifests: [],
    podSecurity: "restricted",
    serviceAccountToken: false,
    tier: "lightweight",
    hostRequirements: {},
  },
  warnings: [],
};

test("makeDefinition() has a default for everything when there is no file", () => {
  expect(makeDefinition(undefined, facts)).toEqual({ ...bare, source: "none" });
});

test("makeDefinition() holds what can be held", () => {
  const text = `{
  // as its editors write it
  "$schema": "https://example.dev/schema.json",
  "name": "hello", "portsAttributes": {}, "otherPortsAttributes": {}, "shutdownAction": "none",
  "userEnvProbe": "none", "updateRemoteUserUID": true, "init": true, "privileged": false, "mounts": [], "features": {},
  "overrideCommand": true,
  "remoteUser": "vscode",
  "workspaceFolder": "/workspace/\${localWorkspaceFolderBasename}/app/",
  "containerEnv": { "ROOT": "\${containerWorkspaceFolder}", "ID": "\${devcontainerId}" },
  "remoteEnv": { "PATH": "\${containerEnv:PATH}:\${localWorkspaceFolder}/bin", "GONE": null, "WHO": "\${localEnv:USER:no:one}" },
  "forwardPorts": [3000, "localhost:3001", "127.0.0.1:3000"],
  "postAttachCommand": "echo \${HOME} \${X:-y} $\${Z}",
  "onCreateCommand": ["npm", "ci", "--prefix", "\${containerWorkspaceFolderBasename}"],
  "postStartCommand": { "web": "npm run web", "db": ["make", "db"], },
  "postCreateCommand": "", "updateContentCommand": {},
  "waitFor": "postCreateCommand",
  "customizations": {
    "vscode": { "extensions": ["x"] },
    "slipway": { "run": "node \${localWorkspaceFolder}/server.js", "ports": [8080], "tier": "full" },
  },
}`;
  expect(makeDefinition({ text, source: ".devcontainer/devcontainer.json" }, facts)).toEqual({
    source: ".devcontainer/devcontainer.json",
    user: "vscode",
    workspaceFolder: "/workspace/hello/app",
    containerEnv: { ROOT: "/workspace/hello/app", ID: "e1f2" },
    remoteEnv: { PATH: "${containerEnv:PATH}:/workspace/hello/bin", GONE: null, WHO: "no:one" },
    forwardPorts: [3_000, 3_001],
    commands: [
      { name: "onCreateCommand", parallel: { onCreateCommand: { argv: ["npm", "ci", "--prefix", "app"] } } },
      { name: "postStartCommand", parallel: { web: { shell: "npm run web" }, db: { argv: ["make", "db"] } } },
      { name: "postAttachCommand", parallel: { postAttachCommand: { shell: "echo ${HOME} ${X:-y} $${Z}" } } },
    ],
    waitFor: "postCreateCommand",
    slipway: { run: "node /workspace/hello/server.js", ports: [8_080], tier: "full" },
    container: { ...bare.container, tier: "full" },
    warnings: [],
  });
});

test("makeDefinition() names everything that cannot hold, and what is so instead", () => {
  const content = {
    image: "debian",
    build: { dockerfile: "Dockerfile" },
    dockerFile: "Dockerfile",
    context: "..",
    dockerComposeFile: ["a.yml"],
    service: "app",
    runServices: ["db"],
    features: { "ghcr.io/devcontainers/features/node:1": {} },
    overrideFeatureInstallOrder: ["x"],
    mounts: ["source=a,target=b"],
    workspaceMount: "source=a,target=b",
    runArgs: ["--init"],
    capAdd: ["SYS_PTRACE"],
    securityOpt: ["seccomp=unconfined"],
    privileged: true,
    initializeCommand: "true",
    hostRequirements: { cpus: 8 },
    overrideCommand: false,
    appPort: 3_000,
    secrets: { TOKEN: {} },
  };
  expect(make(content).warnings).toEqual([
    '"image" is not used: the environment has the root file system of its machine, not an image',
    '"build" is not used: the environment has the root file system of its machine, not an image',
    '"dockerFile" is not used: the environment has the root file system of its machine, not an image',
    '"context" is not used: the environment has the root file system of its machine, not an image',
    '"dockerComposeFile" is not used: Compose is not started; customizations.slipway.run keeps a service running',
    '"service" is not used: Compose is not started; customizations.slipway.run keeps a service running',
    '"runServices" is not used: Compose is not started; customizations.slipway.run keeps a service running',
    '"features" is not used: features are not installed; install what is needed in onCreateCommand',
    '"overrideFeatureInstallOrder" is not used: features are not installed',
    '"mounts" is not used: nothing is mounted but the checkout at /workspace/hello',
    '"workspaceMount" is not used: nothing is mounted but the checkout at /workspace/hello',
    '"runArgs" is not used: there is no container that it could be an option of',
    '"capAdd" is not used: nothing in an environment gets privileges',
    '"securityOpt" is not used: nothing in an environment gets privileges',
    '"privileged" is not used: nothing in an environment gets privileges',
    '"initializeCommand" is not used: there is no machine before the environment; onCreateCommand runs first',
    '"hostRequirements" is not used: the limits of an environment are in the settings of the service',
    '"overrideCommand" is not used: there is no image with a command; customizations.slipway.run keeps a service running',
    '"appPort" is not used: no port is published; forwardPorts and ssh -L reach it',
    '"secrets" is not used: nobody is asked for secrets; set them inside the environment',
  ]);
});

test.each<[string, object, Partial<Definition>]>([
  [
    "root",
    { remoteUser: "root" },
    { user: "dev", warnings: ['"remoteUser" is "dev" here, not "root": nobody is root in an environment'] },
  ],
  [
    "root by the container",
    { containerUser: "root" },
    { user: "dev", warnings: ['"containerUser" is "dev" here, not "root": nobody is root in an environment'] },
  ],
  ["the container's user", { containerUser: "node" }, { user: "node", warnings: [] }],
  ["the same user twice", { containerUser: "node", remoteUser: "node" }, { user: "node", warnings: [] }],
  [
    "two users",
    { containerUser: "root", remoteUser: "node" },
    { user: "node", warnings: ['"containerUser" is not used: everything in an environment runs as "node"'] },
  ],
  [
    "a user that is none",
    { remoteUser: "../x\u001b" },
    { user: "dev", warnings: ['"remoteUser" is "dev" here: "../x?" is no name for a user'] },
  ],
  [
    "a user of another machine",
    { remoteUser: "${localEnv:USER}" },
    {
      user: "dev",
      warnings: [
        '"${localEnv:USER}" is empty: no other machine is here to ask; a default helps, as in "${localEnv:USER:value}"',
        '"remoteUser" is "dev" here: "" is no name for a user',
      ],
    },
  ],
  ["a user by default", { remoteUser: "${localEnv:USER:ada}" }, { user: "ada", warnings: [] }],
  [
    "a folder elsewhere",
    { workspaceFolder: "/workspaces/${localWorkspaceFolderBasename}" },
    {
      workspaceFolder: "/workspace/hello",
      warnings: ['"workspaceFolder" is "/workspace/hello" here, not "/workspaces/hello": the checkout is nowhere else'],
    },
  ],
  [
    "a folder that climbs out",
    { workspaceFolder: "/workspace/hello/../../etc/./x//" },
    {
      workspaceFolder: "/workspace/hello",
      warnings: ['"workspaceFolder" is "/workspace/hello" here, not "/etc/x": the checkout is nowhere else'],
    },
  ],
  [
    "a folder that climbs to the root",
    { workspaceFolder: "/../.." },
    {
      workspaceFolder: "/workspace/hello",
      warnings: ['"workspaceFolder" is "/workspace/hello" here, not "/": the checkout is nowhere else'],
    },
  ],
  ["a folder beside", { workspaceFolder: "/workspace" }, { workspaceFolder: "/workspace", warnings: [] }],
  [
    "a folder whose name only begins so",
    { workspaceFolder: "/workspacex" },
    {
      workspaceFolder: "/workspace/hello",
      warnings: ['"workspaceFolder" is "/workspace/hello" here, not "/workspacex": the checkout is nowhere else'],
    },
  ],
  [
    "variables of ours",
    { containerEnv: { SLIPWAY_PERSON: "eve", A: "1" }, remoteEnv: { SLIPWAY_X: null } },
    {
      containerEnv: { A: "1" },
      remoteEnv: {},
      warnings: [
        '"SLIPWAY_PERSON" in "containerEnv" is not used: only Slipway sets what begins with SLIPWAY_',
        '"SLIPWAY_X" in "remoteEnv" is not used: only Slipway sets what begins with SLIPWAY_',
      ],
    },
  ],
  [
    "a variable of another machine",
    { containerEnv: { A: "x${localEnv:HOME}y", B: "${env:B:2}" } },
    {
      containerEnv: { A: "xy", B: "2" },
      warnings: [
        '"${localEnv:HOME}" is empty: no other machine is here to ask; a default helps, as in "${localEnv:HOME:value}"',
      ],
    },
  ],
  [
    "a variable of the container where it has none",
    { containerEnv: { A: "${containerEnv:PATH}" }, customizations: { slipway: { run: "echo ${containerEnv:PATH}" } } },
    {
      containerEnv: { A: "${containerEnv:PATH}" },
      slipway: { run: "echo ${containerEnv:PATH}", ports: [], tier: "lightweight" },
      warnings: ['"${containerEnv:…}" has a value in "remoteEnv" only'],
    },
  ],
  [
    "ports of others",
    { forwardPorts: ["db:5432", "localhost:70000", 80] },
    {
      forwardPorts: [80],
      warnings: [
        '"db:5432" in "forwardPorts" is not used: only ports of the environment itself can be',
        '"localhost:70000" in "forwardPorts" is not used: only ports of the environment itself can be',
      ],
    },
  ],
  [
    "a slip of the hand",
    { remoteUsr: "x", imagee: 1, zzz: 1 },
    {
      warnings: [
        '"remoteUsr" is not known and has no effect; did you mean "remoteUser"?',
        '"imagee" is not known and has no effect; did you mean "image"?',
        '"zzz" is not known and has no effect',
      ],
    },
  ],
  [
    "a slip of the hand in ours",
    { customizations: { slipway: { prots: [1] } } },
    {
      warnings: [
        '"customizations.slipway.prots" is not known and has no effect; did you mean "customizations.slipway.ports"?',
      ],
    },
  ],
])("makeDefinition() warns of %s", (_, content, expected) => {
  expect(make(content)).toEqual({ ...bare, ...expected });
});

// Taken for a definition that asks for no labels, it went to any cluster, and nobody was told.
test("makeDefinition() warns of keys of placement that nobody knows", () => {
  const told = (placement: unknown) => placed({ customizations: { slipway: { placement } } }).warnings;
  const under = "customizations.slipway.placement.";
  const labels = `; labels of clusters go under "${under}labels"`;
  expect(told({ zone: "b", label: { zone: "b" } })).toEqual([
    `"${under}zone" is not known and has no effect${labels}`,
    `"${under}label" is not known and has no effect; did you mean "${under}labels"?${labels}`,
  ]);
  expect(told({ labels: { zone: "b" } })).toEqual([]);
});

/** Of a definition on a cluster. */
function placed(content: unknown): Definition {
  const found = { text: JSON.stringify(content), source: ".devcontainer.json" };
  return makeDefinition(found, { ...facts, place: "kubernetes" });
}

test("makeDefinition() holds on a cluster what is about containers", () => {
  const content = {
    image: "node:${localEnv:VERSION:24}",
    hostRequirements: { cpus: 1.5, memory: "4gb", storage: "512mb", gpu: "optional" },
    containerUser: "node",
    customizations: { slipway: { tier: "full", runAsUser: 1_001, placement: { labels: { region: "eu" } } } },
  };
  expect(placed(content)).toEqual({
    ...bare,
    user: "node",
    slipway: { ports: [], tier: "full" },
    container: {
      image: "node:24",
      manifests: [],
      podSecurity: "restricted",
      serviceAccountToken: false,
      tier: "full",
      runAsUser: 1_001,
      hostRequirements: { cpuCount: 1.5, memoryBytes: 4_294_967_296, storageBytes: 536_870_912 },
      placement: { region: "eu" },
    },
  });
});

test("makeDefinition() holds on a cluster the manifests of the repository and where in them people are", () => {
  const slipway = {
    manifests: ["./k8s/", "deploy//app.yaml", "."],
    target: "deployment/api/web",
    podSecurity: "baseline",
    serviceAccountToken: true,
    runAsUser: 0,
  };
  expect(placed({ remoteUser: "root", customizations: { slipway } })).toEqual({
    ...bare,
    user: "root",
    container: {
      manifests: ["k8s", "deploy/app.yaml", "."],
      target: "deployment/api/web",
      podSecurity: "baseline",
      serviceAccountToken: true,
      tier: "lightweight",
      runAsUser: 0,
      hostRequirements: {},
    },
  });
  expect(placed({ customizations: { slipway: { manifests: "k8s" } } }).container.manifests).toEqual(["k8s"]);
});

test("makeDefinition() tells on a sandbox that nothing of clusters holds", () => {
  const slipway = { manifests: "k8s", target: "deployment/api", runAsUser: 0, placement: { labels: { a: "b" } } };
  const where = "the environment is on the machine of the service, not on a cluster";
  expect(make({ image: "x y", hostRequirements: { gpu: true }, customizations: { slipway } }).warnings).toEqual([
    '"image" is not used: the environment has the root file system of its machine, not an image',
    '"hostRequirements" is not used: the limits of an environment are in the settings of the service',
    `"customizations.slipway.manifests" is not used: ${where}`,
    `"customizations.slipway.target" is not used: ${where}`,
    `"customizations.slipway.placement" is not used: ${where}`,
  ]);
});

test("makeDefinition() names everything that cannot hold on a cluster, and what is so instead", () => {
  const content = {
    image: "debian",
    build: { dockerfile: "Dockerfile" },
    dockerComposeFile: "a.yml",
    features: { "ghcr.io/devcontainers/features/node:1": {} },
    mounts: ["source=a,target=b"],
    runArgs: ["--init"],
    capAdd: ["SYS_PTRACE"],
    hostRequirements: { cpus: 8, gpu: true },
    overrideCommand: false,
    secrets: { TOKEN: {} },
  };
  expect(placed(content).warnings).toEqual([
    '"build" is not used: images are not built here; name one that is in "image"',
    '"dockerComposeFile" is not used: Compose is not started; customizations.slipway.manifests names what runs beside it',
    '"features" is not used: features are not installed; have what is needed in the image',
    '"mounts" is not used: nothing is mounted but the checkout at /workspace/hello and the volumes of manifests',
    '"runArgs" is not used: no container engine is here that it could be an option of; manifests can say more of a pod',
    '"capAdd" is not used: nothing in an environment gets privileges',
    '"overrideCommand" is not used: the command of the container is Slipway\'s own; customizations.slipway.run keeps a service running',
    '"secrets" is not used: nobody is asked for secrets; have a Secret among the manifests, or set them inside the environment',
    '"hostRequirements.gpu" is not used: no processor for graphics is given to environments',
  ]);
});

const BASELINE_NEEDED = 'root needs "podSecurity": "baseline" under customizations.slipway';

test.each<[string, object, Pick<Definition, "user"> & { runAsUser?: number; warnings: string[] }]>([
  [
    "root in a restricted pod",
    { remoteUser: "root", customizations: { slipway: { runAsUser: 0 } } },
    {
      user: "dev",
      warnings: [
        `"remoteUser" is "dev" here, not "root": ${BASELINE_NEEDED}`,
        `"customizations.slipway.runAsUser" is not used: ${BASELINE_NEEDED}`,
      ],
    },
  ],
  [
    "root without its number",
    { remoteUser: "root", customizations: { slipway: { podSecurity: "baseline" } } },
    {
      user: "dev",
      warnings: ['"remoteUser" is "dev" here, not "root": root needs "runAsUser": 0 under customizations.slipway'],
    },
  ],
  [
    "nobody by name as root",
    { customizations: { slipway: { podSecurity: "baseline", runAsUser: 0 } } },
    { user: "root", runAsUser: 0, warnings: [] },
  ],
])("makeDefinition() lets in on a cluster %s", (_, content, { user, runAsUser, warnings }) => {
  const made = placed(content);
  expect([made.user, made.container.runAsUser, made.warnings]).toEqual([user, runAsUser, warnings]);
});

test.each([
  [
    "an image beside manifests",
    { image: "debian", customizations: { slipway: { manifests: "k8s" } } },
    '"image" is not used: the containers of customizations.slipway.manifests have images of their own',
  ],
  ["an image that is none", { image: "a b\u001b" }, '"image" is not used: "a b?" is no name of an image'],
  [
    "a target in nothing",
    { customizations: { slipway: { target: "deployment/api" } } },
    '"customizations.slipway.target" is not used: there are no manifests that it could be in',
  ],
])("makeDefinition() warns on a cluster of %s", (_, content, warning) => {
  const made = placed(content);
  expect(made.warnings).toEqual([warning]);
  expect([made.container.image, made.container.target]).toEqual([undefined, undefined]);
});

test("makeDefinition() warns of a key that is there twice", () => {
  const text = '{"containerEnv": {"A": "1", "A": "2"}}';
  expect(makeDefinition({ text, source: "x" }, facts)).toMatchObject({
    containerEnv: { A: "2" },
    warnings: ['"containerEnv.A" is there twice: the last one counts'],
  });
});

test("makeDefinition() gives at most 30 warnings, however many there are", () => {
  const content = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`key${index}`, 1]));
  expect(make(content).warnings).toHaveLength(30);
});

test.each([
  ["initializeCommand", []],
  ["onCreateCommand", ["onCreateCommand"]],
  ["updateContentCommand", ["onCreateCommand", "updateContentCommand"]],
  ["postStartCommand", ["onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand"]],
] as const)("mustWaitFor() holds sessions back until %s is done", (waitFor, steps) => {
  expect(lifecycle.filter((step) => mustWaitFor(step, waitFor))).toEqual(steps);
});

test("makeDefinition() makes something that is safe to run, or complains, whatever the file says", () => {
  const word = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom(
      "root",
      "/workspace/../etc",
      "${localEnv:A:\n}",
      "${localWorkspaceFolder}",
      "a\0b",
      "x\ny",
      "SLIPWAY_X",
    ),
  );
  const value = fc.oneof(
    word,
    fc.jsonValue({ maxDepth: 1 }),
    fc.dictionary(word, word),
    fc.array(word, { maxLength: 3 }),
  );
  const names = [
    "remoteUser",
    "workspaceFolder",
    "containerEnv",
    "remoteEnv",
    "forwardPorts",
    "customizations",
    "image",
    ...lifecycle,
  ];
  const file = fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] });
  fc.assert(
    fc.property(file, (content) => {
      try {
        placed(content);
        const made = make(content);
        expect(made.user).toMatch(/^(?!root$)[a-z_][a-z0-9_-]{0,31}$/);
        expect(`${made.workspaceFolder}/`).toMatch(/^\/workspace\/(?!.*\/\.{0,2}\/)/);
        for (const [name, text] of Object.entries({ ...made.containerEnv, ...made.remoteEnv })) {
          expect(name).toMatch(/^(?!SLIPWAY_)[A-Za-z_][A-Za-z0-9_]*$/);
          expect(text ?? "").not.toMatch(/[\0\r\n]/);
        }
        for (const warning of made.warnings) expect(warning).toMatch(/^\P{C}{1,300}$/u);
      } catch (error) {
        expect(toldOf(error)).toMatch(/^Cannot use \.devcontainer\.json: [0-9]+ complaint/);
      }
    }),
    { numRuns: 300 },
  );
});
