import { expect, test } from "vitest";
import { makeShared } from "./shared.ts";

/** A look that ends when told to, and counts. */
function makeLook(): { look: (key: string) => Promise<string>; finish: () => void; begun: string[] } {
  const begun: string[] = [];
  const open: (() => void)[] = [];
  const look = async (key: string): Promise<string> => {
    begun.push(key);
    const seen = `${key} ${begun.length}`;
    await new Promise<void>((resolve) => open.push(resolve));
    return seen;
  };
  return { look, finish: () => open.shift()?.(), begun };
}

/** Lets everything run that can. */
const settle = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("makeShared() looks once for all who ask before the look begins, and anew for those who ask while it is under way", async () => {
  const { look, finish, begun } = makeLook();
  const shared = makeShared(look);
  const first = [shared("a"), shared("a")];
  await settle();
  const second = [shared("a"), shared("a")];
  await settle();
  expect(begun).toEqual(["a"]);
  finish();
  await settle();
  finish();
  expect(await Promise.all(first)).toEqual(["a 1", "a 1"]);
  expect(await Promise.all(second)).toEqual(["a 2", "a 2"]);
});

test("makeShared() looks at different keys side by side", async () => {
  const { look, finish, begun } = makeLook();
  const shared = makeShared(look);
  const both = [shared("a"), shared("b")];
  await settle();
  expect(begun).toEqual(["a", "b"]);
  finish();
  finish();
  expect(await Promise.all(both)).toEqual(["a 1", "b 2"]);
});

test("makeShared() tells all who share a look of its failure, and looks anew afterwards", async () => {
  let isBroken = true;
  const shared = makeShared(async () => {
    if (isBroken) throw new Error("Cannot look");
    return "seen";
  });
  const results = await Promise.allSettled([shared("a"), shared("a")]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isBroken = false;
  expect(await shared("a")).toBe("seen");
});
