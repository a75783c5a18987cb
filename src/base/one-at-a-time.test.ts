import { expect, test } from "vitest";

import { makeOneAtATime } from "./one-at-a-time.ts";

test("makeOneAtATime() lets acts of one key follow one another in order, also after one that failed", async () => {
  const queue = makeOneAtATime();
  const said: string[] = [];
  const gate = Promise.withResolvers<undefined>();
  const first = queue("a", async () => {
    said.push("first begins");
    await gate.promise;
    throw new Error("Cannot go on: wanted so");
  });
  const second = queue("a", async () => {
    said.push("second");
    return 2;
  });
  await queue("b", async () => said.push("another key"));
  gate.resolve(undefined);
  await expect(first).rejects.toThrow("wanted so");
  expect(await second).toBe(2);
  expect(said).toEqual(["first begins", "another key", "second"]);
});
