/**
 * What every pod of a repository's manifests is like in an environment: whose token it has, what its containers may use, and
 * where it may run. The container that people enter is made of one of these by `develop-pod.ts`.
 *
 * @module
 */
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import { at, fieldsOf, type Fields, isFields, listOf, textOf, without } from "./fields.ts";
import { NAMES } from "./inside-names.ts";
import type { PodComplaint } from "./pod-security.ts";
import { fitResources, type Sizes } from "./sizes.ts";
import { withProtocol } from "./tidy-object.ts";

export interface AdaptOptions {
  readonly cluster: ClusterSettings;
  readonly sizes: Sizes;
  /** Whether pods may have the token of their service account. */
  readonly token: boolean;
  /** Names of the service accounts that there will be. */
  readonly serviceAccounts: readonly string[];
}

export interface Adapted {
  readonly spec: Fields;
  readonly complaints: readonly PodComplaint[];
  readonly warnings: readonly string[];
}

/** What only whoever runs the cluster says of a pod. */
const OPERATORS = ["nodeName", "priorityClassName", "priority", "preemptionPolicy", "schedulerName"];

/** Adapts the spec of a pod. Never throws, whatever it is. */
export function adaptPod(given: unknown, options: AdaptOptions): Adapted {
  const { cluster, token } = options;
  const spec = fieldsOf(given);
  const account = textOf(spec["serviceAccountName"]) ?? textOf(spec["serviceAccount"]) ?? NAMES.serviceAccount;
  const dropped = OPERATORS.filter((name) => spec[name] !== undefined);
  const lists = ["initContainers", "containers"].filter((list) => Array.isArray(spec[list]));
  const pulls = [...listOf(spec["imagePullSecrets"]), ...cluster.images.pullSecrets.map((name) => ({ name }))];
  const volumes = listOf(spec["volumes"]);
  const adapted = {
    ...without(spec, [...OPERATORS, "serviceAccount", "ephemeralContainers"]),
    serviceAccountName: account,
    ...tokenFields({ said: spec["automountServiceAccountToken"], account, token }),
    ...(pulls.length === 0 ? {} : { imagePullSecrets: once(pulls) }),
    ...(cluster.workspace.isEphemeral && volumes.length > 0 ? { volumes: volumes.map(withoutClaim) } : {}),
    ...Object.fromEntries(
      lists.map((list) => [list, listOf(spec[list]).map((container) => adaptContainer(container, options))]),
    ),
  };
  return {
    spec: adapted,
    complaints: [
      ...accountComplaints(account, options),
      ...(token ? [] : tokenComplaints(volumes)),
      ...nameComplaints(spec),
    ],
    warnings: dropped.map((name) => `its ${name} is left out: that is for the cluster to say`),
  };
}

/** What decides about the token of a pod: it by itself, else its account, which of ours is that of those who asked. */
function tokenFields(of: { readonly said: unknown; readonly account: string; readonly token: boolean }): Fields {
  if (!of.token) return { automountServiceAccountToken: false };
  return of.said === undefined && of.account === NAMES.serviceAccount ? { automountServiceAccountToken: true } : {};
}

/** What is no container stays for `hardenPod` to complain of. */
function adaptContainer(given: unknown, { cluster, sizes }: AdaptOptions): unknown {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return given;
  const container = fieldsOf(given);
  const { resources, env, ports } = container;
  const fitted = fitResources(resources, sizes);
  return {
    imagePullPolicy: cluster.images.pullPolicy,
    ...container,
    ...(fitted === undefined ? {} : { resources: fitted }),
    ...(isList(env) ? { env: lastOfEach(env) } : {}),
    ...(isList(ports) ? { ports: ports.map((port) => withProtocol(fieldsOf(port))) } : {}),
  };
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.every(isFields);
}

/** A variable that is said twice is what is said last; an apply refuses two. */
function lastOfEach(env: readonly unknown[]): unknown[] {
  const lastAt = new Map(env.map((variable, index) => [fieldsOf(variable)["name"], index]));
  return env.filter((variable, index) => lastAt.get(fieldsOf(variable)["name"]) === index);
}

function once(secrets: readonly unknown[]): unknown[] {
  const names = new Set(secrets.map((secret) => textOf(fieldsOf(secret)["name"])));
  return [...names].flatMap((name) => (name === undefined ? [] : [{ name }]));
}

/** Where there are no volumes, what they would have held is lost with the pod. */
function withoutClaim(volume: unknown): unknown {
  const fields = fieldsOf(volume);
  const isClaim = fields["persistentVolumeClaim"] !== undefined || fields["ephemeral"] !== undefined;
  return isClaim ? { ...without(fields, ["persistentVolumeClaim", "ephemeral"]), emptyDir: {} } : volume;
}

function accountComplaints(account: string, { serviceAccounts }: AdaptOptions): PodComplaint[] {
  if ([NAMES.serviceAccount, "default", ...serviceAccounts].includes(account)) return [];
  const message = "needs a ServiceAccount of that name in the manifests, or to be left out";
  return [{ path: ["serviceAccountName"], message }];
}

function tokenComplaints(volumes: readonly unknown[]): PodComplaint[] {
  return volumes.flatMap((volume, index) =>
    listOf(at(volume, ["projected", "sources"])).flatMap((source, inner) =>
      fieldsOf(source)["serviceAccountToken"] === undefined
        ? []
        : [
            {
              path: ["volumes", index, "projected", "sources", inner],
              message: "is a token of a service account: needs customizations.slipway.serviceAccountToken",
            },
          ],
    ),
  );
}

function nameComplaints(spec: Fields): PodComplaint[] {
  const ours: readonly string[] = Object.values(NAMES);
  return ["volumes", "initContainers", "containers"].flatMap((list) =>
    listOf(spec[list]).flatMap((item, index) =>
      ours.includes(textOf(fieldsOf(item)["name"]) ?? "")
        ? [{ path: [list, index, "name"], message: "is a name of Slipway's own: needs another" }]
        : [],
    ),
  );
}
