/**
 * The settings of a service that runs inside of a cluster: those of the operator, looked through for what cannot be so in
 * a pod, or an example to begin with.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Fault } from "../../base/fault.ts";
import { isIP } from "node:net";
import type { ListenAddress } from "../../wire/addresses.ts";
import { checkSettings, type Settings } from "../../wire/settings.ts";
import { CREDENTIALS_SECRET, HTTP_PORT, SSH_PORT } from "./objects.ts";

export interface InstallSettings {
  readonly text: string;
  readonly settings: Settings;
  /** Names of the files that have to be keys of the secret with credentials. */
  readonly files: readonly string[];
  /** Names of the variables that have to be in the secret with variables. */
  readonly variables: readonly string[];
  readonly webhooksPort?: number;
}

const EXAMPLE = `version: 1
listen:
  ssh: ["0.0.0.0:${SSH_PORT}"]
  http: "0.0.0.0:${HTTP_PORT}"
clusters:
  here:
    inCluster: true
people:
  # The public key of whoever runs this; it is in the secret ${CREDENTIALS_SECRET}.
  operator: { admin: true, keysFile: operator.pub }
repositories: {}
`;

/** Reads the settings to install. @throws {Fault} `settings.invalid` with everything that cannot be so in a pod */
export function readInstallSettings(path: string | undefined): InstallSettings {
  if (path === undefined) return lookThrough(EXAMPLE, "the example");
  try {
    return lookThrough(readFileSync(path, "utf8"), basename(path));
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault("settings.invalid", `Cannot read the settings: ${path} cannot be read`, { cause });
  }
}

function lookThrough(text: string, source: string): InstallSettings {
  const settings = checkSettings(text, source);
  const { files, variables } = namedIn(settings);
  const complaints = [...portComplaints(settings), ...placeComplaints(settings), ...files.flatMap(fileComplaints)];
  if (complaints.length > 0) {
    const head = `Cannot use ${source} in a pod: ${complaints.length} ${complaints.length === 1 ? "complaint" : "complaints"}`;
    const told = [head, ...complaints].join("\n");
    throw new Fault("settings.invalid", told, { told });
  }
  const { webhooks } = settings.listen;
  const names = files.map(({ name }) => name);
  return { text, settings, files: names, variables, ...(webhooks === null ? {} : { webhooksPort: webhooks.port }) };
}

interface NamedFile {
  readonly at: string;
  readonly name: string;
}

/** Everything that the settings name and that is not in them. */
function namedIn(settings: Settings): { files: NamedFile[]; variables: string[] } {
  const { people, forges, clusters, database } = settings;
  const secrets = forges.flatMap(({ name, credential, webhookSecret }) => [
    { at: `forges.${name}`, source: credential.type === "token" ? credential.token : credential.privateKey },
    ...(webhookSecret === undefined ? [] : [{ at: `forges.${name}.webhook`, source: webhookSecret }]),
  ]);
  if (database !== undefined) secrets.push({ at: "database", source: database.url });
  const files = [
    ...people.flatMap(({ id, keysFile }) =>
      keysFile === undefined ? [] : [{ at: `people.${id}.keysFile`, name: keysFile }],
    ),
    ...clusters.flatMap(({ name, access }) =>
      access.type === "kubeconfig" ? [{ at: `clusters.${name}.kubeconfig`, name: access.path }] : [],
    ),
    ...secrets.flatMap(({ at, source }) => ("file" in source ? [{ at, name: source.file }] : [])),
  ];
  const variables = secrets.flatMap(({ source }) => ("env" in source ? [source.env] : []));
  return { files, variables: [...new Set(variables)] };
}

function portComplaints({ listen }: Settings): string[] {
  const isOpen = ({ host, port }: ListenAddress, wanted: number): boolean => port === wanted && !isLoopback(host);
  const { ssh, http, webhooks } = listen;
  return [
    ...(ssh.some((address) => isOpen(address, SSH_PORT))
      ? []
      : [`listen.ssh: needs "0.0.0.0:${SSH_PORT}": port 22 of the service leads there`]),
    ...(http !== null && isOpen(http, HTTP_PORT)
      ? []
      : [`listen.http: needs "0.0.0.0:${HTTP_PORT}": the cluster asks there how the service is`]),
    ...(webhooks === null || (webhooks.port >= 1_024 && !isLoopback(webhooks.host))
      ? []
      : ['listen.webhooks: needs a port from 1024 of every address, as in "0.0.0.0:8080": it is no root that listens']),
  ];
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function placeComplaints({ clusters, repositories }: Settings): string[] {
  const local = repositories.filter(({ url }) => !/^(https|ssh):\/\//i.test(url) && !/^[^/]+@[^/]+:/.test(url));
  return [
    ...(clusters.length > 0
      ? []
      : ["clusters: needs one, as in here: { inCluster: true }: a pod can make no sandboxes"]),
    ...local.map(
      ({ name }) => `repositories.${name}.url: needs a URL by https or ssh: there are no paths of this machine`,
    ),
  ];
}

function fileComplaints({ at, name }: NamedFile): string[] {
  // What a key of a secret may be: https://kubernetes.io/docs/concepts/configuration/secret/
  if (/^[A-Za-z0-9._-]{1,253}$/.test(name) && name !== "slipway.yaml" && !name.startsWith("..")) return [];
  return [
    `${at}: needs a bare file name, which is a key of the secret ${CREDENTIALS_SECRET} and is beside slipway.yaml in the pod`,
  ];
}
