/**
 * The Pod Security Standards, as a table of controls: what no pod of an environment may have, whatever the server checks. A
 * server does so from 1.23 on, and only where the namespace is labelled.
 *
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ as of 1.34. Pods for Windows get no exemption.
 *
 * @module
 */
import type { PodSecurity } from "../../wire/cluster-settings.ts";
import { at, fieldsOf, isFields, listOf } from "./fields.ts";

/** What is wrong at one place of a pod's spec. */
export interface PodComplaint {
  readonly path: readonly (string | number)[];
  /** `needs …, is …`, with the control's name. */
  readonly message: string;
}

/** A place in a pod or a container, and what may stand there. `*` is each item of a list. */
interface Rule {
  readonly control: string;
  readonly level: PodSecurity;
  readonly scopes: readonly ("pod" | "container")[];
  readonly path: readonly string[];
  readonly may: (value: unknown) => boolean;
  /** What to write. */
  readonly needs: string;
}

const BASELINE_CAPABILITIES = [
  ...["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"],
  ...["SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"],
];

const SAFE_SYSCTLS = [
  "kernel.shm_rmid_forced",
  ...["ip_local_port_range", "ip_unprivileged_port_start", "tcp_syncookies", "ping_group_range"].map(ipv4),
  ...["ip_local_reserved_ports", "tcp_keepalive_time", "tcp_fin_timeout", "tcp_keepalive_intvl"].map(ipv4),
  ...["tcp_keepalive_probes", "tcp_rmem", "tcp_wmem"].map(ipv4),
];

const SAFE_VOLUMES = [
  ...["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"],
];

const SAFE_SELINUX_TYPES = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

function ipv4(name: string): string {
  return `net.ipv4.${name}`;
}

const BOTH = ["pod", "container"] as const;
const none = (value: unknown): boolean => value === "";
const oneOf = (allowed: readonly unknown[]) => (value: unknown) => allowed.includes(value);
const security = (name: string): readonly string[] => ["securityContext", name];

const baseline: readonly Rule[] = [
  ...["hostNetwork", "hostPID", "hostIPC"].map((name) =>
    rule("Host Namespaces", ["pod"], [name], oneOf([false]), "to be left out"),
  ),
  rule("HostProcess", BOTH, ["securityContext", "windowsOptions", "hostProcess"], oneOf([false]), "to be left out"),
  rule("Privileged Containers", ["container"], security("privileged"), oneOf([false]), "to be left out"),
  rule(
    "Capabilities",
    ["container"],
    ["securityContext", "capabilities", "add", "*"],
    oneOf(BASELINE_CAPABILITIES),
    `one of ${BASELINE_CAPABILITIES.join(", ")}`,
  ),
  rule(
    "HostPath Volumes",
    ["pod"],
    ["volumes", "*", "hostPath"],
    () => false,
    "another kind of volume, as emptyDir or persistentVolumeClaim",
  ),
  rule("Host Ports", ["container"], ["ports", "*", "hostPort"], oneOf([0]), "to be left out"),
  ...["livenessProbe", "readinessProbe", "startupProbe"].flatMap((probe) => hostRules([probe])),
  ...["postStart", "preStop"].flatMap((hook) => hostRules(["lifecycle", hook])),
  rule(
    "AppArmor",
    BOTH,
    ["securityContext", "appArmorProfile", "type"],
    oneOf(["RuntimeDefault", "Localhost"]),
    "RuntimeDefault or Localhost",
  ),
  rule(
    "SELinux",
    BOTH,
    ["securityContext", "seLinuxOptions", "type"],
    oneOf(["", ...SAFE_SELINUX_TYPES]),
    `one of ${SAFE_SELINUX_TYPES.join(", ")}`,
  ),
  ...["user", "role"].map((name) =>
    rule("SELinux", BOTH, ["securityContext", "seLinuxOptions", name], none, "to be left out"),
  ),
  rule("/proc Mount Type", ["container"], security("procMount"), oneOf(["Default"]), "to be left out"),
  rule(
    "Seccomp",
    BOTH,
    ["securityContext", "seccompProfile", "type"],
    oneOf(["RuntimeDefault", "Localhost"]),
    "RuntimeDefault or Localhost",
  ),
  rule(
    "Sysctls",
    ["pod"],
    ["securityContext", "sysctls", "*", "name"],
    oneOf(SAFE_SYSCTLS),
    `one of ${SAFE_SYSCTLS.join(", ")}`,
  ),
];

