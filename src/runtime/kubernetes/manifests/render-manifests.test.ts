import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeClock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import { recordingLog } from "../../../../test/fakes/recording-log.ts";
import { skipUnlessEveryRound } from "../../../../test/harness/rounds.ts";
import { type Rendered, renderManifests, type RenderOptions } from "./render-manifests.ts";

const root = mkdtempSync(join(tmpdir(), "slipway-render-test-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let made = 0;

/** Makes a bare mirror of one commit with these files; a path that ends in `->` is a link to its text. */
function mirrorOf(files: Readonly<Record<string, string>>): string {
  const work = join(root, `work-${++made}`);
  for (const [path, text] of Object.entries(files)) {
    const full = join(work, path.replace(/->$/, ""));
    mkdirSync(dirname(full), { recursive: true });
    if (path.endsWith("->")) symlinkSync(text, full);
    else writeFileSync(full, text);
  }
  const git = (...words: string[]): void => {
    const author = ["-c", "user.name=Tess", "-c", "user.email=tess@example.org", "-c", "init.defaultBranch=main"];
    execFileSync("git", [...author, "-C", work, ...words], { stdio: "ignore" });
  };
  git("init", "--quiet");
  git("add", "--all");
  git("commit", "--quiet", "--message", "manifests");
  execFileSync("git", ["clone", "--quiet", "--bare", work, `${work}.git`]);
  return `${work}.git`;
}

function render(mirrorPath: string, paths: readonly string[], more: Partial<RenderOptions> = {}): Promise<Rendered> {
  const options = { mirrorPath, revision: "refs/heads/main", paths, clock: makeClock(), log: recordingLog().log };
  return renderManifests({ ...options, ...more }, AbortSignal.timeout(60_000));
}

async function toldBy(rendering: Promise<unknown>): Promise<string> {
  const error: unknown = await rendering.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Fault)) throw new Error("Cannot see what was told: no Fault was thrown", { cause: error });
  expect(error.code).toBe("manifests.invalid");
  return error.told;
}

