/**
 * An admission webhook that refuses every pod: a real HTTPS server on this machine, where the API server of the tests reaches
 * it.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { URL } from "node:url";
import { mustRun } from "../../harness/program.ts";
import { kubeconfigPath } from "../use-cluster.ts";

export interface Webhook extends AsyncDisposable {
  /** Has pods of all namespaces with these labels judged. */
  configuration(name: string, labels: Readonly<Record<string, string>>): object;
}

/** Opens one that answers with this sentence. */
export async function openWebhook(sentence: string): Promise<Webhook> {
  const address = await addressTowardsCluster();
  const { key, cert } = await makeCertificate(address);
  const server = createServer({ key, cert }, (request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (more: string) => (text += more));
    request.on("end", () => {
      const { request: asked } = JSON.parse(text) as { request: { uid: string } };
      const answer = { uid: asked.uid, allowed: false, status: { code: 403, message: sentence } };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: answer }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    configuration: (name, matchLabels) => ({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name },
      webhooks: [
        {
          name: "pods.slipway.test",
          clientConfig: { url: `https://${address}:${port}/`, caBundle: cert.toString("base64") },
          rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
          namespaceSelector: { matchLabels },
          failurePolicy: "Fail",
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          timeoutSeconds: 2,
        },
      ],
    }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The address of ours that the API server sees when we speak to it. */
async function addressTowardsCluster(): Promise<string> {
  const server = ["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"];
  const url = new URL(await mustRun(["kubectl", `--kubeconfig=${kubeconfigPath()}`, ...server]));
  const socket = connect(Number(url.port === "" ? 443 : url.port), url.hostname);
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => {
      const { localAddress = "" } = socket;
      socket.destroy();
      resolve(localAddress);
    });
  });
}

async function makeCertificate(address: string): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-webhook-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const names = ["-subj", "/CN=webhook", "-addext", `subjectAltName=IP:${address}`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  try {
    await mustRun(["openssl", "req", "-x509", ...curve, "-days", "2", ...names, "-keyout", key, "-out", cert]);
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
