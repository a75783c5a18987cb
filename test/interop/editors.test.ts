/**
 * How editors come in: VS Code Remote-SSH with the OpenSSH client, its relatives and JetBrains with libraries of their own
 * (those in `programs/`).
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "../harness/free-port.ts";
import type { Running } from "../harness/program.ts";
import { endFirst, endLast, readCounts, socksDialer } from "./half-close.ts";
import { until } from "../harness/wait.ts";
import { whyNotThere } from "./place.ts";
import { useService } from "./use-service.ts";

const service = useService({ repositories: { hello: { branches: ["ide"] } } });
const LOGIN = "hello-ide@slipway";
const SERVER = readFileSync(join(import.meta.dirname, "programs/half-close-server.mjs"), "utf8");

/** What Remote-SSH does: no terminal, `bash` as the command, a script on standard input, marks on standard output. */
const SCRIPT = `
unset TMOUT
echo "b7f2: running"
uname -m >/dev/null || exit 1
DATA="$HOME/.vscode-server"
mkdir -p "$DATA"
if ! kill -0 "$(cat "$DATA/pid" 2>/dev/null)" 2>/dev/null; then
  cat >"$DATA/server.mjs" <<'SERVER'
${SERVER}
SERVER
  rm -f "$DATA/log"
  nohup node "$DATA/server.mjs" 4700 >"$DATA/log" 2>&1 </dev/null &
  echo $! >"$DATA/pid"
  echo "b7f2: started"
else
  echo "b7f2: found"
fi
for i in $(seq 200); do grep -q listening "$DATA/log" && break; sleep 0.02; done
echo "b7f2: start"
echo "listeningOn==4700=="
echo "pid==$(cat "$DATA/pid")=="
echo "b7f2: end"
`;

/** Starts `ssh -T -D` and sends the script, as the extension does; its input stays open. */
async function connect(socksPort: number): Promise<{ ssh: Running; said: string; pid: string }> {
  const ssh = service()
    .as("ada")
    .startSsh(["-T", "-D", `127.0.0.1:${socksPort}`, LOGIN, "bash"]);
  ssh.stdin.write(SCRIPT);
  await ssh.untilOutput(/b7f2: end\n/);
  const said = ssh.stdout();
  return { ssh, said, pid: /pid==(\d+)==/.exec(said)?.[1] ?? "" };
}

test("VS Code Remote-SSH starts its server through a cold start, uses 64 connections, and finds it again", async (ctx) => {
  const lacks = whyNotThere("node");
  if (lacks !== undefined) ctx.skip(lacks);
  const port = await freePort();
  const dial = socksDialer(port, "127.0.0.1", 4700);
  const first = await connect(port);
  // Nothing but what the script says: a greeting on standard output would end the extension.
  expect(first.said).toMatch(
    /^b7f2: running\nb7f2: started\nb7f2: start\nlisteningOn==4700==\npid==\d+==\nb7f2: end\n$/,
  );
  expect(first.ssh.stderr()).toContain("slipway: checking out ide");
  await Promise.all(Array.from({ length: 64 }, () => endFirst(dial, 100_000)));
  await Promise.all(Array.from({ length: 64 }, () => endLast(dial, 50_000)));
  const seen = await until("all ends inside", async () => {
    const counts = await readCounts(dial);
    return counts.length === 64 && counts;
  });
  expect(new Set(seen)).toEqual(new Set([50_000]));
  // The laptop goes to sleep: no word of farewell.
  first.ssh.kill("SIGKILL");
  await first.ssh.ended;
  const second = await connect(port);
  expect(second.said).toContain("b7f2: found\n");
  expect(second.pid).toBe(first.pid);
  expect(await readCounts(dial)).toHaveLength(64);
  second.ssh.stdin.end();
  expect((await second.ssh.ended).exitCode).toBe(0);
});

test("VS Code Remote-SSH finds what its server needs: a home to write to, tar, a downloader, a shell", async (ctx) => {
  const lacks = whyNotThere("getconf");
  if (lacks !== undefined) ctx.skip(lacks);
  const { ssh } = service().as("ada");
  const needs = `cd && touch .probe && rm .probe && command -v tar && { command -v curl || command -v wget; } && command -v bash && getconf GNU_LIBC_VERSION && test -w "\${TMPDIR:-/tmp}"`;
  expect(await ssh([LOGIN, needs])).toMatchObject({ exitCode: 0 });
});

test("open-remote-ssh pipes a script through base64 and reads its output while it runs", async () => {
  const script = Buffer.from("echo first; read line; echo got:$line; exit 4").toString("base64");
  const running = service()
    .as("ada")
    .startSsh(["-T", LOGIN, `echo ${script} | base64 -d >/tmp/run && bash -l /tmp/run`]);
  await running.untilOutput(/^first\n$/);
  running.stdin.write("typed later\n");
  await running.untilOutput(/^first\ngot:typed later\n$/);
  expect((await running.ended).exitCode).toBe(4);
});

test("JetBrains Gateway puts its backend by SFTP, unpacks and starts it, and leaves it running", async (ctx) => {
  const lacks = whyNotThere("/bin/sh");
  if (lacks !== undefined) ctx.skip(lacks);
  const { sftp, ssh, folder, run } = service().as("ada");
  const archive = join(folder, "backend.tar.gz");
  const packed = await run([
    "sh",
    "-c",
    `mkdir -p ${folder}/backend && printf '#!/bin/sh\\nexec sleep 1000\\n' >${folder}/backend/start && chmod +x ${folder}/backend/start && head -c 3000000 /dev/urandom >${folder}/backend/data && tar -C ${folder} -czf ${archive} backend`,
  ]);
  expect(packed.exitCode).toBe(0);
  expect((await sftp("hello-ide", ["-mkdir .cache", `put ${archive} /tmp/backend.tar.gz`])).exitCode).toBe(0);
  // Whatever is not out of the terminal's session when that ends goes with it.
  const start = `mkdir -p ~/.cache/JetBrains && tar -C ~/.cache/JetBrains -xzf /tmp/backend.tar.gz &&
    (setsid ~/.cache/JetBrains/backend/start </dev/null >/dev/null 2>&1 &
    until grep -q ^sleep /proc/$!/cmdline; do sleep 0.02; done; echo $!)`;
  const started = await ssh(["-tt", LOGIN, start]);
  expect(started.exitCode).toBe(0);
  expect(await ssh([LOGIN, `kill -0 ${Number(started.stdout)}`])).toMatchObject({ exitCode: 0 });
});
