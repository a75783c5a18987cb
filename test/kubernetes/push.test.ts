/**
 * Pushing from inside of a pod with no key and no agent: by a token for that repository alone, which git inside asks for.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openForgeService, type ForgeService } from "../access/open-forge-service.ts";
import type { Client } from "../harness/client.ts";
import type { Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { HOOK_MS, lobby, SLOW_MS, tellLog } from "./faults/use-faulty.ts";
import { openClusterService } from "./open-cluster-service.ts";

let world: ForgeService;
let ivy: Client;

beforeAll(async () => {
  world = await openForgeService({
    github: { repos: ["shop"] },
    forge: { readOnly: "environment" },
    open: openClusterService,
  });
  ivy = world.service.as("ivy");
  world.github.world.setCollaborator("acme/shop", "ivy", "push");
}, HOOK_MS);

afterAll(() => world[Symbol.asyncDispose](), HOOK_MS);

/** The forge of these tests is on the loopback of this machine: the way to it is the person's own client. */
async function inside(login: string, script: string): Promise<Ended> {
  const { hostname, port } = new URL(world.github.url);
  return ivy.ssh(
    ["-R", `${port}:${hostname}:${port}`, `${login}@slipway`, `export GIT_SSL_CAINFO=~/ca.pem; ${script}`],
    {
      timeoutMs: SLOW_MS,
    },
  );
}

const push = (login: string, branch: string): Promise<Ended> =>
  inside(login, `git commit -q --allow-empty -m more && git push -q origin HEAD:${branch} && echo pushed`);

/** Has the pod's git believe the forge's certificate. */
async function enter(login: string): Promise<void> {
  const come = async (): Promise<boolean> =>
    (await ivy.ssh([`${login}@slipway`, "true"], { timeoutMs: SLOW_MS })).exitCode === 0;
  await until("ivy to get in", come, SLOW_MS);
  const put = `ssh -F ${ivy.configFile} ${login}@slipway 'cat >~/ca.pem' <${world.github.caFile}`;
  expect(await ivy.run(["sh", "-c", put])).toMatchObject({ exitCode: 0 });
}

test(
  "git push from inside of a pod works without an agent, until the right is gone, and again after the pod has slept",
  { timeout: HOOK_MS },
  async () => {
    tellLog(world.service);
    const { github, service } = world;
    await enter("shop-main");
    expect((await inside("shop-main", "echo ${SSH_AUTH_SOCK-none}; git remote get-url --push origin")).stdout).toBe(
      `none\n${github.url}/acme/shop.git\n`,
    );
    expect(await push("shop-main", "one")).toMatchObject({ exitCode: 0, stdout: "pushed\n" });
    const other = await inside("shop-main", `GIT_TERMINAL_PROMPT=0 git ls-remote ${github.url}/acme/none.git`);
    expect(other.exitCode).toBe(128);

    // She may still read, so she still gets in.
    github.world.setCollaborator("acme/shop", "ivy", "pull");
    const refusal = async (): Promise<string | undefined> => {
      const { stderr } = await inside("shop-main", "GIT_TERMINAL_PROMPT=0 git push origin HEAD:two");
      return /^.*cannot push to acme\/shop.*$/m.exec(stderr)?.[0];
    };
    expect(await until("the push to be refused", refusal, SLOW_MS)).toBe(
      "slipway: cannot push to acme/shop: you may read it and not push to it",
    );
    expect(service.events("push.revoked")).toHaveLength(1);

    github.world.setCollaborator("acme/shop", "ivy", "push");
    expect((await lobby(ivy, "sleep", "shop-main")).exitCode).toBe(0);
    const pushed = async (): Promise<boolean> => (await push("shop-main", "three")).stdout === "pushed\n";
    await until("the push to be let through", pushed, SLOW_MS);
    expect(service.log()).not.toMatch(/ghs_/);
  },
);
