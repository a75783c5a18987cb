import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { openTestPostgres, whyNoPostgres } from "./postgres.ts";
import { until } from "./wait.ts";

const why = whyNoPostgres();

test("openTestPostgres() gives empty databases, keeps them over a stop, and leaves nothing", async (context) => {
  if (why !== undefined) context.skip(why);
  const postgres = await openTestPostgres();
  const [one, other] = [await postgres.url(), await postgres.url()];
  await postgres.query("create table here as select 1 as number", one);
  await expect(postgres.query("select * from here", other)).rejects.toThrow("does not exist");
  await postgres.stop();
  await expect(postgres.query("select 1")).rejects.toThrow();
  await postgres.start();
  expect(await postgres.query("select * from here", one)).toEqual([{ number: 1 }]);
  await postgres[Symbol.asyncDispose]();
  expect(existsSync(postgres.folder)).toBe(false);
});

test("openTestPostgres() leaves nothing when the process that called it is killed", async (context) => {
  if (why !== undefined) context.skip(why);
  const program = `
    import { openTestPostgres } from ${JSON.stringify(new URL("./postgres.ts", import.meta.url).href)};
    console.log((await openTestPostgres()).folder);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const folder = String((await lines.next()).value);
  expect(existsSync(folder)).toBe(true);
  child.kill("SIGKILL");
  await until("its folder to go", () => !existsSync(folder));
});
