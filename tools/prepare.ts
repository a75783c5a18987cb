/**
 * Sees to it that the machine has the Debian packages that running (`--for start`), testing (`--for test`), a cluster for
 * tests (`cluster`) or building the programs of one (`cluster-build`) needs.
 *
 * Called by the npm scripts before anything else of ours, and by `test/cluster/` when a cluster is asked for. As root it installs what is missing; otherwise, or with
 * `SLIPWAY_NO_APT=1`, it prints the one command that would. Missing packages stop a start (exit code 1); tests go on
 * and skip. It reads nothing but names: whether the machine lets us use namespaces is the runtime's to say.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, globSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";

/** A Debian package, and how to find what it brings on a machine without dpkg: a program, a file or a Python module. */
interface Need {
  readonly package: string;
  readonly program?: string;
  /** A path, or a pattern of one. */
  readonly file?: string;
  readonly python?: string;
  /** Others' packages bring the program as well and do not go together with this one. */
  readonly isReplaceable?: boolean;
}

const FOR_START: readonly Need[] = [
  { package: "git", program: "git" },
  { package: "iproute2", program: "ip" },
  { package: "keyutils", program: "keyctl" },
  { package: "nftables", program: "nft" },
  { package: "openssh-client", program: "ssh" },
  { package: "openssh-server", program: "sshd" },
  { package: "openssh-sftp-server", file: "/usr/lib/openssh/sftp-server" },
  { package: "procps", program: "ps" },
  { package: "rsync", program: "rsync" },
  { package: "util-linux", program: "unshare" },
];

/** The clients that the interop tests drive, and what they are driven with. */
const FOR_TEST: readonly Need[] = [
  { package: "ansible-core", program: "ansible" },
  { package: "curl", program: "curl" },
  { package: "dropbear-bin", program: "dbclient" },
  { package: "gcc", program: "gcc" },
  { package: "lftp", program: "lftp" },
  { package: "libc6-dev", file: "/usr/include/stdio.h" },
  { package: "libssh-dev", file: "/usr/include/libssh/libssh.h" },
  { package: "netcat-openbsd", program: "nc" },
  { package: "postgresql", file: "/usr/lib/postgresql/*/bin/postgres" },
  { package: "putty-tools", program: "plink" },
  { package: "python3-asyncssh", python: "asyncssh" },
  { package: "python3-paramiko", python: "paramiko" },
  { package: "sshfs", program: "sshfs" },
  { package: "tmux", program: "tmux" },
];

/** What a cluster for tests runs on: `test/cluster/`. */
const FOR_CLUSTER: readonly Need[] = [
  { package: "busybox-static", program: "busybox" },
  { package: "conntrack", program: "conntrack" },
  { package: "containerd", program: "containerd", isReplaceable: true },
  { package: "containernetworking-plugins", file: "/usr/lib/cni/ptp" },
  { package: "dnsmasq-base", program: "dnsmasq" },
  { package: "etcd-server", program: "etcd" },
  { package: "ethtool", program: "ethtool" },
  { package: "iproute2", program: "ip" },
  { package: "ipset", program: "ipset" },
  { package: "iptables", program: "iptables" },
  { package: "kubernetes-client", program: "kubectl", isReplaceable: true },
  { package: "mmdebstrap", program: "mmdebstrap" },
  { package: "nftables", program: "nft" },
  { package: "openssl", program: "openssl" },
  { package: "runc", program: "runc", isReplaceable: true },
  { package: "socat", program: "socat" },
];

/** What Debian's source of Kubernetes 1.20 is built with. A newer Go does not build it. */
const FOR_CLUSTER_BUILD: readonly Need[] = [
  { package: "gcc", program: "gcc" },
  { package: "golang-1.19-go", file: "/usr/lib/go-1.19/bin/go" },
  { package: "jq", program: "jq" },
  { package: "libc6-dev", file: "/usr/include/stdio.h" },
  { package: "make", program: "make" },
  { package: "rsync", program: "rsync" },
];

/** Programs of packages that start a service of their own when they are installed. */
const SERVICES: Readonly<Record<string, string>> = { containerd: "containerd", "etcd-server": "etcd" };

export type Purpose = "start" | "test" | "cluster" | "cluster-build";

/** Names the packages of `purpose`. */
export function packagesFor(purpose: Purpose): string[] {
  return needsOf(purpose).map((need) => need.package);
}

function needsOf(purpose: Purpose): readonly Need[] {
  switch (purpose) {
    case "start":
      return FOR_START;
    case "test":
      return [...FOR_START, ...FOR_TEST];
    case "cluster":
      return FOR_CLUSTER;
    case "cluster-build":
      return FOR_CLUSTER_BUILD;
  }
}

/** What comes of it when packages are missing, and the exit code for it. */
const OUTCOMES: Readonly<Record<Purpose, { readonly text: string; readonly exitCode: 0 | 1 }>> = {
  start: { text: "Slipway cannot start without them.", exitCode: 1 },
  test: { text: "EVERY TEST THAT NEEDS ONE OF THEM WILL BE SKIPPED.", exitCode: 0 },
  cluster: { text: "The cluster cannot run without them.", exitCode: 1 },
  "cluster-build": { text: "Kubernetes cannot be built without them.", exitCode: 1 },
};

/** What can be done about missing packages on this machine. */
export interface Means {
  readonly isRoot: boolean;
  readonly hasApt: boolean;
  /** `SLIPWAY_NO_APT=1`. */
  readonly mayNotInstall: boolean;
}

