/**
 * The exec client and the talk with the toolbox's programs, in pods of each kind of image, as an unprivileged user with a
 * read-only root file system.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { checkOut, switchBranch } from "../../src/runtime/kubernetes/inside/checkout.ts";
import { feed } from "../../src/runtime/kubernetes/inside/feed.ts";
import type { StartProgram } from "../../src/runtime/kubernetes/inside/line.ts";
import { putFile } from "../../src/runtime/kubernetes/inside/put-file.ts";
import { runInside } from "../../src/runtime/kubernetes/inside/run-inside.ts";
import { lookForWork } from "../../src/runtime/kubernetes/inside/unsaved.ts";
import { type KubernetesObject, kinds } from "../../src/wire/kubernetes.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";
import { mustRun } from "../harness/program.ts";
import { openApi } from "./use-cluster.ts";

const space = `exec-test-${randomBytes(3).toString("hex")}`;
const folder = mkdtempSync(join(tmpdir(), "slipway-exec-"));
const mirrorPath = join(folder, "hello.git");
const soon = () => AbortSignal.timeout(60_000);
const BUSYBOX = "/opt/slipway/bin/busybox";
const IMAGES = { debian: "sample", alpine: "sample-alpine-like", distroless: "sample-distroless" };
let api: ClusterApi;

/** A pod as `inside.ts` describes it, without the rest of an environment. */
function makePod(name: string, image: string): KubernetesObject {
  const mount = (volume: string, mountPath: string, more = {}) => ({ name: volume, mountPath, ...more });
  const files = { workspace: "/workspace", home: "/home/ada", state: "/run/slipway-state" };
  const subPaths = Object.entries(files).map(([subPath, path]) => mount("files", path, { subPath }));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: space },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsUser: 12_345, runAsGroup: 12_345, fsGroup: 12_345, runAsNonRoot: true },
      initContainers: [
        {
          ...{ name: "slipway-toolbox", image: "slipway/toolbox:test", imagePullPolicy: "Never" },
          command: ["/opt/slipway/bin/fill", "/tools", "/files"],
          volumeMounts: [mount("tools", "/tools"), mount("files", "/files")],
        },
      ],
      containers: [
        {
          ...{ name: "main", image, imagePullPolicy: "Never", command: ["/opt/slipway/bin/init"] },
          env: [
            { name: "SLIPWAY_USER", value: "ada" },
            { name: "HOME", value: "/home/ada" },
          ],
          securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
          volumeMounts: [mount("tools", "/opt/slipway", { readOnly: true }), mount("run", "/run/slipway"), ...subPaths],
        },
      ],
      volumes: [
        { name: "tools", emptyDir: {} },
        { name: "files", emptyDir: {} },
        { name: "run", emptyDir: { medium: "Memory" } },
      ],
    },
  };
}

const execIn = (pod: string): StartProgram => {
  return async (argv, options = {}) => api.exec({ namespace: space, pod, container: "main", argv, ...options }, soon());
};

const git = (...words: string[]) => {
  const author = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
  return mustRun(["git", ...author, "--git-dir", mirrorPath, ...words]);
};

/** Commits one file with this text to a branch. */
async function commit(branch: string, text: string): Promise<void> {
  const from = await git("rev-parse", "--verify", "-q", `refs/heads/${branch}`).catch(() => "");
  const stream =
    `commit refs/heads/${branch}\ncommitter a <a@example.org> 1700000000 +0000\ndata 1\nx\n` +
    `${from === "" ? "" : `from ${from.trim()}\n`}M 100644 inline file\ndata ${text.length + 1}\n${text}\n\n`;
  await mustRun(["git", "--git-dir", mirrorPath, "fast-import", "--quiet"], { input: stream });
}

const sourceOf = (branch: string, fromBranch?: string) => ({
  ...{ repository: "hello", mirrorPath, originUrl: "https://forge.example.org/o/hello.git", branch },
  ...(fromBranch === undefined ? {} : { fromBranch }),
});

