/**
 * How namespaces are made, entered, and all privileges dropped: as root with a user number for each environment, or as
 * an ordinary user whose own number is the only one there is. Pure: words for programs of util-linux.
 *
 * @module
 */

/** Who this service is on its machine. */
export type Identity =
  { readonly mode: "root" } | { readonly mode: "user"; readonly uid: number; readonly gid: number };

/**
 * `unshare` up to the program to run as first process of new namespaces. The one of control groups is made later, by
 * `setup.sh`: it takes the groups its first process is in by then for the top of all.
 */
export function unshareWords(identity: Identity): string[] {
  const user = identity.mode === "root" ? [] : ["--user", "--map-root-user"];
  return [
    "unshare",
    ...user,
    "--mount",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--propagation",
    "private",
    "--fork",
    "--",
  ];
}

/** `nsenter` up to the program to run in the namespaces that process `pid` holds. */
export function enterWords(identity: Identity, pid: number): string[] {
  return ["nsenter", "--target", String(pid), ...namespaceWords(identity)];
}

/** The same for a process that is there before the namespaces: it reads the holder's `pid` as a line of its input. */
export function enterToldWords(identity: Identity): string[] {
  const enter = 'read -r holder || exit 0; exec nsenter --target "$holder" "$@"';
  return ["sh", "-c", enter, "sh", ...namespaceWords(identity)];
}

function namespaceWords(identity: Identity): string[] {
  const user = identity.mode === "root" ? [] : ["--user", "--preserve-credentials"];
  return [...user, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"];
}

const NO_PRIVILEGES = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"];

/**
 * The same but for what mapping a user number takes: since Linux 5.12 only who may set file capabilities may map the
 * number 0 of the namespace above, which an ordinary user has there. user_namespaces(7)
 */
const ONLY_MAPPING = ["--no-new-privs", "--bounding-set=-all,+setfcap", "--inh-caps=-all", "--"];

/**
 * Words before the program that holds the namespaces. Its user namespace is the one that later sessions join first, so
 * an ordinary user's keeps the outer one, and gives up the capabilities in it.
 */
export function holderWords(identity: Identity, uid: number): string[] {
  return identity.mode === "root" ? dropTo(uid) : ["setpriv", ...ONLY_MAPPING];
}

/**
 * Words before any other program inside. An ordinary user's gets a user namespace of its own, where its number is what it
 * is outside; the capabilities it has there for an instant are what it takes to give them up for good.
 */
export function dropWords(identity: Identity, uid: number): string[] {
  if (identity.mode === "root") return dropTo(uid);
  const become = [
    "unshare",
    "--user",
    `--map-user=${identity.uid}`,
    `--map-group=${identity.gid}`,
    "--keep-caps",
    "--",
  ];
  return [...become, "setpriv", "--ambient-caps=-all", ...NO_PRIVILEGES];
}

/** Words by which the holder starts programs of the environment: a root's has nothing left to drop. */
export function becomeWords(identity: Identity): string[] {
  return identity.mode === "root" ? [] : dropWords(identity, identity.uid);
}

function dropTo(uid: number): string[] {
  return ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups", ...NO_PRIVILEGES];
}
