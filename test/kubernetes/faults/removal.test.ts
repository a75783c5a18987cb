/**
 * Environments whose end somebody else has a hand in: a finalizer that holds a namespace, and a namespace that is deleted
 * under the people in it.
 *
 * @module
 */
import { expect, test } from "vitest";
import { until } from "../../harness/wait.ts";
import { HOOK_MS, lobby, SLOW_MS, useFaulty } from "./use-faulty.ts";

const faulty = useFaulty({ repositories: { plain: { definition: "{}" } } });

test(
  "rm names the finalizer that holds it, goes on by itself, and ends when that is lifted",
  { timeout: HOOK_MS },
  async () => {
    const { service, kubectl, apply, namespaces, namespaceOf } = faulty();
    const ada = service.as("ada");
    expect((await ada.ssh(["plain-main@slipway", "true"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    const namespace = await namespaceOf("plain-main");
    const metadata = { name: "held", namespace, finalizers: ["slipway.test/held"] };
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata });
    const removal = await lobby(ada, "rm", "plain-main");
    expect(removal.exitCode).toBe(75);
    expect(removal.stderr).toMatch(/it is being removed, but .*slipway\.test\/held in 1 resource instances/);

    // Nobody has to wait for that.
    const next = await ada.ssh(["plain-main@slipway", "ls -A"], { timeoutMs: SLOW_MS });
    expect(next.exitCode).toBe(0);
    expect(next.stderr).toMatch(/the plain-main before is still being removed; this is a new one/);
    expect(await namespaces()).toHaveLength(2);

    await kubectl(
      "-n",
      namespace,
      "patch",
      "configmap",
      "held",
      "--type=merge",
      "-p",
      '{"metadata":{"finalizers":null}}',
    );
    await until("its end", async () => !(await namespaces()).includes(namespace), SLOW_MS);
    await until("its record to go", () => service.events("environment.destroyed").length > 0, SLOW_MS);
    const rows = JSON.parse((await ada.lobby("ls", "--json")).stdout) as { login: string }[];
    expect(rows.map(({ login }) => login)).toEqual(["plain-main"]);
  },
);

test(
  "an environment whose namespace was deleted ends its sessions, says that it is gone, and is made anew",
  { timeout: HOOK_MS },
  async () => {
    const { service, kubectl, namespaceOf, namespaces } = faulty();
    const ada = service.as("ada");
    const session = ada.startSsh(["plain-main@slipway", "echo up; sleep 1000"], { timeoutMs: SLOW_MS });
    await session.untilOutput(/up/, SLOW_MS);
    const namespace = await namespaceOf("plain-main");
    await kubectl("delete", "namespace", namespace, "--wait=false");
    const ended = await session.ended;
    expect([ended.exitCode, ended.stderr]).toEqual([255, expect.stringMatching(/the environment ended this session/)]);
    const next = await ada.ssh(["plain-main@slipway", "git status --porcelain && echo whole"], {
      timeoutMs: 2 * SLOW_MS,
    });
    expect(next).toMatchObject({ exitCode: 0, stdout: "whole\n" });
    expect(next.stderr).toMatch(/what was in this environment is gone, removed by somebody else; it is made anew/);
    expect(await namespaces()).toEqual([namespace]);
  },
);
