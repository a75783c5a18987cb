/**
 * What kinds without pods may not say in an environment, or say differently there. What an object loses it loses with a
 * sentence.
 *
 * @module
 */
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import { toBase64 } from "./base64.ts";
import { at, fieldsOf, type Fields, listOf, textOf, without, withAt } from "./fields.ts";
import type { PodComplaint } from "./pod-security.ts";
import { readQuantity, writeBytes } from "./quantity.ts";

export interface Tidied {
  readonly fields: Fields;
  readonly complaints: readonly PodComplaint[];
  readonly warnings: readonly string[];
}

export interface TidyOptions {
  /** Whether pods may have the token of their service account. */
  readonly token: boolean;
  readonly workspace: ClusterSettings["workspace"];
}

/** Tidies one object of a kind that is taken. */
export function tidy(kind: string, fields: Fields, options: TidyOptions): Tidied {
  switch (kind) {
    case "Service":
      return tidyService(fields);
    case "Secret":
      return tidySecret(fields, options);
    case "ConfigMap":
      // Later versions of it could not be applied.
      return { ...plain(without(fields, ["immutable"])), complaints: textComplaints(fields, "data") };
    case "ServiceAccount":
      return plain({
        ...without(fields, ["secrets"]),
        ...(options.token ? {} : { automountServiceAccountToken: false }),
      });
    case "PersistentVolumeClaim": {
      const { spec, warnings } = tidyClaim(fields["spec"], options.workspace);
      return { fields: { ...fields, spec }, complaints: [], warnings };
    }
    case "Job":
      return plain(withAt(fields, ["spec"], without(fieldsOf(fields["spec"]), ["selector", "manualSelector"])));
    default:
      return plain(fields);
  }
}

function plain(fields: Fields): Tidied {
  return { fields, complaints: [], warnings: [] };
}

/** Of a service only what works between pods. */
const OUTWARD = [
  ...["externalIPs", "loadBalancerIP", "loadBalancerSourceRanges", "loadBalancerClass", "externalName"],
  ...["externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"],
];

function tidyService(fields: Fields): Tidied {
  const spec = fieldsOf(fields["spec"]);
  const { type, ports } = spec;
  if (type === "ExternalName") {
    const message = "is ExternalName, needs ClusterIP: use the other name itself";
    return { fields, complaints: [{ path: ["spec", "type"], message }], warnings: [] };
  }
  const clusterIP = spec["clusterIP"] === "None" ? { clusterIP: "None" } : {};
  const inner = {
    ...without(spec, [...OUTWARD, "type", "clusterIP", "clusterIPs"]),
    ...clusterIP,
    type: "ClusterIP",
    ...(ports === undefined
      ? {}
      : { ports: listOf(ports).map((port) => withProtocol(without(fieldsOf(port), ["nodePort"]))) }),
  };
  const warnings = [
    ...(type === undefined || type === "ClusterIP"
      ? []
      : [`its type is ClusterIP, not ${String(textOf(type)).slice(0, 20)}: environments are reached through ssh`]),
    ...(spec["externalIPs"] === undefined ? [] : ["its externalIPs are left out"]),
  ];
  return { fields: { ...fields, spec: inner }, complaints: [], warnings };
}

/** Ports are told apart by it, and an apply does not know its default: so a server of 1.20 says. */
export function withProtocol(port: Fields): Fields {
  return { protocol: "TCP", ...port };
}

function tidySecret(fields: Fields, { token }: TidyOptions): Tidied {
  const isToken = textOf(fields["type"]) === "kubernetes.io/service-account-token";
  const message = "would be a token of a service account: needs customizations.slipway.serviceAccountToken";
  const complaints = isToken && !token ? [{ path: ["type"], message }] : [];
  const texts = fieldsOf(fields["stringData"]);
  const plainTexts = Object.entries(texts).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, toBase64(value)] as const] : [],
  );
  const data = { ...fieldsOf(fields["data"]), ...Object.fromEntries(plainTexts) };
  const kept = without(fields, ["immutable", "stringData"]);
  return {
    fields: Object.keys(data).length === 0 ? kept : { ...kept, data },
    complaints: [...complaints, ...textComplaints(fields, "stringData"), ...textComplaints(fields, "data")],
    warnings: [],
  };
}

/** What people write without quotes is a number or a word for true, and a server takes texts alone. */
function textComplaints(fields: Fields, where: string): PodComplaint[] {
  return Object.entries(fieldsOf(fields[where])).flatMap(([name, value]) =>
    typeof value === "string" ? [] : [{ path: [where, name], message: "needs a text: put it in quotes" }],
  );
}

/** A claim: of the cluster's class where it names none, no larger than a workspace, and of no volume that is there already. */
export function tidyClaim(
  given: unknown,
  { sizeBytes, storageClass }: ClusterSettings["workspace"],
): { readonly spec: Fields; readonly warnings: readonly string[] } {
  const spec = fieldsOf(given);
  const asked = readQuantity(at(spec, ["resources", "requests", "storage"]));
  const bytes = Math.min(asked ?? sizeBytes, sizeBytes);
  const bound = ["volumeName", "selector", "dataSource", "dataSourceRef"];
  const dropped = bound.filter((name) => spec[name] !== undefined);
  return {
    spec: {
      ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
      ...without(spec, [...bound, "resources"]),
      resources: { requests: { storage: writeBytes(bytes) } },
    },
    warnings: [
      ...(asked !== undefined && asked > sizeBytes
        ? [`it gets ${writeBytes(sizeBytes)} and not ${writeBytes(asked)}, the most that this cluster gives`]
        : []),
      ...dropped.map((name) => `its ${name} is left out: environments begin with empty volumes`),
    ],
  };
}
