/**
 * Pushing from inside of a pod with no key and no agent, over the network that pods have: by a token for that repository
 * alone, which git inside asks for.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openForgeService, type ForgeService } from "../access/open-forge-service.ts";
import { CALLS } from "../../src/runtime/kubernetes/inside.ts";
import { breakableCluster } from "../cluster/shared-cluster.ts";
import type { Client } from "../harness/client.ts";
import type { Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { askControl } from "./ask-control.ts";
import { HOOK_MS, lobby, SLOW_MS, tellLog } from "./faults/use-faulty.ts";
import { openClusterService } from "./open-cluster-service.ts";

/** Of this machine, and to pods of the Internet. */
const address = breakableCluster()?.layout.publicAddress;
let world: ForgeService;

beforeAll(async () => {
  if (address === undefined) return;
  world = await openForgeService({
    github: { address, repos: ["shop", "till"] },
    forge: { readOnly: "environment" },
    settings: { pools: { till: { repository: "acme/till", size: 1 } } },
    open: (options) => openClusterService({ ...options, cluster: { tiers: { lightweight: { request: 0.02 } } } }),
  });
  const { github } = world;
  await github.fill("acme/till", { main: { "README.md": "# till\n" } });
  for (const name of ["shop", "till"]) github.world.setCollaborator(`acme/${name}`, "ivy", "push");
}, HOOK_MS);

afterAll(async () => {
  if (address !== undefined) await (world as ForgeService | undefined)?.[Symbol.asyncDispose]();
}, HOOK_MS);

beforeEach((ctx) => {
  if (address === undefined) ctx.skip("needs a cluster of our own, whose pods reach this machine");
  else tellLog(world.service);
});

const ivy = (): Client => world.service.as("ivy");

async function inside(login: string, script: string): Promise<Ended> {
  const line = `export GIT_SSL_CAINFO=~/ca.pem; ${script}`;
  return ivy().ssh([`${login}@slipway`, line], { timeoutMs: SLOW_MS });
}

const push = (login: string, branch: string): Promise<Ended> =>
  inside(login, `git commit -q --allow-empty -m more && git push -q origin HEAD:${branch} && echo pushed`);

/** Enters, and has the pod's git believe the forge's certificate. @returns what she was told */
async function enter(login: string): Promise<string> {
  let told = "";
  const come = async (): Promise<boolean> => {
    const entered = await inside(login, "true");
    told = entered.stderr;
    return entered.exitCode === 0;
  };
  await until("ivy to get in", come, SLOW_MS);
  const put = `ssh -F ${ivy().configFile} ${login}@slipway 'cat >~/ca.pem' <${world.github.caFile}`;
  expect(await ivy().run(["sh", "-c", put])).toMatchObject({ exitCode: 0 });
  return told;
}

test(
  "git push from inside of a pod works without an agent, until the right is gone, and again after the pod has slept",
  { timeout: HOOK_MS },
  async () => {
    const { github, service } = world;
    await enter("shop-main");
    const looked = await inside("shop-main", "echo ${SSH_AUTH_SOCK-none}; git remote get-url --push origin");
    expect(looked.stdout).toBe(`none\n${github.url}/acme/shop.git\n`);
    expect(await push("shop-main", "one")).toMatchObject({ exitCode: 0, stdout: "pushed\n" });
    const other = await inside("shop-main", `GIT_TERMINAL_PROMPT=0 git ls-remote ${github.url}/acme/till.git`);
    expect(other.exitCode).toBe(128);

    // Whoever is inside may end the program that takes calls; another is there before the helper gives up.
    const end = await inside(
      "shop-main",
      `kill -9 $(grep -l ^${CALLS} /proc/[0-9]*/cmdline | grep -o '[0-9]*') && echo killed`,
    );
    expect(end.stdout, end.stderr).toBe("killed\n");
    expect(await push("shop-main", "one")).toMatchObject({ exitCode: 0, stdout: "pushed\n" });

    // She may still read, so she still gets in.
    github.world.setCollaborator("acme/shop", "ivy", "pull");
    const refusal = async (): Promise<string | undefined> => {
      const { stderr } = await inside("shop-main", "GIT_TERMINAL_PROMPT=0 git push origin HEAD:two");
      return /^.*cannot push to acme\/shop.*$/m.exec(stderr)?.[0];
    };
    expect(await until("the push to be refused", refusal, SLOW_MS)).toBe(
      "slipway: cannot push to acme/shop: you may read it and not push to it",
    );
    await until("the token to be revoked", () => service.events("push.revoked").length === 1, SLOW_MS);

    github.world.setCollaborator("acme/shop", "ivy", "push");
    expect((await lobby(ivy(), "sleep", "shop-main")).exitCode).toBe(0);
    const pushed = async (): Promise<boolean> => (await push("shop-main", "three")).stdout === "pushed\n";
    await until("the push to be let through", pushed, SLOW_MS);
    expect(service.log()).not.toContain("ghs_");
  },
);

test("git push works from a member of a pool that has become somebody's", { timeout: HOOK_MS }, async () => {
  const isReady = async (): Promise<boolean> =>
    (await askControl(world.service, "/pools/explain", { name: "till" })).ready === 1;
  await until("a member", isReady, SLOW_MS);
  expect(await enter("till-main")).toContain("claiming a prepared environment");
  expect(await push("till-main", "one")).toMatchObject({ exitCode: 0, stdout: "pushed\n" });
});
