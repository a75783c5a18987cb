/**
 * Environments over a root file system that is not the machine's: `sandbox.root`.
 *
 * @module
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { whyNoService } from "../harness/needs.ts";
import { openOrdinaryUser, type OrdinaryUser } from "../harness/ordinary-user.ts";
import { makeRootFileSystem, OS_RELEASE } from "../harness/root-file-system.ts";
import { openTestService, type TestService } from "../harness/service.ts";
import { sshOnTerminal } from "../harness/terminal.ts";

const lacks = whyNoService();
const MAIN = "hello-main@slipway";

let root = "";

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-root-"));
  if (lacks === undefined) makeRootFileSystem(root);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeEach((ctx) => {
  if (lacks !== undefined) ctx.skip(lacks);
});

/** Every name in it with what changes when it is written to. */
function listAll(): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((name) => {
      const { mode, size, mtimeMs, uid, nlink } = lstatSync(join(root, name));
      return [name, mode, size, mtimeMs, uid, nlink].join(" ");
    })
    .sort();
}

describe.each(["root", "an ordinary user"])("of a service that is %s", (who) => {
  let user: OrdinaryUser | undefined;
  let service: TestService;
  let before: readonly string[] = [];

  beforeAll(async () => {
    if (lacks !== undefined) return;
    before = listAll();
    user = who === "root" ? undefined : openOrdinaryUser();
    const as = user === undefined ? {} : { user };
    service = await openTestService({ root, ...as, repositories: { hello: { definition: null } } });
  });

  afterAll(async () => {
    if (lacks !== undefined) return;
    try {
      await service[Symbol.asyncDispose]();
    } finally {
      user?.[Symbol.dispose]();
    }
  });

  test("the system inside is that of the root, and none of the machine's", async () => {
    const { ssh } = service.as("ada");
    const seen = await ssh([
      MAIN,
      "cat /etc/os-release; ls /usr/bin; ls -A /etc/ssh; id -un; pwd; git log -1 --format=%s",
    ]);
    expect(seen).toMatchObject({ exitCode: 0 });
    const names = readdirSync(join(root, "usr/bin"));
    const rest = ["dev", "/workspace/hello", "A page and the service that shows it", ""];
    expect(seen.stdout).toBe([OS_RELEASE.trim(), ...names, ...rest].join("\n"));
    const accounts = await ssh([MAIN, "cat /etc/passwd"]);
    expect(accounts.stdout).toMatch(
      /^root:x:0:0:.*\nsshd:x:101:.*\ndev:\*:\d+:\d+::\/home\/dev:\/opt\/slipway\/shell\n$/,
    );
  });

  test("terminals, SFTP, input and exit codes work there", async () => {
    const ada = service.as("ada");
    const terminal = sshOnTerminal(ada, [MAIN]);
    await terminal.untilOutput(/\$ $/);
    terminal.type("cd /; echo $PWD'$'; ls -d /dev/pts/[0-9]; exit 7\r");
    await terminal.untilOutput(/\n\/\$\r\n\/dev\/pts\/0\r\n/);
    expect((await terminal.ended).exitCode).toBe(7);
    const listed = await ada.sftp("hello-main", ["mkdir made", "ls -1"]);
    expect([listed.exitCode, listed.stdout]).toEqual([0, expect.stringContaining("\nmade\n")]);
    expect(await ada.ssh([MAIN, "cat; exit 3"], { input: "through" })).toMatchObject({
      exitCode: 3,
      stdout: "through",
    });
  });

  test("nothing that is written inside reaches the root", async () => {
    const { ssh } = service.as("ada");
    const { stdout } = await ssh([
      MAIN,
      "for name in /etc/new /usr/new /usr/bin/cat /new; do echo x 2>/dev/null >>$name; done; cat /etc/new",
    ]);
    // Of root the system's folders are; an ordinary user has them all, in the environment's own layer.
    expect(stdout).toBe(who === "root" ? "" : "x\n");
    expect(listAll()).toEqual(before);
    await service.as("ada").lobby("rm", "hello-main", "--force");
    expect(listAll()).toEqual(before);
  });
});

test.each([
  { without: "umount", lack: "lacks umount (Debian packages: mount)" },
  { without: "sshd", lack: "lacks /usr/sbin/sshd (Debian packages: openssh-server)" },
])("a root without $without is refused at the start, with the package that has it", async ({ without, lack }) => {
  // A bug of ours: umount, unshare and sh were not looked for, and every environment failed.
  const poor = join(root, "..", `${basename(root)}-poor`);
  makeRootFileSystem(poor, { without });
  await using removed = new AsyncDisposableStack();
  removed.defer(() => rmSync(poor, { recursive: true }));
  const opening = openTestService({ root: poor }).then((service) => removed.use(service));
  await expect(opening).rejects.toThrow(`the root file system ${poor} ${lack}`);
});

test("a root that is not there is refused at the start", async () => {
  await using removed = new AsyncDisposableStack();
  const opening = openTestService({ root: "/no/such/root" }).then((service) => removed.use(service));
  await expect(opening).rejects.toThrow("the root file system /no/such/root is not there");
});
