/** What an environment can see and do beyond itself. Each test states one thing that must stay out of reach. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { NEVER, openTestSandbox } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";
import type { EnvironmentSpec } from "../runtime.ts";

const why = whyNoService();
const MiB = 1024 * 1024;

let sandbox: TestSandbox;
let hidden = "";
let a: EnvironmentSpec;
let b: EnvironmentSpec;

beforeAll(async () => {
  if (why !== undefined) return;
  hidden = mkdtempSync("/opt/slipway-test-");
  chmodSync(hidden, 0o755);
  writeFileSync(join(hidden, "secret"), "secret");
  sandbox = await openTestSandbox({ hiddenPaths: [hidden, "/opt/is-not-there"] });
  a = sandbox.makeSpec({ hostname: "host-a", limits: { memoryBytes: 256 * MiB, processCount: 60, cpuCount: 0.5 } });
  b = sandbox.makeSpec({ hostname: "host-b" });
  await sandbox.up(a);
  await sandbox.up(b);
});

afterAll(async () => {
  if (why !== undefined) return;
  await sandbox[Symbol.asyncDispose]();
  rmSync(hidden, { recursive: true, force: true });
});

beforeEach((ctx) => {
  if (why !== undefined) ctx.skip(why);
});

async function tell(spec: EnvironmentSpec, line: string): Promise<string> {
  const { stdout, stderr } = await sandbox.ssh(spec.id, [line]);
  return `${stdout}${stderr}`.trimEnd();
}

test("processes of the machine and of other environments are not seen, nor can they be signalled", async () => {
  await tell(b, "setsid sleep 6001 >/dev/null 2>&1 &");
  const names = (await tell(a, "cat /proc/[0-9]*/comm | sort -u")).split("\n");
  expect(names.filter((name) => !["bash", "cat", "sh", "sleep", "sort", "sshd"].includes(name))).toEqual([]);
  expect(await tell(a, "pgrep -f '^sleep 6001'; kill -0 $PPID && echo own; echo /proc/1/root/*")).toMatch(/^own/);
  const outside = await tell(a, `kill -0 ${process.pid}`);
  expect(outside).toContain("No such process");
});

test("a process inside has no privilege and can get none", async () => {
  const status = await tell(
    a,
    "grep -E '^(Cap|NoNewPrivs|Groups|Uid)' /proc/self/status; grep -E '^(Cap|NoNew|Uid)' /proc/1/status",
  );
  expect(status.match(/^Cap.*/gm)?.filter((line) => !line.endsWith("0000000000000000"))).toEqual([]);
  expect(status.match(/NoNewPrivs:\t1/g)).toHaveLength(2);
  expect(status.match(new RegExp(`Uid:(\t${a.uid}){4}`, "g"))).toHaveLength(2);
  expect(await tell(a, "mount -t tmpfs x /mnt; chroot / true; dmesg | head -1; hostname other; mknod x b 8 0")).toMatch(
    /(permission denied|must be superuser|not permitted)[^]*(not permitted)[^]*(not permitted)/i,
  );
  expect(await tell(a, "su -c id; echo $?")).not.toContain("uid=0");
});

test("settings of the machine in /proc are read-only, and what tells of it is empty", async () => {
  const folders = "/proc/bus /proc/fs /proc/irq /proc/sys";
  const options = await tell(a, `for at in ${folders}; do grep " $at " /proc/self/mounts || echo "no $at"; done`);
  expect(options.match(/^proc \S+ proc ro,nosuid,nodev/gm)).toHaveLength(4);
  const masked = "kcore keys key-users latency_stats timer_list sched_debug sysrq-trigger kmsg";
  expect(await tell(a, `cd /proc; cat ${masked} 2>/dev/null; ls -A acpi asound scsi 2>/dev/null | grep -v ':$'`)).toBe(
    "",
  );
});

test("a user namespace made inside leads no further", async () => {
  const said = await tell(
    a,
    "unshare --user --map-root-user --mount --pid --fork sh -c 'mount -t proc x /mnt && ls /mnt; umount /proc/keys; umount /etc/ssh; ls -A /etc/ssh' 2>&1",
  );
  expect(said).not.toMatch(/\bssh_host|cpuinfo\b/);
});

