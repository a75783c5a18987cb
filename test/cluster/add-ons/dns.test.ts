import { expect, test } from "vitest";

import { hostsText } from "./dns.ts";

test("hostsText() gives a service's address, or those of the ready pods of one without an address", () => {
  const services = [
    { metadata: { name: "web", namespace: "a" }, spec: { clusterIP: "10.1.0.1" } },
    { metadata: { name: "db", namespace: "a" }, spec: { clusterIP: "None" } },
    { metadata: { name: "outside", namespace: "a" }, spec: { type: "ExternalName" } },
  ];
  const addresses = [{ ip: "10.2.0.1", hostname: "db-0" }, { ip: "10.2.0.2" }];
  const endpoints = [{ metadata: { name: "db", namespace: "a" }, subsets: [{ addresses }] }];
  expect(hostsText(services, endpoints).trim().split("\n")).toEqual([
    "10.1.0.1 web.a.svc.cluster.local",
    "10.2.0.1 db.a.svc.cluster.local",
    "10.2.0.1 db-0.db.a.svc.cluster.local",
    "10.2.0.2 db.a.svc.cluster.local",
  ]);
});
