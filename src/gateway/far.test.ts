import { generateKeyPairSync } from "node:crypto";
import { duplexPair } from "node:stream";
import { expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { makeSigningKey } from "../ssh/private-keys.ts";
import { enterFar, type Reached } from "./far.ts";

const handler = { message: () => undefined, drained: () => undefined, ended: () => undefined };

test.each([
  ["what its runtime knows of it", () => "it has no processes left", "it has no processes left"],
  ["no more than that when its runtime knows nothing", () => undefined, "the environment could not be entered"],
  ["no more than that when its runtime cannot tell", undefined, "the environment could not be entered"],
])("enterFar() tells of an sshd that ends at once %s", async (_, trouble, told) => {
  const [stream, sshd] = duplexPair();
  const key = makeSigningKey(generateKeyPairSync("ed25519").privateKey);
  const reached: Reached = { stream, hostKey: Buffer.alloc(0), user: "dev", ...(trouble && { trouble }) };
  const entering = enterFar(reached, { key, clock: new HandClock(), handler }, new AbortController().signal);
  sshd.end();
  await expect(entering).rejects.toMatchObject({ code: "runtime.failed", told });
});
