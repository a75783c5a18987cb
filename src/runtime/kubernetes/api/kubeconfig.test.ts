import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { Fault } from "../../../base/fault.ts";
import { inClusterAccess } from "./in-cluster.ts";
import { readKubeconfig, resolveAccess } from "./kubeconfig.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
  path = join(folder, "config");
});
afterEach(() => rmSync(folder, { recursive: true }));

const PEM = Buffer.from("-----BEGIN CERTIFICATE-----\n").toString("base64");

function write(cluster: string, user: string, more = ""): void {
  writeFileSync(
    path,
    `apiVersion: v1
kind: Config
current-context: dev
contexts:
  - { name: dev, context: { cluster: c, user: u, namespace: ignored } }
  - { name: live, context: { cluster: other, user: nobody } }
clusters:
  - name: c
    cluster: ${cluster}
users:
  - name: u
    user: ${user}
${more}`,
  );
}

async function complaintsOf(options: { context?: string } = {}): Promise<string[]> {
  try {
    await readKubeconfig({ path, env: {}, ...options });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    expect(error.code).toBe("settings.invalid");
    return error.message.split("\n").map((line) => line.replaceAll(path, "F"));
  }
  throw new Error("No fault was thrown");
}

test("readKubeconfig() reads data and files, files relative to its own folder", async () => {
  write(
    `{ server: "https://k8s:6443/", certificate-authority: pki/ca.pem, tls-server-name: k }`,
    `{ client-certificate-data: ${PEM}, client-key: /k.pem, tokenFile: token, token: old }`,
  );
  expect(await readKubeconfig({ path, env: {} })).toEqual({
    server: "https://k8s:6443",
    source: path,
    serverName: "k",
    isInsecure: false,
    authority: { path: join(folder, "pki/ca.pem") },
    certificate: { text: "-----BEGIN CERTIFICATE-----\n" },
    key: { path: "/k.pem" },
    token: { path: join(folder, "token") },
  });
});

test("readKubeconfig() reads a plugin with its environment, and what it wants to know", async () => {
  write(
    `{ server: "https://k8s", certificate-authority-data: ${PEM}, extensions: [{ name: client.authentication.k8s.io/exec, extension: { a: 1 } }] }`,
    `{ exec: { apiVersion: client.authentication.k8s.io/v1beta1, command: ./login, args: [x], env: [{ name: A, value: "2" }], provideClusterInfo: true } }`,
  );
  const { plugin } = await readKubeconfig({ path, env: { PATH: "/bin", A: "1", B: undefined } });
  expect(plugin).toEqual({
    apiVersion: "client.authentication.k8s.io/v1beta1",
    command: join(folder, "login"),
    args: ["x"],
    env: { PATH: "/bin", A: "2" },
    cluster: { server: "https://k8s", "certificate-authority-data": PEM, config: { a: 1 } },
  });
});

test("readKubeconfig() says everything that is wrong at once, with file and line", async () => {
  write(
    `{ server: "http://k8s", proxy-url: "http://p", insecure-skip-tls-verify: true, certificate-authority: x }`,
    `{ username: a, password: b, client-certificate: c, as: root, exec: { apiVersion: v1alpha1, command: x, interactiveMode: Always } }`,
  );
  expect(await complaintsOf()).toEqual([
    "Cannot use F: 9 complaints",
    'F:9: clusters[0].cluster.server: needs an address that begins with "https://"',
    "F:9: clusters[0].cluster.proxy-url: proxies are not supported; needs a server that is reached straight",
    "F:9: clusters[0].cluster.insecure-skip-tls-verify: contradicts the certificate-authority beside it",
    "F:12: users[0].user.username: passwords are not supported; needs a token, a certificate or an exec plugin",
    "F:12: users[0].user.password: passwords are not supported; needs a token, a certificate or an exec plugin",
    "F:12: users[0].user.as: acting as somebody else is not supported; needs a user of its own",
    "F:12: users[0].user: has a client-certificate without a client-key",
    'F:12: users[0].user.exec.apiVersion: needs client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1, is "v1alpha1"',
    "F:12: users[0].user.exec.interactiveMode: a service has no terminal to ask at; needs Never or IfAvailable",
  ]);
});

test.each([
  ["a context that is not there", "deve", ['F:4: there is no context "deve"; did you mean "dev"?']],
  [
    "a context whose cluster and user are not there",
    "live",
    [
      'F:6: contexts[1].context.cluster: there is no cluster "other"; clusters are c',
      'F:6: contexts[1].context.user: there is no user "nobody"; users are u',
    ],
  ],
])("readKubeconfig() complains of %s", async (_, context, lines) => {
  write(`{ server: "https://k8s" }`, `{ token: t }`);
  const [head, ...rest] = await complaintsOf({ context });
  expect(head).toContain("Cannot use F");
  expect(rest.map((line) => line.replace(/^F:\d+/, "F"))).toEqual(lines.map((line) => line.replace(/^F:\d+/, "F")));
});

test("readKubeconfig() complains of a user without credentials, and never shows any", async () => {
  write(`{ server: "https://k8s" }`, `{}`);
  expect((await complaintsOf())[1]).toContain("has no credentials");
  write(`{ server: "https://k8s", certificate-authority-data: c2VjcmV0 }`, `{ token: [secret] }`);
  const words = (await complaintsOf()).join("\n");
  expect(words).toContain("needs PEM in base64");
  expect(words).toContain("users[0].user.token: needs a string, is a list");
  expect(words).not.toContain("secret");
});

test("readKubeconfig() complains of a file that is not there, is no YAML or is empty", async () => {
  expect((await complaintsOf())[0]).toContain("Cannot read the kubeconfig file F: ENOENT");
  writeFileSync(path, "a: [");
  expect((await complaintsOf())[1]).toContain("this is no YAML that we read");
  writeFileSync(path, "");
  expect((await complaintsOf())[1]).toContain("has no current-context");
});

test("resolveAccess() finds the cluster around us by its variables", async () => {
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  const access = await resolveAccess({ type: "in-cluster" }, { folder, env });
  expect(access).toMatchObject({
    server: "https://[fd00::1]:443",
    token: { path: "/var/run/secrets/kubernetes.io/serviceaccount/token" },
    authority: { path: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" },
  });
  expect(() => inClusterAccess({ host: undefined, port: "443" })).toThrow("there is none");
});
