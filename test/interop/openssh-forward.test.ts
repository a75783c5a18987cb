/**
 * Forwards of OpenSSH: -W, -J, -L, -R, -D, Unix sockets both ways; and those that are refused.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPublicKey } from "../harness/client.ts";
import { freePort } from "../harness/free-port.ts";
import type { Running } from "../harness/program.ts";
import { openSshd } from "../harness/sshd.ts";
import { until } from "../harness/wait.ts";
import { whyNotThere } from "./place.ts";
import { dialer, endFirst, endLast, readCounts, socksDialer, startHalfCloseServer, type Dial } from "./half-close.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";

/** Runs `ssh -N` with a forward until `use` is done. */
async function withForward(args: readonly string[], use: (forward: Running) => Promise<void>): Promise<void> {
  const forward = service()
    .as("ada")
    .startSsh(["-v", "-N", "-o", "ExitOnForwardFailure=yes", ...args, MAIN]);
  try {
    await forward.untilError(/Entering interactive session|remote forward success|Allocated port/);
    await use(forward);
  } finally {
    forward.kill();
    await forward.ended;
  }
}

async function mustKeepHalves(dial: Dial, connections: number): Promise<void> {
  await Promise.all(Array.from({ length: connections }, () => endFirst(dial)));
  await Promise.all(Array.from({ length: connections }, (_, number) => endLast(dial, 1_000_000 + number)));
  // Our end of a connection is over before its last bytes are there.
  const counts = await until("every end inside", async () => {
    const seen = await readCounts(dial);
    return seen.length >= connections && seen;
  });
  expect(counts).toEqual(Array.from({ length: connections }, (_, number) => 1_000_000 + number));
}

test("ssh -L reaches a server inside, and keeps the two halves of a connection apart", async () => {
  await startHalfCloseServer(service().as("ada"), MAIN, 4001);
  const port = await freePort();
  await withForward(["-L", `127.0.0.1:${port}:localhost:4001`], () => mustKeepHalves(dialer(port), 4));
});

test("ssh -L of a Unix socket to a Unix socket does so too", async () => {
  const { folder } = service().as("ada");
  await startHalfCloseServer(service().as("ada"), MAIN, "/tmp/half-close.sock");
  const local = join(folder, "local.sock");
  await withForward(["-L", `${local}:/tmp/half-close.sock`], async () => mustKeepHalves(dialer(local), 4));
});

test("ssh -D serves 64 connections at once, each with its halves apart", async () => {
  await startHalfCloseServer(service().as("ada"), MAIN, 4002);
  const port = await freePort();
  await withForward(["-D", `127.0.0.1:${port}`], () => mustKeepHalves(socksDialer(port, "localhost", 4002), 64));
});

test("ssh -W is a plain pipe to a server inside, its end included", async () => {
  await startHalfCloseServer(service().as("ada"), MAIN, 4003);
  const ended = await service().as("ada").ssh(["-W", "127.0.0.1:4003", MAIN], { input: "A23" });
  expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^3 [0-9a-f]{64}\n$/) as unknown });
});

test("ssh -L hands a page of the service inside to a browser here", async () => {
  const port = await freePort();
  await withForward(["-L", `127.0.0.1:${port}:localhost:3000`], async () => {
    const page = await until("the service inside", async () => {
      try {
        return await (await fetch(`http://127.0.0.1:${port}/`)).text();
      } catch {
        return undefined; // it may still be starting
      }
    });
    expect(page).toContain("<h1>Hello from");
  });
});

test("ssh -R lets a program inside reach a server here", async () => {
  await using here = await serveHere("from the laptop\n");
  await withForward(["-R", `127.0.0.1:4100:127.0.0.1:${here.port}`], async () => {
    const { ssh } = service().as("ada");
    const ended = await ssh([MAIN, asBash("exec 3<>/dev/tcp/127.0.0.1/4100; printf hello >&3; cat <&3")]);
    expect(ended.stdout).toBe("from the laptop\n");
    await until("the rest to be heard", () => here.heard() === "hello"); // the answer did not wait for it
  });
  const after = await service()
    .as("ada")
    .ssh([MAIN, asBash("exec 3<>/dev/tcp/127.0.0.1/4100")]);
  expect(after.exitCode).not.toBe(0);
});

test("ssh -R 0 is told the port it got, which works until it is cancelled", async () => {
  await using here = await serveHere("port zero\n");
  const { folder, ssh, run } = service().as("ada");
  const path = join(folder, "control-r");
  const master = service().as("ada").startSsh(["-M", "-S", path, "-N", MAIN]);
  await until("the master", async () => (await run(["ssh", "-S", path, "-O", "check", MAIN])).exitCode === 0);
  const control = (...words: string[]) => run(["ssh", "-F", "none", "-S", path, ...words, MAIN]);
  const asked = await control("-O", "forward", "-R", `0:127.0.0.1:${here.port}`);
  const port = Number(asked.stdout);
  expect(port).toBeGreaterThan(1_023);
  const listen = asBash(`exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`);
  expect((await ssh([MAIN, listen])).stdout).toBe("port zero\n");
  const cancelled = await control("-O", "cancel", "-R", `0:127.0.0.1:${here.port}`);
  expect(cancelled).toMatchObject({ exitCode: 0, stderr: "" });
  expect((await ssh([MAIN, listen])).exitCode).not.toBe(0);
  await control("-O", "exit");
  await master.ended;
});