test("files of the machine are not seen: homes, temporary files, mounts, the state folder, hidden folders", async () => {
  const empty = "/mnt /media /srv /tmp /var/tmp /var/lib /var/log /var/cache /var/spool";
  expect(await tell(a, `ls -A ${empty} | grep -vE ':|^$'; ls -A /home; ls -A /sys /sys/fs`)).toBe(
    "dev\n/sys:\nfs\n\n/sys/fs:\ncgroup",
  );
  expect(await tell(a, "ls /root")).toContain("Permission denied");
  const top = (await tell(a, "ls /")).split("\n");
  const known =
    "bin dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys tmp usr var workspace";
  expect(top.filter((name) => !known.split(" ").includes(name))).toEqual([]);
  expect(await tell(a, `ls ${sandbox.stateDir} ${sandbox.folder}; ls -A ${hidden}`)).not.toContain("secret");
  expect(await tell(a, `cat ${hidden}/secret`)).toContain("No such file");
});

test("a folder that was to be hidden and is gone keeps no environment from starting", async () => {
  const spec = sandbox.makeSpec();
  rmSync(hidden, { recursive: true });
  await sandbox.up(spec);
  expect(await tell(spec, `ls -d ${hidden}`)).toContain("No such file");
});

test("secrets of the machine's /etc are not seen", async () => {
  expect(await tell(a, "cat /etc/shadow /etc/gshadow /etc/shadow- /etc/environment; ls -A /etc/ssh")).toBe("");
  const people = readFileSync("/etc/passwd", "utf8").match(/^[^:]+:[^:]*:(?:[1-9]\d{3,4}):/gm) ?? [];
  const inside = await tell(a, "cat /etc/passwd");
  for (const line of people.filter((one) => !one.includes(":65534:"))) expect(inside).not.toContain(line);
  expect(await tell(a, "cat /etc/machine-id")).not.toBe(await tell(b, "cat /etc/machine-id"));
});

test("variables of the service are not seen", async () => {
  const names = (await tell(a, "tr '\\0' '\\n' < /proc/1/environ; env"))
    .split("\n")
    .map((line) => line.split("=")[0] ?? "");
  const own = Object.keys(process.env).filter(
    (name) =>
      !["PATH", "HOME", "LANG", "USER", "LC_ALL", "PWD", "SHELL", "SHLVL", "_", "OLDPWD", "LOGNAME", "MAIL"].includes(
        name,
      ),
  );
  expect(names.filter((name) => own.includes(name))).toEqual([]);
});

test("files of another environment are not seen, nor its temporary ones", async () => {
  await tell(b, "echo secret | tee here ~/home /tmp/temporary /var/tmp/kept /dev/shm/shared > /run/user/$(id -u)/run");
  const said = await tell(a, "ls -A . ~ /tmp /var/tmp /dev/shm /run/user/* 2>&1");
  expect(said).not.toMatch(/here|temporary|kept|shared/);
  expect(
    await tell(a, `find / -xdev -uid ${b.uid} 2>/dev/null; find / -name here -not -path '/proc/*' 2>/dev/null`),
  ).toBe("");
});

