import { type Duplex, duplexPair } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeClusterWorld } from "../../test/fakes/cluster-world.ts";
import { makeWorld, never, type World } from "../../test/fakes/controller-world.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { Fault } from "../base/fault.ts";
import { makeLog } from "../base/log.ts";
import type { Use } from "../forge/directory.ts";
import type { GitCredential } from "../forge/forge-client.ts";
import type { Context } from "./context.ts";
import type { Environments } from "./environments.ts";
import { takeCalls } from "./push-credentials.ts";

const HOUR_MS = 3_600_000;
const SHOP = {
  id: "hello",
  name: "shop",
  owner: "acme",
  url: "https://github.example/acme/shop.git",
  canPushByToken: true,
};
const ABOUT = "protocol=https\nhost=github.example\npath=acme/shop.git\n";
const ASK = `git-credential\n${ABOUT}\n`;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
  world.repositories.set("hello", SHOP);
});
afterEach(() => world[Symbol.asyncDispose]());

/** The two ends of a call: ours, and one that says something and reads the answer to its end. */
function call(take: ((stream: Duplex) => void) | undefined, words: string): Promise<string> {
  const [theirs, ours] = duplexPair();
  if (take === undefined) return Promise.reject(new Error("Cannot call: nobody listens"));
  take(ours);
  theirs.write(words);
  return new Promise((resolve) => {
    const said: unknown[] = [];
    theirs.on("data", (chunk: unknown) => said.push(chunk));
    ours.once("close", () => resolve(said.join("")));
  });
}

