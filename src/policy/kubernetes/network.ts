/**
 * What pods of an environment may speak with: each other, DNS, and the internet without whatever is inside of the cluster,
 * of its cloud or of the company. Nobody outside of the namespace speaks with them, but for the pods of a Slipway that runs in
 * the same cluster and enters by their addresses: what it speaks with believes its key alone.
 *
 * One policy says it all: what selects every pod and allows some of it denies the rest
 * (https://kubernetes.io/docs/concepts/services-networking/network-policies/). Which is so only where the cluster's network
 * enforces policies; `slip check --online` cannot see that.
 *
 * @module
 */
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { ObjectFacts } from "./facts.ts";
import { GATEWAY_LABELS, LABELS } from "./labels.ts";
import { makeObject } from "./make-object.ts";

/** https://www.iana.org/assignments/iana-ipv4-special-registry/ as far as it may lead somewhere, and multicast. */
const INNER_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // Metadata of most clouds: 169.254.169.254.
  "169.254.0.0/16",
  "172.16.0.0/12",
  // Metadata of Oracle's cloud: 192.0.0.192.
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // Azure's host agent, a public address that is not: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
  "168.63.129.16/32",
] as const;

/** https://www.iana.org/assignments/iana-ipv6-special-registry/, and multicast. */
const INNER_V6 = [
  "::/127",
  // Ways to addresses of IPv4, which would lead around the ranges above.
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "2002::/16",
  // Amazon's metadata, fd00:ec2::254, is one of these.
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
] as const;

/** Plans the one policy of an environment. */
export function planNetworkPolicy(facts: ObjectFacts): KubernetesObject {
  const own = { podSelector: {} };
  const { network, path } = facts.cluster;
  const allowed = network.allow.map((range) => ({ ipBlock: { cidr: asRange(range) } }));
  const open = network.publicEgress ? publicBlocks(network.deny.map(asRange)) : [];
  const to = [...open, ...allowed];
  return makeObject(facts, kinds.networkPolicy, "slipway", {
    spec: {
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        { from: [own] },
        ...(facts.gateway === undefined || path === "exec" ? [] : [gatewayRule(facts.gateway)]),
      ],
      egress: [
        { to: [own] },
        // Wherever it is: a service of kube-system, a cache on the node at a link-local address, a resolver outside.
        { ports: ["UDP", "TCP"].map((protocol) => ({ protocol, port: 53 })) },
        ...(to.length === 0 ? [] : [{ to }]),
      ],
    },
  });
}

/** The port is a free one each time, so it is any. */
function gatewayRule(namespace: string): unknown {
  const from = {
    namespaceSelector: { matchLabels: { [LABELS.gateway]: namespace } },
    podSelector: { matchLabels: GATEWAY_LABELS },
  };
  return { from: [from], ports: [{ protocol: "TCP" }] };
}

function publicBlocks(deny: readonly string[]): { readonly ipBlock: unknown }[] {
  const isV6 = (range: string): boolean => range.includes(":");
  const families = [
    { cidr: "0.0.0.0/0", except: [...INNER_V4, ...deny.filter((range) => !isV6(range))] },
    { cidr: "::/0", except: [...INNER_V6, ...deny.filter(isV6)] },
  ];
  // An exception has to be a part of its range, so nothing is left of one that is denied whole.
  return families
    .filter(({ except }) => !except.some((range) => range.endsWith("/0")))
    .map(({ cidr, except }) => ({ ipBlock: { cidr, except: [...new Set(except)] } }));
}

function asRange(text: string): string {
  if (text.includes("/")) return text;
  return text.includes(":") ? `${text}/128` : `${text}/32`;
}
