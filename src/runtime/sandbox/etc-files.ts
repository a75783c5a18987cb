/**
 * The files of `/etc` that an environment has of its own, over those of its root file system: who its user is, what it
 * is called, whom it asks for names. Pure: texts in, texts out; `skeleton.ts` writes them.
 *
 * @module
 */
import { makeGitConfig } from "../git-config.ts";
import { INSIDE } from "./layout.ts";

export interface EtcFacts {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  readonly hostname: string;
  readonly author: { readonly name: string; readonly email: string };
  /** For whom git asks the service for credentials. */
  readonly credentialHost?: string;
  /** Random: 32 hexadecimal digits, the same for the life of the environment. */
  readonly machineId: string;
  /** Addresses of name servers that can be reached from inside. */
  readonly nameservers: readonly string[];
  /** Whether terminals belong to the group `tty`. Without, there is none of that name: sshd would insist on it. */
  readonly hasTtyGroup: boolean;
  /** Texts of the root file system's own files; "" where it has none. */
  readonly own: { readonly passwd: string; readonly group: string; readonly gitconfig: string };
}

/** Path below `/etc` → text. */
export type EtcFiles = Readonly<Record<string, string>>;

/** Program that `sshd` starts as the user's shell: it goes to the workspace folder and becomes the real one. */
const SHELL = `${INSIDE}/shell`;

/** Makes all of them. */
export function makeEtcFiles(facts: EtcFacts): EtcFiles {
  return {
    passwd: makePasswd(facts),
    group: makeGroup(facts),
    // Those of the machine are secret, and nobody signs in by password here.
    shadow: "",
    gshadow: "",
    "shadow-": "",
    "gshadow-": "",
    subuid: "",
    subgid: "",
    hostname: `${facts.hostname}\n`,
    hosts: `127.0.0.1\tlocalhost\n127.0.1.1\t${facts.hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n`,
    "resolv.conf": facts.nameservers.map((address) => `nameserver ${address}\n`).join(""),
    "machine-id": `${facts.machineId}\n`,
    gitconfig: addGitConfig(facts),
    // The machine's variables, and its rules on who may call its sshd, are not for the environment's.
    environment: "",
    "hosts.allow": "",
    "hosts.deny": "",
    // /etc/profile of Debian sets PATH anew in each login shell.
    "profile.d/zz-slipway.sh": '[ -z "${SLIPWAY_PATH-}" ] || PATH=$SLIPWAY_PATH\n',
  };
}

/** Says whether a POSIX account can be called this: useradd(8) on Debian. */
export function isUserName(name: string): boolean {
  return /^[a-z_][a-z0-9_-]{0,31}$/.test(name);
}

/** Says whether an account or group number is the system's own: Debian policy 9.2.2. */
function isSystem(id: string | undefined): boolean {
  return Number(id) < 1000 || Number(id) === 65_534;
}

function makePasswd({ own, user, uid, gid }: EtcFacts): string {
  const system = records(own.passwd).filter(([name, , id]) => isSystem(id) && name !== user && Number(id) !== uid);
  return [...system.map((fields) => fields.join(":")), `${user}:*:${uid}:${gid}::/home/${user}:${SHELL}`, ""].join(
    "\n",
  );
}

/** Groups of the system without their members: those are people of the machine. */
function makeGroup({ own, user, gid, hasTtyGroup }: EtcFacts): string {
  const system = records(own.group)
    .filter(([name, , id]) => isSystem(id) && name !== user && Number(id) !== gid)
    .filter(([name]) => hasTtyGroup || name !== "tty");
  return [...system.map(([name, , id]) => `${name ?? ""}:x:${id ?? ""}:`), `${user}:x:${gid}:`, ""].join("\n");
}

function records(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 3 && /^[0-9]+$/.test(fields[2] ?? ""));
}

function addGitConfig(facts: EtcFacts): string {
  const { gitconfig } = facts.own;
  const separator = gitconfig === "" || gitconfig.endsWith("\n") ? "" : "\n";
  return gitconfig + separator + makeGitConfig(facts, `${INSIDE}/git-credential`);
}

/**
 * Says whom an environment asks for names: the servers of `resolv.conf`, or those behind a stub that listens on the
 * machine's own loopback, where nothing of an environment can reach it.
 *
 * @param behindStub text of systemd-resolved's list of its upstream servers, "" when it does not run
 */
export function findNameservers(resolvConf: string, behindStub: string): string[] {
  const listed = [...resolvConf.matchAll(/^nameserver[ \t]+(\S+)/gm)].map((match) => match[1] ?? "");
  const reachable = listed.filter((address) => !/^(127\.|::1$)/.test(address));
  if (reachable.length > 0 || behindStub === "") return reachable;
  return findNameservers(behindStub, "");
}
