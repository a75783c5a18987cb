/**
 * A self-signed certificate for an address and localhost, made by openssl. It is its own authority: a client that is to
 * believe it is given its file (`GIT_SSL_CAINFO`, `NODE_EXTRA_CA_CERTS`).
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../harness/program.ts";

export interface Certificate {
  /** Of IPv4. */
  readonly address: string;
  readonly key: string;
  readonly cert: string;
  /** PEM of the certificate, for clients. */
  readonly caFile: string;
}

/** Makes the files in `folder`. On a curve, since an RSA key takes 100 ms and more to make. */
export async function makeCertificate(folder: string, address = "127.0.0.1"): Promise<Certificate> {
  const keyFile = join(folder, "tls-key.pem");
  const caFile = join(folder, "tls-ca.pem");
  await mustRun([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${address}`, "-addext", `subjectAltName=IP:${address},DNS:localhost`],
    ...["-keyout", keyFile, "-out", caFile],
  ]);
  return { address, key: readFileSync(keyFile, "utf8"), cert: readFileSync(caFile, "utf8"), caFile };
}