/** Makes a folder with a program in it, which other users may run. */
function programFolder(name: string, script: string): string {
  const folder = mkdtempSync(join(root, "bin-"));
  chmodSync(root, 0o755);
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`, { mode: 0o755 });
  return folder;
}

const configMap = (name: string, data = "a: b"): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  ${data}\n`;

const names = ({ objects }: Rendered): string[] => objects.map(({ metadata }) => metadata.name);

test("renderManifests() reads the YAML and JSON files of a folder by name, lists and several documents in one", async () => {
  const list = {
    apiVersion: "v1",
    kind: "List",
    items: [{ apiVersion: "v1", kind: "Secret", metadata: { name: "c" } }],
  };
  const mirror = mirrorOf({
    "deploy/b.yaml": `${configMap("b1")}---\n---\n${configMap("b2")}`,
    "deploy/a.yml": configMap("a"),
    "deploy/c.json": JSON.stringify(list),
    "deploy/notes.txt": "nothing",
    "deploy/deeper/d.yaml": configMap("d"),
  });
  expect(names(await render(mirror, ["deploy"]))).toEqual(["a", "b1", "b2", "c"]);
  expect(names(await render(mirror, ["./deploy/deeper/", "deploy/a.yml"]))).toEqual(["d", "a"]);
});

test("renderManifests() complains of everything at once, with file and line", async () => {
  const mirror = mirrorOf({
    "deploy/a.yaml": "a: [\n",
    "deploy/b.yaml": `${configMap("b")}---\nkind: ConfigMap\n`,
    "deploy/c.yaml": "x: *y\n",
    "link->": "/etc/passwd",
    "empty/readme.md": "",
  });
  const told = await toldBy(render(mirror, ["deploy", "link", "none", "../up", "/etc", "empty"]));
  expect(told).toBe(`Cannot use the manifests of the repository: 8 complaints
link: is a link, needs a file
"none": is not in the repository
"../up": needs a path inside of the repository
"/etc": needs a path inside of the repository
"empty": has no .yaml, .yml or .json files in it
deploy/a.yaml:2: this is no YAML that we read: Flow sequence in block collection must be sufficiently indented and end with a ]
deploy/b.yaml:8: is no Kubernetes object: needs apiVersion, kind and metadata.name
deploy/c.yaml:1: is an alias of an anchor that is not there before it`);
});

test("renderManifests() says where in a file a complaint about an object is", async () => {
  const mirror = mirrorOf({ "all.yaml": `${configMap("a")}---\n${configMap("b")}` });
  const { objects, refuse } = await render(mirror, ["all.yaml"]);
  const [, second] = objects;
  const fault = refuse([{ object: second!, path: ["data", "a"], message: "needs nothing" }]);
  expect(fault.told).toBe(`Cannot use the manifests of the repository: 1 complaint
all.yaml:13: ConfigMap "b": data.a: needs nothing`);
});

test("renderManifests() builds an overlay with Kustomize, on a base elsewhere in the repository", async () => {
  const mirror = mirrorOf({
    "base/kustomization.yaml": "resources: [map.yaml]\n",
    "base/map.yaml": configMap("settings"),
    "overlays/dev/kustomization.yaml":
      "resources: [../../base]\nnamePrefix: dev-\nconfigMapGenerator:\n- name: made\n  files: [logo.bin]\ngeneratorOptions: {disableNameSuffixHash: true}\n",
    "overlays/dev/logo.bin": "plain text",
  });
  const rendered = await render(mirror, ["overlays/dev"]);
  expect(names(rendered).toSorted()).toEqual(["dev-made", "dev-settings"]);
  expect(names(await render(mirror, ["overlays/dev/kustomization.yaml"]))).toHaveLength(2);
  expect(rendered.refuse([{ object: rendered.objects[0]!, path: ["data"], message: "is off" }]).told).toMatch(
    /overlays\/dev as rendered: ConfigMap "dev-(?:made|settings)": data: is off$/,
  );
});

test.each([
  ["a remote base by git", "resources: ['https://127.0.0.1/owner/name?ref=main']\n", /git|url/i],
  ["a remote file", "resources: ['http://127.0.0.1:1/a.yaml']\n", /127\.0\.0\.1/],
  ["a file outside of the repository", "resources: [/etc/hostname]\n", /etc\/hostname/],
  ["a file above the repository", "resources: [../../../../../etc/hostname]\n", /hostname/],
  ["a link out of the repository", "resources: [link.yaml]\n", /link\.yaml/],
  ["a plugin that is a program", "generators: [plugin.yaml]\n", /plugin/i],
  ["a chart", "helmCharts: [{name: a, repo: 'https://127.0.0.1/charts', version: 1.0.0}]\n", /helm/i],
])("renderManifests() refuses a kustomization of %s", async (_, kustomization, expected) => {
  const mirror = mirrorOf({
    "app/kustomization.yaml": kustomization,
    "app/link.yaml->": "/etc/hostname",
    "app/plugin.yaml":
      "apiVersion: someteam.example.com/v1\nkind: Plugin\nmetadata: {name: a, annotations: {config.kubernetes.io/function: 'exec: {path: ./run.sh}'}}\n",
    "app/run.sh": "#!/bin/sh\ntouch /tmp/slipway-was-run\n",
  });
  const told = await toldBy(render(mirror, ["app"]));
  expect(told).toContain("app: ");
  expect(told).toMatch(expected);
  expect(told).not.toContain(tmpdir());
});

test("renderManifests() gives up on a kustomization whose aliases unfold without end", async (ctx) => {
  skipUnlessEveryRound(ctx); // kubectl unfolds them for as long as it may, 5 s of processor time
  const lines = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: a}", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 10; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  }
  const mirror = mirrorOf({ "app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": lines.join("\n") });
  expect(await toldBy(render(mirror, ["app"]))).toContain("app: ");
});