test("the network is its own: neither the machine's loopback nor another environment's is reached", async () => {
  const server = createServer((socket) => socket.end("machine")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const listen = `import socket,time; s=socket.socket(); s.bind(("127.0.0.1",${port})); s.listen(); u=socket.socket(socket.AF_UNIX); u.bind("\\0slipway-test"); u.listen(); print("up",flush=True); time.sleep(60)`;
  const ssh = await sandbox.startSsh(b.id, [`/usr/bin/python3 -c '${listen}'`]);
  try {
    await ssh.untilOutput(/up/);
    expect(await tell(a, `exec 3<>/dev/tcp/127.0.0.1/${port}`)).toContain("Connection refused");
    expect(await tell(b, `exec 3<>/dev/tcp/127.0.0.1/${port} && echo yes`)).toBe("yes");
    expect(await tell(a, "grep -c slipway-test /proc/net/unix")).toBe("0");
    expect(await tell(a, "ls /sys/class/net 2>&1; cut -d: -f1 /proc/net/dev | tail -n +3")).toMatch(
      /No such file.*\n\s*lo$|^\s*lo\n.*No such file/,
    );
    const socket = connect(port, "127.0.0.1");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toBe("machine");
    socket.destroy();
  } finally {
    ssh.kill();
    server.close();
  }
});

test("System V memory, the host name and cgroups are its own", async () => {
  expect(await tell(b, "ipcmk -M 1024 >/dev/null; ipcs -m | grep -c 0x")).toBe("1");
  expect(await tell(a, "ipcs -m | grep -c 0x")).toBe("0");
  expect(await tell(a, "hostname; cat /etc/hostname; getent hosts host-a | tr -s ' '")).toBe(
    "host-a\nhost-a\n127.0.1.1 host-a",
  );
  expect(await tell(a, "grep -vE ':/$' /proc/self/cgroup")).toBe("");
});

test("settings of the kernel cannot be changed, and devices are the harmless ones", async () => {
  expect(await tell(a, "echo x > /proc/sys/kernel/hostname")).toMatch(/Read-only|Permission denied/);
  expect(
    await tell(a, "echo b > /proc/sysrq-trigger; head -c 1 /proc/kcore /proc/kmsg /proc/keys 2>&1 | wc -c"),
  ).not.toMatch(/^[1-9]\d{3}/);
  const devices = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split(" ");
  expect((await tell(a, "ls /dev")).split("\n")).toEqual(devices);
  expect(
    await tell(a, "echo x > /dev/null && head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; touch /dev/x"),
  ).toMatch(/^4\n4\n.*Read-only/);
});

test("the system's folders cannot be written to, and a change of one environment is not seen by another", async () => {
  for (const path of ["/usr/bin/x", "/etc/x", "/opt/x", "/x", "/opt/slipway/x", "/usr/local/bin/x"]) {
    expect(await tell(a, `touch ${path}`)).toMatch(/Permission denied|Read-only/);
  }
});

/** Forks until it may not, at most 100 times, and ends them all; a shell would wait and try again. */
const FORKS = `import os, signal, time
forked = []
try:
  while len(forked) < 100:
    child = os.fork()
    if child == 0: time.sleep(100)
    forked.append(child)
except BlockingIOError as error: print(error.strerror, "after", len(forked))
for child in forked:
  os.kill(child, signal.SIGKILL)
  os.waitpid(child, 0)`;

test("every process is within the limits, those of later connections too", async () => {
  const inGroup = (await tell(a, "cat /sys/fs/cgroup/pids/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null")).split(
    "\n",
  );
  expect(inGroup).toContain("1");
  expect(await tell(a, `/usr/bin/python3 -c '${FORKS}'`)).toMatch(/^Resource temporarily unavailable after \d{1,2}$/);
  const hog = `x = bytearray(400 * 1024 * 1024); print(len(x))`;
  expect(await tell(a, `/usr/bin/python3 -c '${hog}'; echo $?`)).toMatch(/^137\n/);
  expect(await tell(b, `/usr/bin/python3 -c '${hog}'`)).toBe(String(400 * MiB));
});

test("the limit on the processor holds", async () => {
  const spin = "import time; e = time.time() + 2\nwhile time.time() < e: pass\nprint(time.process_time())";
  const used = Number(await tell(a, `/usr/bin/python3 -c '${spin}'`));
  expect(used).toBeLessThan(1.5); // of 2 s, at half a processor
});

test("a variable of a definition is loaded by no program that has privileges", async () => {
  const spec = sandbox.makeSpec();
  const log = join(sandbox.folder, "preloaded");
  const env = {
    LD_PRELOAD: "/workspace/hello/evil.so",
    LD_AUDIT: "/tmp/evil.so",
    ENV: "/tmp/env",
    BASH_ENV: "/tmp/env",
    PATH: "/workspace/hello:/usr/bin:/bin",
  };
  await sandbox.up(spec, { containerEnv: env, run: "sleep 6002" });
  await sandbox.runtime.run(spec.id, { shell: "true" }, env, NEVER);
  const reach = await sandbox.runtime.connect(spec.id, { sessionId: "preload", env }, NEVER);
  await once(reach.stream, "readable");
  const seen = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const isRoot = /^Uid:\t0\t/m.test(readFileSync(`/proc/${name}/status`, "utf8"));
        return isRoot && readFileSync(`/proc/${name}/environ`, "latin1").includes("evil.so");
      } catch {
        return false;
      }
    });
  expect(seen).toEqual([]);
  await reach.end();
  rmSync(log, { force: true });
});

test("secrets of a session are in no argument that other users of the machine can read", async () => {
  const reach = await sandbox.runtime.connect(a.id, { sessionId: "secret", env: { TOKEN: "sesame-6003" } }, NEVER);
  await once(reach.stream, "readable");
  const { stdout } = await new Promise<{ stdout: string }>((resolve) => {
    const ps = spawn("ps", ["axww", "-o", "args"], { stdio: ["ignore", "pipe", "ignore"] });
    let said = "";
    ps.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    ps.on("close", () => resolve({ stdout: said }));
  });
  expect(stdout).toContain("nsenter");
  expect(stdout).not.toContain("sesame-6003");
  await reach.end();
});