test("ssh -R of a Unix socket lets a program inside reach a socket here", async (ctx) => {
  const lacks = whyNotThere("nc -U");
  if (lacks !== undefined) ctx.skip(lacks);
  await using here = await serveHere("by a socket\n", join(service().as("ada").folder, "here.sock"));
  await withForward(["-R", `/tmp/there.sock:${here.path}`], async () => {
    const ended = await service().as("ada").ssh([MAIN, "echo hi | nc -N -U /tmp/there.sock"]);
    expect(ended.stdout).toBe("by a socket\n");
    await until("the rest to be heard", () => here.heard() === "hi\n"); // the answer did not wait for it
  });
});

test("ssh -J goes through an environment to an sshd that somebody started inside", async (ctx) => {
  const lacks = whyNotThere("sshd");
  if (lacks !== undefined) ctx.skip(lacks);
  const { ssh, identityFile, folder } = service().as("ada");
  const settings =
    "Port 2200\\nListenAddress 127.0.0.1\\nHostKey /tmp/sshd/key\\nAuthorizedKeysFile /tmp/sshd/keys\\nUsePAM no\\nStrictModes no\\nPidFile none\\n";
  const prepare = `mkdir -p /tmp/sshd; cat >/tmp/sshd/keys; ssh-keygen -q -t ed25519 -N '' -f /tmp/sshd/key; printf '${settings}' >/tmp/sshd/config; setsid /usr/sbin/sshd -D -f /tmp/sshd/config </dev/null >/tmp/sshd/log 2>&1 & cut -d' ' -f1,2 /tmp/sshd/key.pub; id -un`;
  const started = await ssh([MAIN, prepare], { input: `${readPublicKey(identityFile)}\n` });
  const [key, user] = started.stdout.trim().split("\n");
  const known = join(folder, "known_inside");
  writeFileSync(known, `[127.0.0.1]:2200 ${key}\n${readFileSync(service().knownHosts, "utf8")}`);
  const words = ["-o", `UserKnownHostsFile=${known}`, "-p", "2200", `${user}@127.0.0.1`, "hostname"];
  const seen = await until("the sshd inside", async () => {
    const ended = await ssh(["-J", MAIN, ...words]);
    return ended.exitCode === 0 && ended;
  });
  expect(seen.stdout).toBe("hello-main\n");
});

test("ssh -J reaches an environment from behind a stock sshd", async () => {
  const ada = service().as("ada");
  await using jump = await openSshd(join(service().folder, "jump"), [ada]);
  const ended = await ada.ssh(["-J", `root@127.0.0.1:${jump.port}`, MAIN, "hostname"]);
  expect(ended).toMatchObject({ exitCode: 0, stdout: "hello-main\n" });
});

test.for([
  { host: "10.0.0.1", why: '"10.0.0.1" is not of this environment' },
  { host: "example.org", why: '"example.org" is not of this environment' },
  { host: "169.254.169.254", why: '"169.254.169.254" is not of this environment' },
  { host: "127.1", why: '"127.1" is not of this environment' },
])("ssh -W to $host is refused with the reason", async ({ host, why }) => {
  const ended = await service()
    .as("ada")
    .ssh(["-W", `${host}:22`, MAIN]);
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain(`open failed: administratively prohibited: ${why}`);
  expect(ended.stderr).toContain("what can be reached: localhost, 127.0.0.1, ::1, hello-main");
});

test("ssh -R on an address that the environment has not is refused, with the reason for those who ask", async () => {
  const args = ["-v", "-N", "-o", "ExitOnForwardFailure=yes", "-R", "10.0.0.1:4200:localhost:1", MAIN];
  const ended = await service().as("ada").ssh(args);
  expect(ended.exitCode).toBe(255);
  expect(ended.stderr).toContain("remote port forwarding failed for listen port 4200");
  expect(ended.stderr).toContain('slipway: the environment has no address "10.0.0.1" to listen on');
});

test("ssh -L to a closed port inside says that nobody listens there", async () => {
  const ended = await service().as("ada").ssh(["-W", "localhost:4999", MAIN]);
  expect(ended.stderr).toContain("open failed: connect failed: Connection refused");
});

/** A command line that has bash read it, whatever the login shell is. */
function asBash(line: string): string {
  return `bash -c '${line}'`;
}

/** A server here that sends a text at once, and remembers what it hears. */
async function serveHere(text: string, path?: string) {
  let heard = "";
  const server = createServer((socket) => {
    socket.on("data", (chunk) => (heard += chunk.toString()));
    socket.on("error", () => {});
    socket.end(text);
  });
  const port = path === undefined ? await freePort() : 0;
  await new Promise<void>((resolve) =>
    server.listen(path === undefined ? { port, host: "127.0.0.1" } : { path }, resolve),
  );
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { port, path: path ?? "", heard: () => heard, [Symbol.asyncDispose]: close };
}
