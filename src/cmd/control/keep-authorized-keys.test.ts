import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { type LoggedLine, recordingLog } from "../../../test/fakes/recording-log.ts";
import { until } from "../../../test/harness/wait.ts";
import { Fault } from "../../base/fault.ts";
import type { AuthorizedKeysAnswer } from "../../wire/control.ts";
import { keepAuthorizedKeys } from "./keep-authorized-keys.ts";
import { writeKeysFile } from "./write-keys-file.ts";

const HEAD = "# Written by Slipway, which replaces and empties it\n";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-keys-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface Kept extends AsyncDisposable {
  readonly clock: HandClock;
  readonly lines: readonly LoggedLine[];
  /** What each user's keys are, or why nobody can say. */
  readonly people: Map<string, readonly string[] | Error>;
  /** How often it was asked for them. */
  readonly asked: string[];
  expiresAt: number | undefined;
  /** Says that something changed, and lets it be gathered. */
  readonly change: () => Promise<void>;
  /** Lets the time of a poll pass, once the look before is over. */
  readonly poll: () => Promise<void>;
}

function keep(people: Kept["people"], expiresAt?: number): Kept {
  const clock = new HandClock();
  const { log, lines } = recordingLog();
  const listeners = new Set<() => void>();
  const asked: string[] = [];
  const kept = keepAuthorizedKeys({
    ...{ folder, users: [...people.keys()], pollMs: 30_000, clock, log },
    list: async (user) => {
      asked.push(user);
      const now = people.get(user) ?? [];
      if (now instanceof Error) throw now;
      const ends = made.expiresAt === undefined ? {} : { expiresAt: new Date(made.expiresAt).toISOString() };
      const fileLines = now.map((line) => `${line} until ${made.expiresAt ?? "ever"}`);
      const answer: AuthorizedKeysAnswer = {
        user,
        repository: "x",
        isStale: false,
        keys: [],
        lines: [...now],
        fileLines,
      };
      return { ...answer, ...ends };
    },
    onChanged: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const idle = async (): Promise<unknown> => until("a look to be over", () => clock.pendingCount > 0);
  const made: Kept = {
    ...{ clock, lines, people, asked, expiresAt },
    change: async () => {
      await idle();
      for (const listener of listeners) listener();
      await clock.advance(200);
    },
    poll: async () => {
      await idle();
      await clock.advance(30_200);
    },
    [Symbol.asyncDispose]: async () => {
      await kept[Symbol.asyncDispose]();
      expect(listeners.size).toBe(0);
      expect(clock.pendingCount).toBe(0);
    },
  };
  return made;
}

const textOf = (user: string): string => readFileSync(join(folder, user), "utf8");

async function untilText(user: string, text: string): Promise<void> {
  await until(`${user} to be ${JSON.stringify(text)}`, () => {
    try {
      return textOf(user) === text;
    } catch {
      return false;
    }
  });
}

// The first gateway of this kind wrote a file only when there were keys for it, so that who was taken out last stayed in.
test("keepAuthorizedKeys() empties the file when the last person goes", async () => {
  await using kept = keep(new Map([["shop", ["ada", "bob"]]]));
  await untilText("shop", `${HEAD}ada until ever\nbob until ever\n`);
  expect(statSync(join(folder, "shop")).mode & 0o777).toBe(0o644);
  kept.people.set("shop", ["bob"]);
  await kept.change();
  await untilText("shop", `${HEAD}bob until ever\n`);
  kept.people.set("shop", []);
  await kept.change();
  await untilText("shop", "");
  expect(readdirSync(folder)).toEqual(["shop"]);
});

// It wrote each app's keys once a container, and the last one's stayed.
test("keepAuthorizedKeys() gives each user the keys of its own repository", async () => {
  await using kept = keep(
    new Map([
      ["shop", ["ada"]],
      ["site", ["bob"]],
      ["none", []],
    ]),
  );
  await untilText("shop", `${HEAD}ada until ever\n`);
  await untilText("site", `${HEAD}bob until ever\n`);
  await untilText("none", "");
  await until("all three to be told", () => kept.lines.length === 3);
  expect(kept.lines.map(({ event, facts }) => [event, facts["user"], facts["keyCount"]])).toEqual(
    expect.arrayContaining([
      ["authorized-keys.written", "shop", 1],
      ["authorized-keys.written", "site", 1],
      ["authorized-keys.written", "none", 0],
    ]),
  );
});

// It took an error of the forge for nobody having access, and left the file as it was.
test("keepAuthorizedKeys() empties the file when nobody can say any more who may come in, and fills it again", async () => {
  await using kept = keep(new Map<string, readonly string[] | Error>([["shop", ["ada"]]]));
  await untilText("shop", `${HEAD}ada until ever\n`);
  kept.people.set("shop", new Fault("forge.unreached", "Cannot list: beyond the grace time"));
  await kept.poll();
  await untilText("shop", "");
  await until("all to be told", () => kept.lines.length === 3);
  expect(kept.lines).toMatchObject([
    { level: "info", event: "authorized-keys.written" },
    { level: "warn", facts: { user: "shop", code: "forge.unreached" } },
    { level: "info", event: "authorized-keys.written" },
  ]);
  kept.people.set("shop", ["ada"]);
  await kept.poll();
  await untilText("shop", `${HEAD}ada until ever\n`);
});

test("keepAuthorizedKeys() empties files of users that are not in the settings any more, and leaves those of others", async () => {
  await writeKeysFile(folder, "gone", ["ada"]);
  writeFileSync(join(folder, "theirs"), "ssh-ed25519 AAAA somebody\n");
  writeFileSync(join(folder, ".shop.4711.new"), "half");
  await using kept = keep(new Map([["shop", ["ada"]]]));
  expect(kept.asked.length).toBeLessThanOrEqual(1);
  await untilText("gone", "");
  await untilText("shop", `${HEAD}ada until ever\n`);
  expect(textOf("theirs")).toBe("ssh-ed25519 AAAA somebody\n");
  expect(readdirSync(folder).toSorted()).toEqual(["gone", "shop", "theirs"]);
});

test("keepAuthorizedKeys() looks once for many changes, and writes only what changed or is about to end", async () => {
  await using kept = keep(new Map([["shop", ["ada"]]]), 1_000_000);
  await untilText("shop", `${HEAD}ada until 1000000\n`);
  const inode = statSync(join(folder, "shop")).ino;
  await Promise.all(Array.from({ length: 100 }, () => kept.change()));
  await kept.poll();
  expect(kept.asked).toHaveLength(3);
  kept.expiresAt = 2_000_000;
  for (let polls = 0; polls < 10; polls++) await kept.poll();
  expect(statSync(join(folder, "shop")).ino).toBe(inode);
  for (let polls = 0; polls < 10; polls++) await kept.poll();
  await untilText("shop", `${HEAD}ada until 2000000\n`);
});

test("writeKeysFile() replaces a link rather than write through it, and leaves the file whole when it cannot", async () => {
  const target = join(folder, "target");
  writeFileSync(target, "not ours");
  symlinkSync(target, join(folder, "shop"));
  await writeKeysFile(folder, "shop", ["ada"]);
  expect(readFileSync(target, "utf8")).toBe("not ours");
  expect(textOf("shop")).toBe(`${HEAD}ada\n`);
  await expect(writeKeysFile(join(folder, "target"), "shop", [])).rejects.toMatchObject({ code: "state.unwritable" });
  expect(readdirSync(folder).toSorted()).toEqual(["shop", "target"]);
});
