/**
 * Keys on security keys (FIDO), made and used by OpenSSH's own programs. The token is `programs/software-token.c`, which
 * `ssh-keygen` and `ssh` load as they would that of a device.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { readPublicKey } from "../harness/client.ts";
import { whyNoService, whyNot } from "../harness/needs.ts";
import type { Ended } from "../harness/program.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";
const TYPES = ["ed25519-sk", "ecdsa-sk"] as const;
type SkType = (typeof TYPES)[number];
const lacks =
  whyNoService() ?? whyNot("gcc", "ssh-keygen", "/usr/include/openssl/evp.h", "/usr/lib/openssh/ssh-sk-helper");

const tokenFile = (): string => join(service().folder, "software-token.so");
const keyFile = (type: SkType): string => join(service().folder, `id_${type}`);

/** Makes the token and a key of each type on it, and has the service know them as ada's. */
beforeAll(async () => {
  if (lacks !== undefined) return;
  const { run } = service().as("ada");
  const source = join(import.meta.dirname, "programs/software-token.c");
  const words = ["gcc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", tokenFile(), source, "-lcrypto"];
  expect(await run(words)).toMatchObject({ exitCode: 0, stderr: "" });
  for (const type of TYPES) {
    const made = await run(["ssh-keygen", "-q", "-t", type, "-w", tokenFile(), "-N", "", "-f", keyFile(type)]);
    expect(made).toMatchObject({ exitCode: 0 });
  }
  const settings = JSON.parse(readFileSync(service().settingsFile, "utf8")) as {
    people: Record<string, { keys: string[] }>;
  };
  settings.people["ada"]?.keys.push(...TYPES.map((type) => readPublicKey(keyFile(type))));
  writeFileSync(service().settingsFile, JSON.stringify(settings));
  await service().stop();
  await service().restart();
});
beforeEach((ctx) => {
  if (lacks !== undefined) ctx.skip(lacks);
});

/** Runs a command, signed in with the key of this type alone. */
function sshWith(type: SkType, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const known = ["-o", `UserKnownHostsFile=${service().knownHosts}`, "-o", "StrictHostKeyChecking=yes"];
  const only = ["-F", "none", "-i", keyFile(type), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];
  const token = ["-o", `SecurityKeyProvider=${tokenFile()}`, "-o", `HostKeyAlias=[127.0.0.1]:${service().port}`];
  return service()
    .as("ada")
    .ssh(
      [...only, ...known, ...token, "-v", "-p", `${service().port}`, MAIN.replace("slipway", "127.0.0.1"), "echo in"],
      {
        env,
      },
    );
}

test.for(TYPES)("ssh signs in with a key of type %s on a token", async (type) => {
  const ended = await sshWith(type);
  expect(ended).toMatchObject({ exitCode: 0, stdout: "in\n" });
  expect(ended.stderr).toMatch(new RegExp(`Server accepts key: .*id_${type} `));
});

/** Whoever has a laptop in their hands has the token in it as well; that somebody sits before it is what it adds. */
test.for(TYPES)("ssh with a key of type %s that nobody touched is not let in", async (type) => {
  const ended = await sshWith(type, { SOFTWARE_TOKEN_UNTOUCHED: "1" });
  expect(ended.stderr).toMatch(new RegExp(`Server accepts key: .*id_${type} `));
  expect([ended.exitCode, ended.stdout]).toEqual([255, ""]);
  expect(ended.stderr).toContain("Permission denied (publickey)");
});
