import { expect, test } from "vitest";

import { fits, rulesText, type Pod, type Policy, type Scene } from "./policy-rules.ts";

function pod(name: string, podIP: string, labels: Record<string, string> = {}, namespace = "a"): Pod {
  const ports = [{ name: "web", containerPort: 8080 }];
  return {
    metadata: { name, namespace, labels },
    spec: { containers: [{ ports }] },
    status: { podIP, phase: "Running" },
  };
}

function policy(spec: Partial<Policy["spec"]>): Policy {
  const policyTypes = spec.egress === undefined ? (["Ingress"] as const) : (["Egress"] as const);
  return { metadata: { name: "p", namespace: "a" }, spec: { podSelector: {}, policyTypes, ...spec } };
}

/** The rules of one chain. */
function chain(scene: Partial<Scene>, name: string): string[] {
  const namespaces = [{ metadata: { name: "a" } }, { metadata: { name: "b", labels: { team: "b" } } }];
  const text = rulesText({ pods: [], policies: [], namespaces, ...scene });
  const [, body = ""] = text.split(`  chain ${name} {\n`);
  const [inside = ""] = body.split("  }");
  return inside
    .split("\n")
    .map((line) => line.trim().replace(/;$/, ""))
    .filter((line) => line !== "");
}

test("rulesText() lets everything through where no policy is", () => {
  const scene = { pods: [pod("x", "10.0.0.1")] };
  expect(chain(scene, "ingress")).toEqual([]);
  expect(chain(scene, "egress")).toEqual([]);
});

test("rulesText() drops all that no rule allows, for the pods of a policy only", () => {
  const pods = [pod("x", "10.0.0.1", { app: "x" }), pod("y", "10.0.0.2")];
  const scene = { pods, policies: [policy({ podSelector: { matchLabels: { app: "x" } } })] };
  expect(chain(scene, "ingress")).toEqual(["ip daddr vmap { 10.0.0.1 : jump to_10_0_0_1 }"]);
  expect(chain(scene, "to_10_0_0_1")).toEqual(["drop"]);
  expect(chain(scene, "egress")).toEqual([]);
});

test("rulesText() takes pods of the policy's own namespace, or of those that are selected", () => {
  const pods = [pod("x", "10.0.0.1"), pod("y", "10.0.0.2"), pod("z", "10.0.0.3", {}, "b")];
  const own = policy({ ingress: [{ from: [{ podSelector: {} }] }] });
  const other = policy({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "b" } } }] }] });
  const rules = chain({ pods, policies: [own, other] }, "to_10_0_0_1");
  expect(rules).toEqual(["ip saddr { 10.0.0.1, 10.0.0.2 } return", "ip saddr { 10.0.0.3 } return", "drop"]);
});

test("rulesText() knows blocks with exceptions, ports, ranges and named ports of either side", () => {
  const ipBlock = { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "169.254.0.0/16"] };
  const to = [{ podSelector: {} }];
  const egress = [
    { to: [{ ipBlock }], ports: [{ port: 443 }, { protocol: "UDP", port: 100, endPort: 200 }] },
    { to, ports: [{ port: "web" }] },
  ];
  const ingress = [{ ports: [{ port: "web" }] }];
  const scene = { pods: [pod("x", "10.0.0.1")], policies: [policy({ egress }), policy({ ingress })] };
  const outside = "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 169.254.0.0/16 }";
  expect(chain(scene, "from_10_0_0_1")).toEqual([
    `${outside} tcp dport 443 return`,
    `${outside} udp dport 100-200 return`,
    "ip daddr 10.0.0.1 tcp dport 8080 return",
    "drop",
  ]);
  expect(chain(scene, "to_10_0_0_1")).toEqual(["tcp dport 8080 return", "drop"]);
});

test("rulesText() forgets pods that have ended, since their address may be another's by now", () => {
  const over = { ...pod("x", "10.0.0.1"), status: { podIP: "10.0.0.1", phase: "Succeeded" } };
  expect(chain({ pods: [over], policies: [policy({})] }, "ingress")).toEqual([]);
});

test.each([
  [{}, true],
  [{ matchLabels: { app: "x" } }, true],
  [{ matchLabels: { app: "y" } }, false],
  [{ matchExpressions: [{ key: "app", operator: "In", values: ["x", "y"] }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "NotIn", values: ["x"] }] }, false],
  [{ matchExpressions: [{ key: "role", operator: "NotIn", values: ["x"] }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "Exists" }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "DoesNotExist" }] }, false],
] as const)("fits() says of app=x and %j: %j", (selector, expected) => {
  expect(fits({ app: "x" }, selector)).toBe(expected);
});