beforeAll(async () => {
  await mustRun(["git", "init", "-q", "--bare", "--initial-branch=main", mirrorPath]);
  await commit("main", "one");
  await commit("feature/x", "of x");
  await git("tag", "v1", "main");
  api = await openApi();
  await api.apply(kinds.namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: space } }, soon());
  for (const [name, image] of Object.entries(IMAGES)) {
    await api.apply(kinds.pod, makePod(name, `slipway/${image}:test`), soon());
  }
  const cluster = await sharedCluster();
  await cluster.kubectl("-n", space, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s");
});

afterAll(async () => {
  await api.remove({ of: kinds.namespace, name: space }, {}, soon());
  await api[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe.each(Object.keys(IMAGES))("in a pod of %s", (pod) => {
  const exec = execIn(pod);
  const sh = async (text: string) => runInside(exec, { text, output: "out", maxBytes: 65_536 }, soon());

  test("openExec() tells how a program ended, and one that never ran", async () => {
    for (const code of [0, 7, 255]) {
      const { stream, ended } = await exec([BUSYBOX, "sh", "-c", `exit ${code}`]);
      stream.resume();
      expect(await ended).toEqual({ type: "exited", exitCode: code });
    }
    const { stream, ended } = await exec(["/no/such/program"]);
    stream.resume();
    expect(await ended).toMatchObject({ type: "refused", reason: expect.stringContaining("no such file") as unknown });
  });

  test("runInside() has all that was said, and the exit code", async () => {
    expect(await sh("echo out; echo err >&2; exit 3")).toEqual({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
    const run = { text: "yes | head -c 3000000", output: "out", maxBytes: 5_000_000 } as const;
    expect((await runInside(exec, run, soon())).stdout.length).toBe(3_000_000);
    const log = await runInside(exec, { text: "echo noted; exit 4", output: "log", maxBytes: 0 }, soon());
    expect([log.exitCode, (await sh("cat /run/slipway-state/log")).stdout]).toEqual([4, "noted\n"]);
  });

  test("runInside() kills all of a command that it gives up", async () => {
    const stop = new AbortController();
    const run = runInside(exec, { text: "sleep 1999 & sleep 1999", output: "out", maxBytes: 0 }, stop.signal);
    const count = async () => {
      const { stdout } = await sh(`grep -l 1999 /proc/[0-9]*/cmdline 2>/dev/null | grep -c .`);
      return Number(stdout);
    };
    const base = 1; // grep itself
    await expect.poll(count, { timeout: 10_000 }).toBeGreaterThan(base + 1);
    stop.abort();
    await expect(run).rejects.toThrow(/aborted/);
    await expect.poll(count, { timeout: 10_000 }).toBeLessThanOrEqual(base);
  });

  test("putFile() and feed() carry bytes as they are", async () => {
    const bytes = randomBytes(300_000);
    await putFile(exec, { path: "/workspace/a b/put", mode: 0o640, bytes }, soon());
    const text = "head -c 300000 >/workspace/fed; echo taken; exit 5";
    const fed = await feed(exec, { text, source: Readable.from([bytes]) }, soon());
    expect(fed).toEqual({ stdout: "taken\n", exitCode: 5 });
    const look = "cmp '/workspace/a b/put' /workspace/fed && stat -c %a '/workspace/a b/put'; rm -r /workspace/*";
    expect((await sh(look)).stdout).toBe("640\n");
    const refused = putFile(exec, { path: "/proc/x", mode: 0o640, bytes: "" }, soon());
    await expect(refused).rejects.toThrow(/Cannot write \/proc\/x inside: .*cannot be written to/s);
  });

  test("checkOut() and switchBranch() leave what a clone has", async () => {
    const look = async () => {
      const path = "export PATH=/opt/slipway/bin:/opt/slipway/applets; cd /workspace/hello";
      const { stdout } = await sh(
        `${path}; git status -sb; cat file; git for-each-ref --format='%(refname)'; ls -A ..`,
      );
      return stdout.trim().split("\n");
    };
    const others = ["refs/remotes/origin/HEAD", "refs/remotes/origin/feature/x", "refs/remotes/origin/main"];
    await checkOut(exec, { source: sourceOf("main") }, soon());
    await checkOut(exec, { source: sourceOf("main") }, soon());
    const made = ["## main...origin/main", "one", "refs/heads/main", ...others, "refs/tags/v1", "hello"];
    expect(await look()).toEqual(made);
    await switchBranch(exec, { source: sourceOf("feature/x") }, soon());
    const switched = ["## feature/x...origin/feature/x", "of x", "refs/heads/feature/x", ...others];
    expect(await look()).toEqual([...switched, "refs/tags/v1", "hello"]);

    await commit("late", "late");
    await switchBranch(exec, { source: sourceOf("mine", "late") }, soon());
    await git("update-ref", "-d", "refs/heads/late");
    expect((await look()).slice(0, 4)).toEqual(["## mine", "late", "refs/heads/mine", "refs/remotes/origin/HEAD"]);
    const clean = { changedPaths: [], changedCount: 0, commits: [], commitCount: 0 };
    expect(await lookForWork(exec, "/workspace/hello", soon())).toEqual(clean);
    await sh("echo new >/workspace/hello/new");
    expect(await lookForWork(exec, "/workspace/hello", soon())).toMatchObject({ changedPaths: ["new"] });
    const originUrl = "https://git.example/of 'another/hello.git";
    for (const source of [sourceOf("main"), { ...sourceOf("main"), originUrl }]) {
      await switchBranch(exec, { source }, soon());
      const url = "/opt/slipway/bin/git -C /workspace/hello config --get-all remote.origin.url";
      expect((await sh(url)).stdout).toBe(`${source.originUrl}\n`);
    }
    await expect(checkOut(exec, { source: sourceOf("nope") }, soon())).rejects.toMatchObject({
      code: "repository.unreached",
    });
  });
});

test("exec() is refused in the server's words where there is no such container or pod", async () => {
  const asked = { namespace: space, pod: "debian", container: "gone", argv: ["x"] };
  await expect(api.exec(asked, soon())).rejects.toMatchObject({
    code: "cluster.refused",
    message: expect.stringContaining("container gone is not valid for pod debian") as unknown,
  });
  const absent = api.exec({ ...asked, pod: "absent" }, soon());
  await expect(absent).rejects.toThrow(/pods "absent" not found/);
});

test("a stream carries 1 GiB each way with bounded memory", async () => {
  const bytes = 2 ** 30;
  const exec = execIn("debian");
  const before = process.memoryUsage.rss();
  let peak = before;
  const out = await exec([BUSYBOX, "head", "-c", String(bytes), "/dev/zero"]);
  let got = 0;
  for await (const chunk of out.stream as AsyncIterable<Buffer>) {
    got += chunk.length;
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  expect([got, await out.ended]).toEqual([bytes, { type: "exited", exitCode: 0 }]);
  const counted = await exec([BUSYBOX, "sh", "-c", `head -c ${bytes} | wc -c`]);
  const chunk = Buffer.alloc(256 * 1_024);
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    if (!counted.stream.write(chunk)) await once(counted.stream, "drain");
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  const said = (await counted.stream.toArray()) as Buffer[];
  expect(Buffer.concat(said).toString()).toBe(`${bytes}\n`);
  expect(peak - before).toBeLessThan(150 * 2 ** 20);
});

test("a stream is held back where nobody reads, and is lost loudly when its pod is deleted", async () => {
  const exec = execIn("alpine");
  const before = process.memoryUsage.rss();
  const { stream, ended } = await exec([BUSYBOX, "yes"]);
  const idle = await exec([BUSYBOX, "cat"]);
  const failed = once(idle.stream, "error");
  idle.stream.resume();
  await new Promise((resolve) => setTimeout(resolve, 2_000)); // what would be buffered in that time is 100 MB and more
  expect(stream.readableLength).toBeLessThan(2 ** 20);
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 2 ** 20);
  await api.remove({ of: kinds.pod, namespace: space, name: "alpine" }, { graceSeconds: 0 }, soon());
  const end = await Promise.race([failed.then(() => "lost"), idle.ended.then(({ type }) => type)]);
  expect(["lost", "exited"]).toContain(end); // killed by its node, or cut off
  stream.destroy();
  expect(await ended).toMatchObject({ type: "lost" });
});