describe("an environment's calls", () => {
  let clock: HandClock;
  let use: Use;
  let made: number;
  let make: () => Promise<GitCredential | undefined>;
  let logged: string[];
  let pushers: string[];

  beforeEach(() => {
    clock = new HandClock(1_000_000);
    use = { allowed: true };
    made = 0;
    logged = [];
    pushers = [];
    make = async () => ({ username: "x-access-token", password: `secret-${++made}`, expiresAt: clock.now() + HOUR_MS });
  });

  /** Listens for one environment of ada's. */
  async function listen(changes: Partial<Context> = {}): Promise<(words: string) => Promise<string>> {
    const { environments: store } = world.store;
    const place = { person: "ada", repository: "hello", repositoryName: "shop", branch: "main", login: "shop-main" };
    const rest = { id: "e1aa", fromBranch: undefined, hostname: "shop-main", inventory: [] };
    const added = await store.add({ ...place, ...rest }, { perPerson: 3, firstUid: 1, uidCount: 9 });
    if (added.outcome !== "added") throw new Error("Cannot add an environment");
    const blank = { power: "running", checkedOut: true, diskBytes: 0, log: "" } as const;
    world.runtime.environments.set("e1aa", {
      ...blank,
      unsaved: { changedPaths: [], changedCount: 0, commits: [], commitCount: 0 },
    });
    const context = { ...world.context(), clock, pushCredential: () => make(), ...changes };
    const { directory } = context;
    const mayPush = async (person: string, repository: string): Promise<Use> => {
      pushers.push(`${person} ${repository}`);
      return use;
    };
    const log = { ...makeLog("silent"), debug: note, warn: note, info: note, error: note };
    await takeCalls({ ...context, log, directory: { ...directory, mayPush } }, added.record);
    return (words) => call(world.runtime.takers.get("e1aa"), words);
  }

  function note(event: string, ...facts: unknown[]): void {
    logged.push(
      `${event} ${facts.map((fact) => (fact instanceof Error ? fact.stack : JSON.stringify(fact))).join(" ")}`,
    );
  }

  test("get a token for their repository, for their person alone, on record and not in the log", async () => {
    const ask = await listen();
    const answer = "username=x-access-token\npassword=secret-1\npassword_expiry_utc=4600\n";
    expect(await ask(ASK)).toBe(answer);
    expect(pushers).toEqual(["ada hello"]);
    const issued = { type: "credential.issued", environment: "e1aa", person: "ada", repository: "hello" };
    expect(world.audited).toEqual([issued]);
    expect(await ask(ASK)).toBe(answer);
    expect(world.audited).toEqual([issued]);
    await clock.advance(HOUR_MS - 5 * 60_000);
    expect(await ask(ASK)).toContain("password=secret-2\n");
    expect(world.audited).toEqual([issued, issued]);
    expect(JSON.stringify([logged, world.audited])).not.toContain("secret");
  });

  // Law: "removed … no new session, and live sessions cut". What runs inside goes on, and a token that it has pushed for up to an
  // hour after the removal.
  test("get tokens that the forge is asked to end when the right does, until it has, and none of them again", async () => {
    const lost: (() => void)[] = [];
    const revoked: string[] = [];
    let isAway = true;
    make = async () => {
      const password = `secret-${++made}`;
      const revoke = async (): Promise<void> => {
        if (isAway) throw new Fault("forge.unreached", "Cannot ask DELETE /installation/token: away");
        revoked.push(password);
      };
      return { username: "x-access-token", password, expiresAt: clock.now() + HOUR_MS, revoke };
    };
    const { directory } = world.context();
    const watchPush = (person: string, repository: string, onLost: () => void): (() => void) => {
      expect([person, repository]).toEqual(["ada", "hello"]);
      lost.push(onLost);
      return () => lost.splice(lost.indexOf(onLost), 1);
    };
    const ask = await listen({ directory: { ...directory, watchPush } });
    expect(await ask(ASK)).toContain("password=secret-1\n");
    for (const tell of lost) tell();
    await clock.advance(1_500);
    expect(revoked).toEqual([]);
    isAway = false;
    await clock.advance(5_000);
    expect(revoked).toEqual(["secret-1"]);
    expect(logged.join("\n")).toContain("push.revoked");
    // Somebody who may again gets another.
    expect(await ask(ASK)).toContain("password=secret-2\n");
    isAway = true;
    lost.at(-1)?.();
    await clock.advance(HOUR_MS);
    expect(revoked).toEqual(["secret-1"]);
    expect(logged.join("\n")).toContain("push.unrevoked");
    expect(JSON.stringify(logged)).not.toContain("secret");
    expect(clock.pendingCount).toBe(0);
  });

  /** Who had lost the right while a token was made was told that the forge makes none. */
  test("are told the reason when the right goes while their token is made, which is ended and not handed out", async () => {
    const revoked: string[] = [];
    const tellLost: (() => void)[] = [];
    make = async () => {
      const password = `secret-${++made}`;
      return {
        username: "u",
        password,
        expiresAt: clock.now() + HOUR_MS,
        revoke: async () => void revoked.push(password),
      };
    };
    const watchPush = (_person: string, _repository: string, onLost: () => void): (() => void) => {
      tellLost.push(onLost);
      return () => undefined;
    };
    let told: string | undefined;
    const append = async (): Promise<void> => {
      if (told !== undefined) use = { allowed: false, isUnverified: false, told };
      tellLost.at(-1)?.();
    };
    const ask = await listen({ directory: { ...world.context().directory, watchPush }, audit: { append } });
    told = "ada is no collaborator of acme/shop";
    expect(await ask(ASK)).toBe(`told=slipway: cannot push to acme/shop: ${told}\n`);
    expect(logged.join("\n")).toMatch(/push\.refused .*"reason":"ada is no collaborator of acme\/shop"/);
    told = undefined;
    use = { allowed: true };
    expect(await ask(ASK)).toBe(
      "told=slipway: cannot push to acme/shop: the right to push to it was just changed; try again\n",
    );
    await clock.advance(0);
    expect(revoked).toEqual(["secret-1", "secret-2"]);
  });

  test("are told when the forge makes no token for their repository", async () => {
    const ask = await listen();
    make = async () => undefined;
    expect(await ask(ASK)).toBe("told=slipway: cannot push to acme/shop: its forge makes no token for it\n");
  });

  test("get tokens whose right is watched until they end by themselves", async () => {
    let watchCount = 0;
    make = async () => ({
      ...{ username: "x-access-token", password: "secret", expiresAt: clock.now() + HOUR_MS },
      revoke: () => Promise.reject(new Error("Cannot be: nobody lost a right")),
    });
    const watchPush = (): (() => void) => {
      watchCount += 1;
      return () => (watchCount -= 1);
    };
    const ask = await listen({ directory: { ...world.context().directory, watchPush } });
    await ask(ASK);
    expect(watchCount).toBe(1);
    await clock.advance(HOUR_MS);
    expect(watchCount).toBe(0);
  });

  test.each([
    ["in capitals and without .git", "protocol=https\nhost=GitHub.Example\npath=Acme/Shop\n", true],
    ["with the account that it is of", `${ABOUT}username=x-access-token\n`, true],
    ["of another account", `${ABOUT}username=ada\n`, false],
    ["of another host", ABOUT.replace("github.example", "evil.example"), false],
    ["of a host below", ABOUT.replace("github.example", "x.github.example"), false],
    ["of another port", ABOUT.replace("github.example", "github.example:8443"), false],
    ["of a host with a letter that only looks so in lower case", ABOUT.replace("github", "gıthub"), false],
    ["of another repository", ABOUT.replace("shop", "till"), false],
    ["of another owner", ABOUT.replace("acme", "evil"), false],
    ["by a way round", ABOUT.replace("acme/shop", "evil/../acme/shop"), false],
    ["by a way up", ABOUT.replace("acme/shop", "../acme/shop"), false],
    ["of what lies below it", ABOUT.replace("shop.git", "shop.git/info/lfs"), false],
    ["of the host alone", "protocol=https\nhost=github.example\npath=\n", false],
    ["without a path", "protocol=https\nhost=github.example\n", false],
    ["over http", ABOUT.replace("https", "http"), false],
  ])("are answered to a question %s: %#", async (_, about, isAnswered) => {
    const ask = await listen();
    const answer = await ask(`git-credential\n${about}\n`);
    if (isAnswered) expect(answer).toContain("password=secret-1\n");
    else expect(answer).toBe("");
  });

  test("get nothing, whatever is said, unless it is about their repository", async () => {
    const ask = await listen({ clock: { ...world.context().clock, elapsed: () => performance.now() * 1e6 } });
    const word = fc.oneof(
      fc.constantFrom("protocol=https", "host=github.example", "path=acme/shop", "path=acme/other", "host=a", "url=x"),
      fc.string({ unit: "binary", maxLength: 40 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word), async (words) => {
        const text = `git-credential\n${words.join("\n")}\n\n`;
        const answer = await ask(text);
        const isAbout =
          words.includes("protocol=https") && words.includes("host=github.example") && words.includes("path=acme/shop");
        if (!isAbout) expect(answer).toBe("");
      }),
      { numRuns: 200 },
    );
  });

  test("are told why their person may not, and get no token that was made before", async () => {
    const ask = await listen();
    await ask(ASK);
    use = { allowed: false, isUnverified: false, told: "ada is no collaborator of acme/shop" };
    expect(await ask(ASK)).toBe("told=slipway: cannot push to acme/shop: ada is no collaborator of acme/shop\n");
    expect(logged).toEqual([expect.stringMatching(/^push\.refused .*"reason":"ada is no collaborator of acme\/shop"/)]);
    use = { allowed: true };
    expect(await ask(ASK)).toContain("secret-2");
  });

  test("are told that the forge fails, which is asked again after 10 s and not before", async () => {
    const ask = await listen();
    let askedCount = 0;
    const works = make;
    make = async () => {
      askedCount += 1;
      throw new Fault("forge.refused", "Cannot make a token: 403", { told: "the App lacks contents: write\nx" });
    };
    const told = "told=slipway: cannot push to acme/shop: the App lacks contents: write?x\n";
    expect(await ask(ASK)).toBe(told);
    expect(await ask(ASK)).toBe(told);
    expect(askedCount).toBe(1);
    make = works;
    expect(await ask(ASK)).toBe(told);
    await clock.advance(10_000);
    expect(await ask(ASK)).toContain("password=");
  });

  test("learn nothing of a failure that is a bug of ours", async () => {
    const ask = await listen();
    make = async () => Promise.reject(new Error("Inner words"));
    expect(await ask(ASK)).not.toContain("Inner words");
    expect(logged.join()).toContain("push.failed");
  });

  test("are answered one after another, so that a hundred at once make one token", async () => {
    const ask = await listen();
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(ASK)));
    expect(new Set(answers).size).toBe(1);
    expect(made).toBe(1);
  });

  test("are hung up on after sixty in a minute, without a line in the log", async () => {
    const ask = await listen();
    for (let count = 0; count < 60; count++) expect(await ask(ASK)).toContain("password=");
    const lines = logged.length;
    expect(await ask(ASK)).toBe("");
    expect(logged).toHaveLength(lines);
    await clock.advance(60_000);
    expect(await ask(ASK)).toContain("password=");
  });

  test("get no token that is not on record yet", async () => {
    const recorded = Promise.withResolvers<undefined>();
    const ask = await listen({ audit: { append: () => recorded.promise } });
    let answer: string | undefined;
    const asking = ask(ASK).then((said) => (answer = said));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([made, answer]).toEqual([1, undefined]);
    recorded.resolve(undefined);
    expect(await asking).toContain("password=secret-1");
  });

  test("are not taken where pushing is by keys", async () => {
    world.repositories.set("hello", { ...SHOP, canPushByToken: false });
    await expect((await listen())(ASK)).rejects.toThrow("nobody listens");
  });
});

