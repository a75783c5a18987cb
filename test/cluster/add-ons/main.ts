/**
 * What a cluster of Kubernetes' own programs lacks, and hosted ones have: a DNS, volumes, network policies that hold.
 *
 * FOR TESTS ONLY: it knows one node, and gives up nothing to be short. Started by `open-cluster.ts` inside the cluster's
 * namespaces, and killed with it; everything it knows it reads again when it starts. What goes wrong is in its log, and
 * tried again with the next change.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { join } from "node:path";
import { Api } from "../api.ts";
import { makeLayout } from "../layout.ts";
import { keepNames } from "./dns.ts";
import { keepPolicies } from "./policies.ts";
import { keepVolumes } from "./volumes.ts";

const { positionals } = parseArgs({ allowPositionals: true });
const [name = "", number = "", clusters = ""] = positionals;
const layout = makeLayout(name, Number(number), clusters);
const api = new Api(join(layout.config, "add-ons.kubeconfig"));
const { signal } = new AbortController();

await Promise.all([
  keepPolicies(api, layout, signal),
  keepNames(api, layout, signal),
  keepVolumes(api, layout, signal),
]);