const restricted: readonly Rule[] = [
  rule(
    "Volume Types",
    ["pod"],
    ["volumes", "*"],
    (value) => Object.keys(fieldsOf(value)).every((name) => name === "name" || SAFE_VOLUMES.includes(name)),
    `one of ${SAFE_VOLUMES.join(", ")}`,
  ),
  rule(
    "Running as Non-root user",
    BOTH,
    security("runAsUser"),
    (value) => value !== 0,
    "a number other than 0, or podSecurity: baseline",
  ),
  rule("Running as Non-root", BOTH, security("runAsNonRoot"), oneOf([true]), "true, or podSecurity: baseline"),
  rule(
    "Privilege Escalation",
    ["container"],
    security("allowPrivilegeEscalation"),
    oneOf([false]),
    "false, or podSecurity: baseline",
  ),
  rule(
    "Capabilities",
    ["container"],
    ["securityContext", "capabilities", "add", "*"],
    oneOf(["NET_BIND_SERVICE"]),
    "NET_BIND_SERVICE, or podSecurity: baseline",
  ),
].map((one) => ({ ...one, level: "restricted" as const }));

function rule(
  control: string,
  scopes: Rule["scopes"],
  path: readonly string[],
  ...[may, needs]: [Rule["may"], string]
): Rule {
  return { control, level: "baseline", scopes, path, may, needs };
}

function hostRules(path: readonly string[]): Rule[] {
  return ["httpGet", "tcpSocket"].map((how) =>
    rule("Host Probes", ["container"], [...path, how, "host"], none, "to be left out"),
  );
}

/** The lists of containers that a pod has. */
export const containerLists = ["initContainers", "containers", "ephemeralContainers"] as const;

/** Says what of a pod is against a level. Never throws, whatever the spec is. */
export function podSecurityComplaints(spec: unknown, level: PodSecurity): PodComplaint[] {
  const rules = level === "baseline" ? baseline : [...baseline, ...restricted];
  const ruled = rules.flatMap((one) => placesOf(spec, one.scopes).flatMap((place) => complaintsAt(place, one)));
  return level === "baseline" ? ruled : [...ruled, ...missing(spec)];
}

interface Place {
  readonly value: unknown;
  readonly path: readonly (string | number)[];
}

function placesOf(spec: unknown, scopes: Rule["scopes"]): Place[] {
  return [
    ...(scopes.includes("pod") ? [{ value: spec, path: [] }] : []),
    ...(scopes.includes("container") ? containersOf(spec) : []),
  ];
}

function containersOf(spec: unknown): Place[] {
  return containerLists.flatMap((list) =>
    listOf(fieldsOf(spec)[list]).map((value, index) => ({ value, path: [list, index] })),
  );
}

function complaintsAt(place: Place, { control, path, may, needs }: Rule): PodComplaint[] {
  return follow(place, path)
    .filter(({ value }) => !may(value))
    .map((wrong) => ({ path: wrong.path, message: `needs ${needs}, is ${shown(wrong.value)} (${control})` }));
}

/** Everything that is at a path. What is absent, or `null`, is nowhere. */
function follow(place: Place, path: readonly string[]): Place[] {
  const [step, ...rest] = path;
  if (place.value === undefined || place.value === null) return [];
  if (step === undefined) return [place];
  if (step === "*") {
    return listOf(place.value).flatMap((value, index) => follow({ value, path: [...place.path, index] }, rest));
  }
  return follow({ value: fieldsOf(place.value)[step], path: [...place.path, step] }, rest);
}

/** What `restricted` wants said. Some of it may be said once for the whole pod. */
function missing(spec: unknown): PodComplaint[] {
  const forAll = fieldsOf(at(spec, ["securityContext"]));
  return containersOf(spec).flatMap(({ value, path }) => {
    const own = fieldsOf(at(value, ["securityContext"]));
    const lacks = (name: string, needs: string): PodComplaint[] =>
      own[name] === undefined && forAll[name] === undefined
        ? [{ path: [...path, "securityContext", name], message: `is missing, needs ${needs}` }]
        : [];
    const seccomp = at(own, ["seccompProfile", "type"]) ?? at(forAll, ["seccompProfile", "type"]);
    const dropped = listOf(at(own, ["capabilities", "drop"]));
    return [
      ...lacks("runAsNonRoot", "true (Running as Non-root)"),
      ...(own["allowPrivilegeEscalation"] === undefined
        ? [
            {
              path: [...path, "securityContext", "allowPrivilegeEscalation"],
              message: "is missing, needs false (Privilege Escalation)",
            },
          ]
        : []),
      ...(seccomp === undefined
        ? [
            {
              path: [...path, "securityContext", "seccompProfile"],
              message: "is missing, needs RuntimeDefault (Seccomp)",
            },
          ]
        : []),
      ...(dropped.includes("ALL")
        ? []
        : [{ path: [...path, "securityContext", "capabilities", "drop"], message: "needs ALL in it (Capabilities)" }]),
    ];
  });
}

/** A short look at a value: manifests hold secrets in places other than these. */
function shown(value: unknown): string {
  if (isFields(value)) return Object.keys(value).slice(0, 5).join(", ").slice(0, 60) || "an object";
  if (Array.isArray(value)) return "a list";
  return typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : String(value).slice(0, 60);
}