test("renderManifests() refuses a file of 100,000 documents", async () => {
  const mirror = mirrorOf({ "all.yaml": "---\na: 1\n".repeat(100_000) });
  expect(await toldBy(render(mirror, ["all.yaml"]))).toContain("all.yaml:1: has more than 1000 documents");
});

/** Only each file had a limit: 500 of 4 MiB, for each of any number of paths, were in memory at once. */
test("renderManifests() refuses plain files that are too much together, before it reads them", async () => {
  const large = configMap("large", `a: ${"x".repeat(3 * 1_024 * 1_024)}`);
  const mirror = mirrorOf({ "one/a.yaml": large, "one/b.yaml": large, "two/c.yaml": large, "d.yaml": "x: *y\n" });
  expect(await toldBy(render(mirror, ["one", "two", "none", "d.yaml"]))).toBe(
    `Cannot use the manifests of the repository: 2 complaints
"none": is not in the repository
the plain files of all paths: need at most 8388608 bytes, have ${3 * large.length + 6}; leave out what no environment needs`,
  );
  expect(names(await render(mirror, ["one"]))).toEqual(["large", "large"]);
});

/** What was rendered had a limit for each path alone. */
test("renderManifests() refuses rendered objects that are too much together", async () => {
  const folder = programFolder("helm", `head -c 3500000 /dev/zero | tr '\\0' '#'`);
  const chart = "apiVersion: v2\nname: a\nversion: 1.0.0\n";
  const charts = ["a", "b", "c"].map((name) => [`${name}/Chart.yaml`, chart] as const);
  const rendering = render(mirrorOf(Object.fromEntries(charts)), ["a", "b", "c"], { programFolders: [folder] });
  expect(await toldBy(rendering)).toContain(
    "the rendered objects of all paths: need at most 8388608 bytes, have 10500000",
  );
});

/** All files of a path were read at one go: nobody's session went on meanwhile. */
test("renderManifests() lets others go on between two files", async () => {
  const entries = Array.from({ length: 2_000 }, (_, index) => `  key-${index}: value-${index}`).join("\n");
  const text = configMap("map", entries.trim());
  const files = Array.from({ length: 40 }, (_, index) => [`k8s/${index}.yaml`, text] as const);
  const mirror = mirrorOf(Object.fromEntries(files));
  const begun = performance.now();
  let [last, longest] = [begun, 0];
  const watch = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const { objects } = await render(mirror, ["k8s"]);
  clearInterval(watch);
  expect(objects).toHaveLength(40);
  expect(Math.max(longest, performance.now() - last)).toBeLessThan((performance.now() - begun) / 2);
});

test("renderManifests() leaves nothing behind in the temporary folder", async () => {
  const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("slipway-manifests-"));
  const before = leftovers();
  const mirror = mirrorOf({ "kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": configMap("a") });
  expect(names(await render(mirror, ["."]))).toEqual(["a"]);
  await toldBy(render(mirrorOf({ "kustomization.yaml": "resources: [none.yaml]\n" }), [""]));
  expect(leftovers().filter((name) => !before.includes(name))).toEqual([]);
});

test("renderManifests() ends at once when it is called off", async () => {
  const mirror = mirrorOf({ "kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": configMap("a") });
  const off = AbortSignal.abort(new Error("Called off"));
  const options = {
    mirrorPath: mirror,
    revision: "refs/heads/main",
    paths: ["."],
    clock: makeClock(),
    log: recordingLog().log,
  };
  await expect(renderManifests(options, off)).rejects.toThrow();
});

test("renderManifests() asks helm for a chart, and says so when there is none", async () => {
  const mirror = mirrorOf({ "chart/Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\n" });
  const nowhere = join(root, "nowhere");
  expect(await toldBy(render(mirror, ["chart"], { programFolders: [nowhere] }))).toContain(
    "chart: this needs helm on the machine that Slipway runs on, and it is not there",
  );
  const said = "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s}\\n";
  const folder = programFolder("helm", `printf '${said}' "$3"; test -e "$4/Chart.yaml"`);
  expect(names(await render(mirror, ["chart"], { programFolders: [folder] }))).toEqual(["release"]);
});

