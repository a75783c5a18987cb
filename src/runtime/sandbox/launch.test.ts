import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

import { makeLineReader } from "./launch.ts";

test("makeLineReader() reads line after line, and cuts off what says more than 64 KiB that nobody reads", async () => {
  const path = join(tmpdir(), `slipway-launch-${process.pid}`);
  const server = createServer().listen(path);
  await once(server, "listening");
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const inside = connect(path);
  inside.on("error", () => {}); // EPIPE once it is cut off
  const outside = await accepted;
  const { nextLine, unread } = makeLineReader(outside);
  inside.write("self 1\nready\n");
  expect([await nextLine(), await nextLine()]).toEqual(["self 1", "ready"]);
  const cutOff = once(outside, "close");
  for (let sent = 0; sent < 40; sent++) inside.write("x".repeat(8_192));
  await cutOff;
  expect(unread().length).toBeLessThanOrEqual(65_536);
  expect(await nextLine()).toBeUndefined();
  inside.destroy();
  server.close();
});