describe("environments", () => {
  let service: Environments;
  const pushCredential = async (): Promise<GitCredential> => ({ username: "u", password: "p", expiresAt: undefined });
  const who = { person: "ada", key: "" };
  const enter = () => service.enter({ who, login: "hello-main" }, () => undefined, never);
  const main = { person: "ada", login: "hello-main" };
  const ask = (id: string) => call(world.runtime.takers.get(id), ASK);

  beforeEach(() => {
    service = world.serve({ pushCredential });
  });

  test("of a forge that makes tokens push over https, and call us for them", async () => {
    const { id } = await enter();
    expect(world.runtime.environments.get(id)?.spec?.source).toMatchObject({
      originUrl: "https://github.example/acme/shop.git",
      credentialHost: "github.example",
    });
    expect(await ask(id)).toBe("username=u\npassword=p\n");
  });

  test("of a forge that makes none push with keys of their own", async () => {
    world.repositories.set("hello", { ...SHOP, canPushByToken: false, pushUrl: "git@github.example:acme/shop.git" });
    const { id } = await enter();
    const source = world.runtime.environments.get(id)?.spec?.source;
    expect(source).toMatchObject({ originUrl: "git@github.example:acme/shop.git" });
    expect(source).not.toHaveProperty("credentialHost");
    expect(world.runtime.takers.size).toBe(0);
  });

  test("on a cluster push over https too, and call us from there", async () => {
    await using onClusters = await makeClusterWorld();
    onClusters.world.repositories.set("hello", { ...SHOP, pushUrl: "git@github.example:acme/shop.git" });
    const { id } = await onClusters
      .serve({ pushCredential })
      .enter({ who, login: "hello-main" }, () => undefined, never);
    const { environments, takers } = onClusters.runtimes.east;
    expect(environments.get(id)?.spec?.source).toMatchObject({
      originUrl: "https://github.example/acme/shop.git",
      credentialHost: "github.example",
    });
    expect(await call(takers.get(id), ASK)).toBe("username=u\npassword=p\n");
  });

  test("may call from their first command on", async () => {
    world.runtime.sources.set(".devcontainer/devcontainer.json", JSON.stringify({ onCreateCommand: "git lfs pull" }));
    const answers: string[] = [];
    world.runtime.onCommand = async () => {
      for (const id of world.runtime.environments.keys()) answers.push(await ask(id));
      return 0;
    };
    await enter();
    expect(answers).toEqual(["username=u\npassword=p\n"]);
  });

  test("may not call any more when they sleep, and may when they wake", async () => {
    const { id } = await enter();
    await service.sleep(main, { by: "ada" });
    expect(world.runtime.takers.size).toBe(0);
    await enter();
    expect(await ask(id)).toContain("password=p");
    await service.remove(main, { force: true, by: "ada" });
    expect(world.runtime.takers.size).toBe(0);
  });

  test("may call the next service, and none when that is closed", async () => {
    const { id } = await enter();
    world.runtime.takers.clear(); // killed
    service = world.serve({ pushCredential });
    await service.adopt();
    await enter();
    expect(await ask(id)).toContain("password=p");
    await service.close();
    expect(world.runtime.takers.size).toBe(0);
  });

  test("that failed to start call nobody", async () => {
    world.runtime.sources.set(".devcontainer/devcontainer.json", JSON.stringify({ onCreateCommand: "x" }));
    world.runtime.onCommand = () => Promise.reject(new Error("Broken"));
    await enter().catch(() => undefined);
    await service.close();
    expect(world.runtime.takers.size).toBe(0);
  });

  test("are entered also when their calls cannot be taken", async () => {
    world.runtime.before("listen", () => {
      throw new Error("No room");
    });
    expect((await enter()).login).toBe("hello-main");
  });
});