test("renderManifests() runs programs without a network, and as nobody where it is root", async () => {
  const mirror = mirrorOf({ "chart/Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\n" });
  const script = `printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: "%s %s %s"}\\n' "$(id -u)" "$(ls /sys/class/net | tr '\\n' ' ')" "$(grep -c . /proc/net/route)"`;
  const folder = programFolder("helm", script);
  const [name = ""] = names(await render(mirror, ["chart"], { programFolders: [folder] }));
  // Only the head of the table of routes is left.
  expect(name).toMatch(/ [01]$/);
  if (process.getuid?.() === 0) expect(name).toMatch(/^65534 /);
});

describe("where no network namespace can be had", () => {
  const asked: string[] = [];
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.url ?? "");
      response.end("a: secret\n");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  });
  afterAll(() => void server.close());

  /** Kustomize fetched what a repository named with our network then, and made a ConfigMap of it. */
  test.each([
    ["a generator's file", (at: string) => `configMapGenerator: [{name: a, files: ['x=${at}']}]`, /needs a path/],
    ["a key in other letters", (at: string) => `CONFIGMAPGENERATOR: [{name: a, FILES: ['${at}']}]`, /needs a path/],
    [
      "base64",
      (at: string) => `secretGenerator: [{name: a, envs: [!!binary ${Buffer.from(at).toString("base64")}]}]`,
      /needs a text/,
    ],
    [
      "a comment that is over for others",
      (at: string) => `#\u2028configMapGenerator: [{name: a, files: ['x=${at}']}]`,
      /kustomization/,
    ],
    ["a base", () => "resources: [../base/]", /base\/kustomization\.yaml:2: configurations\[0\]: needs a path/],
    ["a generator", () => "generators: [made.yaml]", /kustomization\.yaml:1: generators: cannot be used where Slipway/],
    ["a validator, with a long s", () => "validatorſ: [made.yaml]", /cannot be used where Slipway runs/],
  ])("renderManifests() has nothing fetched that is named in %s", async (_, kustomization, expected) => {
    const mirror = mirrorOf({
      "app/kustomization.yaml": kustomization(`${url}/a.yaml`),
      "app/made.yaml": `{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: a}, files: ['x=${url}/made']}`,
      "base/kustomization.yaml": `# ours\nconfigurations: ['${url}/base']\n`,
    });
    expect(await toldBy(render(mirror, ["app"], { fence: "none" }))).toMatch(expected);
    expect(asked).toEqual([]);
  });

  test("renderManifests() builds what is in the repository, and warns once", async () => {
    const { log, lines } = recordingLog();
    const mirror = mirrorOf({
      "base/kustomization.yaml":
        "resources: [map.yaml]\nimages: [{name: ghcr.io/a/b, newName: github.com/c}]\ncommonAnnotations: {see: 'https://example.org'}\n",
      "base/map.yaml": configMap("settings"),
      "app/kustomization.yaml":
        "resources: [../base]\nnamePrefix: dev-\nconfigMapGenerator: [{name: a, literals: ['at=https://example.org']}]\n",
    });
    const first = await render(mirror, ["app"], { fence: "none", log });
    expect(first.objects.map(({ metadata }) => metadata.name.slice(0, 5)).toSorted()).toEqual(["dev-a", "dev-s"]);
    await render(mirror, ["base"], { fence: "none", log });
    expect(lines.filter(({ level }) => level === "warn").map(({ event }) => event)).toEqual(["manifests.unfenced"]);
  });

  /** A chart's schema may name a URL as well, and nothing in it is judged. */
  test("renderManifests() has programs ask a proxy that is not there", async () => {
    const script = `printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: "%s %s"}\\n' "$HTTP_PROXY" "$HTTPS_PROXY"`;
    const mirror = mirrorOf({ "chart/Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\n" });
    const options = { programFolders: [programFolder("helm", script)], fence: "none" } as const;
    expect(names(await render(mirror, ["chart"], options))).toEqual(["http://127.0.0.1:0 http://127.0.0.1:0"]);
  });
});
