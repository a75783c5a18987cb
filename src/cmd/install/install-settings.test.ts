import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { toldOf } from "../../base/fault.ts";
import { readInstallSettings } from "./install-settings.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-install-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function read(text: string) {
  const path = join(folder, "slipway.yaml");
  writeFileSync(path, text);
  return readInstallSettings(path);
}

test("readInstallSettings() has an example that is sound, once its key is there", () => {
  const { settings, files, variables } = readInstallSettings(undefined);
  expect(settings.clusters.map(({ access }) => access.type)).toEqual(["in-cluster"]);
  expect([files, variables]).toEqual([["operator.pub"], []]);
});

test("readInstallSettings() lists the files and variables that the pod has to be given", () => {
  const { files, variables, webhooksPort } = read(`version: 1
listen: { ssh: ["0.0.0.0:2222"], http: "[::]:9222", webhooks: "0.0.0.0:8080" }
clusters: { here: { inCluster: true }, west: { kubeconfig: west.kubeconfig } }
people: { ada: { keysFile: ada.pub } }
forges:
  github: { app: { id: 1, privateKeyFile: app.pem }, webhook: { secretEnv: HOOK }, organizations: [acme] }
  gitlab: { tokenEnv: GITLAB_TOKEN, organizations: [acme] }
database: { urlEnv: HOOK }
repositories: { a: { url: "git@example.dev:a.git" }, b: { url: "https://example.dev/b.git" } }
`);
  expect(files).toEqual(["ada.pub", "west.kubeconfig", "app.pem"]);
  expect(variables).toEqual(["HOOK", "GITLAB_TOKEN"]);
  expect(webhooksPort).toBe(8_080);
});

test("readInstallSettings() complains at once of everything that cannot be so in a pod", () => {
  const text = `version: 1
listen: { webhooks: "0.0.0.0:80" }
people: { ada: { keysFile: keys/ada.pub } }
forges: { github: { tokenFile: /etc/token, webhook: { secretFile: slipway.yaml }, organizations: [acme] } }
repositories: { a: { url: ./a } }
`;
  let told = "";
  try {
    read(text);
  } catch (error) {
    told = toldOf(error);
  }
  expect(told).toMatchInlineSnapshot(`
    "Cannot use slipway.yaml in a pod: 8 complaints
    listen.ssh: needs "0.0.0.0:2222": port 22 of the service leads there
    listen.http: needs "0.0.0.0:9222": the cluster asks there how the service is
    listen.webhooks: needs a port from 1024 of every address, as in "0.0.0.0:8080": it is no root that listens
    clusters: needs one, as in here: { inCluster: true }: a pod can make no sandboxes
    repositories.a.url: needs a URL by https or ssh: there are no paths of this machine
    people.ada.keysFile: needs a bare file name, which is a key of the secret slipway-credentials and is beside slipway.yaml in the pod
    forges.github: needs a bare file name, which is a key of the secret slipway-credentials and is beside slipway.yaml in the pod
    forges.github.webhook: needs a bare file name, which is a key of the secret slipway-credentials and is beside slipway.yaml in the pod"
  `);
});