/** What to do about what is missing. */
export type Plan =
  | { readonly do: "nothing" }
  | { readonly do: "install"; readonly packages: readonly string[] }
  | { readonly do: "tell"; readonly text: string; readonly exitCode: 0 | 1 };

/** Decides. Pure: touches nothing. */
export function planOf(purpose: Purpose, missing: readonly string[], means: Means): Plan {
  if (missing.length === 0) return { do: "nothing" };
  if (means.isRoot && means.hasApt && !means.mayNotInstall) return { do: "install", packages: missing };
  return tellMissing(purpose, missing, means.hasApt);
}

function tellMissing(purpose: Purpose, missing: readonly string[], hasApt: boolean): Plan & { do: "tell" } {
  const remedy = hasApt
    ? `  sudo apt-get install -y --no-install-recommends ${missing.join(" ")}`
    : "  Install what your system calls these Debian packages.";
  const outcome = OUTCOMES[purpose];
  const text = `slipway: this machine lacks ${missing.join(", ")}.\n${outcome.text} To have them:\n${remedy}\n`;
  return { do: "tell", text, exitCode: outcome.exitCode };
}

/** Names the packages of `purpose` that this machine lacks. */
export function missingFor(purpose: Purpose): string[] {
  const needs = needsOf(purpose).filter((need) => need.isReplaceable !== true || !isHere(need));
  const names = needs.map((need) => need.package);
  const asked = spawnSync("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...names], {
    encoding: "utf8",
  });
  if (asked.error === undefined) {
    const installed = new Set(asked.stdout.split("\n"));
    return names.filter((name) => !installed.has(`${name} installed`));
  }
  return needs.filter((need) => !isHere(need)).map((need) => need.package);
}

function isHere(need: Need): boolean {
  if (need.file !== undefined) return globSync(need.file).length > 0;
  if (need.python !== undefined) return spawnSync("python3", ["-c", `import ${need.python}`]).status === 0;
  return need.program !== undefined && hasProgram(need.program);
}

function hasProgram(program: string): boolean {
  // The sbin folders are not on an ordinary user's path.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Keeps Debian from making and starting a database server when postgresql is installed for us: tests start their own.
 * pg_createcluster(1), /etc/postgresql-common/createcluster.conf.
 */
function keepClusterOff(): void {
  mkdirSync("/etc/postgresql-common/createcluster.d", { recursive: true });
  writeFileSync(
    "/etc/postgresql-common/createcluster.d/slipway.conf",
    "# Made when Slipway installed postgresql for its tests. Remove to have a cluster made by the next version.\n" +
      "create_main_cluster = false\n",
  );
}

/**
 * Keeps Debian's own sshd from starting when openssh-server is installed for us: nobody asked for a login on port 22.
 * Its service and its init script look for this file (ConditionPathExists in ssh.service); `sshd -i` does not.
 */
function keepServiceOff(): void {
  mkdirSync("/etc/ssh", { recursive: true });
  writeFileSync(
    "/etc/ssh/sshd_not_to_be_run",
    "Made when Slipway installed openssh-server for its own use. Remove to run sshd.\n",
  );
}

/** Keeps a package's own service from starting, which `systemctl unmask` undoes: systemd.unit(5). */
function keepUnitOff(unit: string): void {
  if (!existsSync("/etc/systemd/system") || existsSync(`/etc/systemd/system/${unit}.service`)) return;
  symlinkSync("/dev/null", `/etc/systemd/system/${unit}.service`);
}

/** Installs with apt-get, refreshing its lists only if that fails. Returns apt-get's output on failure. */
function installPackages(packages: readonly string[]): string | undefined {
  const apt = (...args: string[]) => {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    return spawnSync("apt-get", ["-o", "DPkg::Lock::Timeout=60", ...args], { encoding: "utf8", env });
  };
  const install = ["install", "-y", "--no-install-recommends", ...packages];
  if (packages.includes("openssh-server")) keepServiceOff();
  if (packages.includes("postgresql")) keepClusterOff();
  for (const [name, unit] of Object.entries(SERVICES)) if (packages.includes(name)) keepUnitOff(unit);
  if (apt(...install).status === 0) return undefined;
  const updated = apt("update");
  const second = apt(...install);
  return second.status === 0 ? undefined : [updated, second].map((run) => run.stdout + run.stderr).join("");
}

/** Has what `purpose` needs installed, or says what is missing. Returns the exit code. */
export function prepare(purpose: Purpose): number {
  const hasApt = hasProgram("apt-get");
  const means = { isRoot: process.getuid?.() === 0, hasApt, mayNotInstall: process.env["SLIPWAY_NO_APT"] === "1" };
  const plan = planOf(purpose, missingFor(purpose), means);
  if (plan.do === "nothing") return 0;
  if (plan.do === "tell") {
    process.stderr.write(plan.text);
    return plan.exitCode;
  }
  const beganAt = Date.now();
  process.stderr.write(`slipway: installing ${plan.packages.join(", ")} … `);
  const complaint = installPackages(plan.packages);
  if (complaint === undefined) {
    process.stderr.write(`${((Date.now() - beganAt) / 1000).toFixed(1)} s\n`);
    return 0;
  }
  const told = tellMissing(purpose, missingFor(purpose), hasApt);
  process.stderr.write(`failed\n${complaint}\n${told.text}`);
  return told.exitCode;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { for: { type: "string" } } });
  if (values.for !== "start" && values.for !== "test") throw new Error("Usage: tools/prepare.ts --for start|test");
  process.exitCode = prepare(values.for);
}
