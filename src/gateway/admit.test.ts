import { expect, test } from "vitest";
import { directoryOf, makeFakeGateway, sendLogin, type FakeGateway } from "../../test/fakes/fake-gateway.ts";
import { until } from "../../test/fakes/transport-ends.ts";
import type { Use } from "../forge/directory.ts";
import { message } from "../ssh/numbers.ts";
import type { GatewayDeps } from "./ports.ts";

const YES: Use = { allowed: true };
const NO: Use = { allowed: false, isUnverified: false, told: "ada is no collaborator of acme/shop" };

interface Says {
  /** What the forge says when it is asked. */
  asked: Use;
  /** What is remembered of it. */
  remembered: Use;
}

/** A directory that tells what it was asked, and whose watch is called by hand. */
function watchedDirectory(says: Says) {
  const calls: string[] = [];
  const watchers = new Set<(told: string) => void>();
  const directory: GatewayDeps["directory"] = {
    ...directoryOf(() => true),
    mayUse: async () => {
      calls.push("asked");
      return says.asked;
    },
    judge: () => {
      calls.push("remembered");
      return says.remembered;
    },
    watch: (_held, onRevoked) => {
      calls.push("watched");
      watchers.add(onRevoked);
      return () => watchers.delete(onRevoked);
    },
  };
  const revoke = (told: string): void => {
    for (const watcher of [...watchers]) watcher(told);
  };
  return { directory, calls, watchers, revoke };
}

async function refusalOf(gateway: FakeGateway): Promise<unknown> {
  const peer = await gateway.meet();
  sendLogin(peer, gateway.ada, "hello-main");
  await until(() => gateway.log.some(({ event }) => event === "session.refused" || event === "session.opened"));
  return gateway.log.find(({ event }) => event === "session.refused")?.facts["reason"];
}

// Law: "Subscribe first, then check, so no gap exists between admission and revocation." The last check read memory alone, so
// whoever was removed while their environment was made was let in by facts that had grown old, and cut a moment later.
test("admit() watches, then has the forge asked again, so that nobody enters who was removed while their environment was made", async () => {
  const says: Says = { asked: YES, remembered: YES };
  const { directory, calls, watchers } = watchedDirectory(says);
  const onEnter = async (): Promise<void> => {
    says.asked = NO;
  };
  const gateway = makeFakeGateway({ deps: { directory }, onEnter });
  expect(await refusalOf(gateway)).toContain("ada is no collaborator of acme/shop");
  expect(calls).toEqual(["watched", "asked"]);
  expect(watchers.size).toBe(0);
  expect(gateway.audit).toMatchObject([{ type: "connection.refused", person: "ada", login: "hello-main" }]);
});

test("admit() refuses whose right ends while the forge is asked, whatever it answers then", async () => {
  const says: Says = { asked: YES, remembered: YES };
  const watched = watchedDirectory(says);
  const mayUse = async (): Promise<Use> => {
    watched.revoke("the key of this session was withdrawn");
    return YES;
  };
  const gateway = makeFakeGateway({ deps: { directory: { ...watched.directory, mayUse } } });
  expect(await refusalOf(gateway)).toContain("the key of this session was withdrawn");
  expect(gateway.log.map(({ event }) => event)).not.toContain("session.revoked");
});

test("admit() says by when a forge that does not answer now let somebody in, once", async () => {
  const at = Date.UTC(2026, 0, 2);
  const says: Says = { asked: { allowed: true, asOf: { forge: "hub", at } }, remembered: YES };
  const { directory } = watchedDirectory(says);
  const gateway = makeFakeGateway({ deps: { directory } });
  const peer = await gateway.meet();
  sendLogin(peer, gateway.ada, "hello-main");
  const banner = await peer.nextOf(message.userauthBanner);
  expect(banner.toString()).toContain(
    "hub cannot be reached; you are let in by what it said at 2026-01-02T00:00:00.000Z",
  );
  await peer.nextOf(message.userauthSuccess);
  expect(gateway.log.filter(({ event }) => event === "access.stale")).toMatchObject([{ facts: { forge: "hub" } }]);
});

test("admit() does not wait again for a forge that just did not answer", async () => {
  const asOf = { forge: "hub", at: 0 };
  const { directory, calls } = watchedDirectory({ asked: NO, remembered: { allowed: true, asOf } });
  const gateway = makeFakeGateway({ deps: { directory } });
  const { environments } = gateway.deps;
  const enter: typeof environments.enter = async (...given) => ({ ...(await environments.enter(...given)), asOf });
  const stale = makeFakeGateway({
    deps: { directory, environments: { ...environments, enter }, gatewayKey: gateway.deps.gatewayKey },
  });
  const { peer } = await staleEnter(stale, gateway);
  expect(calls).toEqual(["watched", "remembered"]);
  expect(stale.log.map(({ event }) => event)).not.toContain("access.stale");
  peer.stream.end();
});

async function staleEnter(stale: FakeGateway, made: FakeGateway) {
  const peer = await stale.meet();
  sendLogin(peer, stale.ada, "hello-main");
  await peer.nextOf(message.userauthSuccess);
  return { peer, far: made.fars.at(-1) };
}
