/**
 * Names of what is ours in the target container of an environment, which both the objects of a cluster and the programs
 * inside go by. What is done with them is told in `runtime/kubernetes/inside.ts`.
 *
 * @module
 */

/** The toolbox, read-only. */
export const INSIDE = "/opt/slipway";

/** For what the service and the scripts write while a pod lives; in memory, of the user's own. */
export const RUN = "/run/slipway";

/** The host key `host_ed25519` and `authorized_keys`: a secret's volume. */
export const KEYS = "/run/slipway-keys";

/** Holds the checkout as `/workspace/<repository>`: folder `workspace` of the volume claim. */
export const WORKSPACE = "/workspace";

/** What of ours outlives the pod: folder `state` of the volume claim. */
export const STATE = "/run/slipway-state";

export const INIT = `${INSIDE}/bin/init`;

/** Variables that the target container has beside those of its manifest. */
export const CONTAINER_ENV = {
  /** Name of the user inside. */
  user: "SLIPWAY_USER",
  workspaceFolder: "SLIPWAY_WORKSPACE",
} as const;

/** Names of volumes, containers and objects of ours; no manifest may have them. */
export const NAMES = {
  toolsVolume: "slipway-tools",
  runVolume: "slipway-run",
  keysVolume: "slipway-keys",
  filesVolume: "slipway-files",
  /** At `/tmp`. */
  temporaryVolume: "slipway-tmp",
  toolboxContainer: "slipway-toolbox",
  keysSecret: "slipway-keys",
  filesClaim: "slipway-files",
  serviceAccount: "slipway",
} as const;

/** Names in the secret that is mounted at `KEYS`; the public key is there for ourselves. */
export const KEY_FILES = {
  hostKey: "host_ed25519",
  publicHostKey: "host_ed25519.pub",
  authorizedKeys: "authorized_keys",
} as const;

/** The pod, and its container, of an environment that is one image alone. */
export const MAIN = "main";
