/**
 * Network policies as rules of nftables. Pure. What policies mean: kubernetes.io, "Network Policies"; API `networking.k8s.io/v1`.
 *
 * A packet to or from a pod is judged where it is routed, after a Service's address has become a pod's. Answers of what
 * was let through are let through. A policy that changes does not end connections.
 *
 * @module
 */
import type { Thing } from "../api.ts";

export interface Pod extends Thing {
  readonly spec: {
    readonly hostNetwork?: boolean;
    readonly containers: readonly {
      readonly ports?: readonly {
        readonly name?: string;
        readonly containerPort: number;
        readonly protocol?: string;
      }[];
    }[];
  };
  readonly status?: { readonly podIP?: string; readonly phase?: string };
}

export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

interface Port {
  readonly protocol?: string;
  readonly port?: number | string;
  /** From 1.21 on. */
  readonly endPort?: number;
}

interface Rule {
  readonly ports?: readonly Port[];
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
}

export interface Policy extends Thing {
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes: readonly ("Ingress" | "Egress")[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

/** What is known of a cluster. */
export interface Scene {
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Thing[];
  readonly policies: readonly Policy[];
}

/** A pod with an address of its own. */
interface Addressed {
  readonly pod: Pod;
  readonly address: string;
}

const TABLE = "inet slipway_policies";

/** Words the whole set of rules, replacing the one before in one step. For `nft -f`. */
export function rulesText(scene: Scene): string {
  const pods = scene.pods.flatMap(addressedOf);
  const outgoing = chainsOf("Egress", pods, scene);
  const incoming = chainsOf("Ingress", pods, scene);
  return `add table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
${[...outgoing, ...incoming].map(({ name, rules }) => chain(name, [...rules, "drop"])).join("")}
${chain("egress", choices("saddr", outgoing))}${chain("ingress", choices("daddr", incoming))}
${chain("forward", ["type filter hook forward priority 0", "ct state established,related accept", "jump egress", "jump ingress"])}
${chain("input", ["type filter hook input priority 0", "ct state established,related accept", "jump egress"])}
}
`;
}

/** Says whether labels fit a selector; an empty one fits all. */
export function fits(labels: Readonly<Record<string, string>> = {}, selector: Selector): boolean {
  const equal = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  const expressions = selector.matchExpressions ?? [];
  return equal && expressions.every(({ key, operator, values = [] }) => holds(labels[key], operator, values));
}

function holds(value: string | undefined, operator: string, values: readonly string[]): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    default:
      return value === undefined;
  }
}

interface Chain {
  readonly name: string;
  readonly address: string;
  readonly rules: readonly string[];
}

function chainsOf(type: "Ingress" | "Egress", pods: readonly Addressed[], scene: Scene): Chain[] {
  const isOutgoing = type === "Egress";
  return pods.flatMap(({ pod, address }) => {
    const { namespace, labels } = pod.metadata;
    const policies = scene.policies.filter(
      ({ metadata, spec }) =>
        metadata.namespace === namespace && spec.policyTypes.includes(type) && fits(labels, spec.podSelector),
    );
    if (policies.length === 0) return [];
    const rules = policies.flatMap(({ spec }) =>
      ((isOutgoing ? spec.egress : spec.ingress) ?? []).flatMap((rule) =>
        isOutgoing
          ? outgoingRules(rule, { namespace, pods, scene })
          : incomingRules(rule, { namespace, pods, scene, pod }),
      ),
    );
    const name = `${isOutgoing ? "from" : "to"}_${address.replaceAll(".", "_")}`;
    return [{ name, address, rules: [...new Set(rules)] }];
  });
}

interface Around {
  readonly namespace: string | undefined;
  readonly pods: readonly Addressed[];
  readonly scene: Scene;
}

function incomingRules(rule: Rule, around: Around & { readonly pod: Pod }): string[] {
  const ports = rule.ports === undefined ? [""] : rule.ports.flatMap((port) => portMatches(port, around.pod));
  return peersOf(rule.from, "saddr", around).flatMap(({ match }) => ports.map((port) => allow(match, port)));
}

function outgoingRules(rule: Rule, around: Around): string[] {
  return peersOf(rule.to, "daddr", around).flatMap(({ match, peers }) =>
    (rule.ports ?? [undefined]).flatMap((port) => {
      if (port === undefined) return [allow(match, "")];
      if (typeof port.port !== "string") return portMatches(port).map((ports) => allow(match, ports));
      // What a name means is each destination's own to say.
      return peers.flatMap(({ pod, address }) =>
        portMatches(port, pod).map((ports) => allow(`ip daddr ${address}`, ports)),
      );
    }),
  );
}

function allow(peer: string, port: string): string {
  return [peer, port, "return"].filter((part) => part !== "").join(" ");
}

/** Which packets a rule's peers are, and which pods are among them. None at all means everybody. */
function peersOf(
  peers: readonly Peer[] | undefined,
  field: "saddr" | "daddr",
  { namespace, pods, scene }: Around,
): { match: string; peers: readonly Addressed[] }[] {
  if (peers === undefined || peers.length === 0) return [{ match: "", peers: pods }];
  return peers.flatMap(({ ipBlock, namespaceSelector, podSelector }) => {
    if (ipBlock !== undefined) {
      const except = ipBlock.except?.length ? ` ip ${field} != { ${ipBlock.except.join(", ")} }` : "";
      return ipBlock.cidr.includes(":") ? [] : [{ match: `ip ${field} ${ipBlock.cidr}${except}`, peers: [] }];
    }
    const spaces = scene.namespaces.filter(({ metadata }) =>
      namespaceSelector === undefined ? metadata.name === namespace : fits(metadata.labels, namespaceSelector),
    );
    const names = new Set(spaces.map(({ metadata }) => metadata.name));
    const chosen = pods.filter(
      ({ pod }) => names.has(pod.metadata.namespace ?? "") && fits(pod.metadata.labels, podSelector ?? {}),
    );
    if (chosen.length === 0) return [];
    return [{ match: `ip ${field} { ${chosen.map(({ address }) => address).join(", ")} }`, peers: chosen }];
  });
}

function portMatches({ protocol = "TCP", port, endPort }: Port, pod?: Pod): string[] {
  const word = protocol.toLowerCase();
  if (port === undefined) return [`meta l4proto ${word}`];
  if (typeof port === "number") return [`${word} dport ${endPort === undefined ? port : `${port}-${endPort}`}`];
  const named = pod?.spec.containers.flatMap((container) => container.ports ?? []) ?? [];
  return named
    .filter((one) => one.name === port && (one.protocol ?? "TCP") === protocol)
    .map(({ containerPort }) => `${word} dport ${containerPort}`);
}

function addressedOf(pod: Pod): Addressed[] {
  const { podIP = "", phase = "" } = pod.status ?? {};
  const isOver = phase === "Succeeded" || phase === "Failed"; // its address may be another's by now
  return podIP === "" || isOver || pod.spec.hostNetwork === true ? [] : [{ pod, address: podIP }];
}

function choices(field: string, chains: readonly Chain[]): string[] {
  if (chains.length === 0) return [];
  return [`ip ${field} vmap { ${chains.map(({ address, name }) => `${address} : jump ${name}`).join(", ")} }`];
}

function chain(name: string, rules: readonly string[]): string {
  return `  chain ${name} {\n${rules.map((rule) => `    ${rule};\n`).join("")}  }\n`;
}
