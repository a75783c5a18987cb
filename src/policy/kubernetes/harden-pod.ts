/**
 * Sets right in a pod what it leaves out, and says what it may not have. Used for every pod of an environment, those of
 * manifests and ours.
 *
 * @module
 */
import type { PodSecurity } from "../../wire/cluster-settings.ts";
import { at, fieldsOf, type Fields, isFields, listOf, without } from "./fields.ts";
import { containerLists, type PodComplaint, podSecurityComplaints } from "./pod-security.ts";

export interface Hardened {
  readonly spec: Fields;
  readonly complaints: readonly PodComplaint[];
}

/** Fills in what the level wants said, then checks the whole. */
export function hardenPod(given: unknown, level: PodSecurity): Hardened {
  const spec = fieldsOf(given);
  const complaints = shapeComplaints(given);
  const lists = containerLists.filter((list) => spec[list] !== undefined);
  const hardened = {
    ...spec,
    securityContext: {
      seccompProfile: { type: "RuntimeDefault" },
      ...(level === "restricted" ? { runAsNonRoot: true } : {}),
      ...fieldsOf(spec["securityContext"]),
    },
    ...Object.fromEntries(lists.map((list) => [list, listOf(spec[list]).map((one) => hardenContainer(one, level))])),
  };
  return { spec: hardened, complaints: [...complaints, ...podSecurityComplaints(hardened, level)] };
}

function hardenContainer(given: unknown, level: PodSecurity): Fields {
  const container = fieldsOf(given);
  const own = fieldsOf(container["securityContext"]);
  if (level === "baseline") return Object.keys(own).length === 0 ? container : { ...container, securityContext: own };
  const capabilities = { ...fieldsOf(own["capabilities"]), drop: ["ALL"] };
  return { ...container, securityContext: { allowPrivilegeEscalation: false, ...own, capabilities } };
}

/** What is not even a pod. */
function shapeComplaints(spec: unknown): PodComplaint[] {
  if (!isFields(spec)) return [{ path: [], message: "needs an object with containers" }];
  return [
    ...containerLists.flatMap((list) => {
      const containers = spec[list];
      if (containers === undefined || containers === null) {
        return list === "containers" ? [{ path: [list], message: "is missing, needs a list of containers" }] : [];
      }
      if (!Array.isArray(containers)) return [{ path: [list], message: "needs a list of containers" }];
      return containers.flatMap((one: unknown, index) => containerComplaints(one, [list, index]));
    }),
    ...["volumes", "imagePullSecrets"].flatMap((list) => listComplaints(spec[list], [list])),
    ...["securityContext"].flatMap((name) => objectComplaints(spec[name], [name])),
  ];
}

function containerComplaints(container: unknown, path: readonly (string | number)[]): PodComplaint[] {
  if (!isFields(container)) return [{ path, message: "needs an object" }];
  return [
    ...(typeof container["name"] === "string" && container["name"] !== ""
      ? []
      : [{ path: [...path, "name"], message: "is missing, needs the container's name" }]),
    ...["env", "ports", "volumeMounts"].flatMap((name) => listComplaints(container[name], [...path, name])),
    ...["securityContext", "resources"].flatMap((name) => objectComplaints(container[name], [...path, name])),
    ...objectComplaints(at(container, ["securityContext", "capabilities"]), [
      ...path,
      "securityContext",
      "capabilities",
    ]),
  ];
}

/** Lists of objects. */
function listComplaints(value: unknown, path: readonly (string | number)[]): PodComplaint[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) && value.every(isFields) ? [] : [{ path, message: "needs a list of objects" }];
}

function objectComplaints(value: unknown, path: readonly (string | number)[]): PodComplaint[] {
  return value === undefined || value === null || isFields(value) ? [] : [{ path, message: "needs an object" }];
}

/** Annotations of a pod that say the same as fields do now, for older servers: those that loosen are refused. */
export function annotationComplaints(annotations: unknown): PodComplaint[] {
  return Object.entries(fieldsOf(annotations)).flatMap(([name, value]) => {
    const isProfile = /^(container\.apparmor|(container\.)?seccomp)\.security\.(alpha|beta)\.kubernetes\.io\//.test(
      name,
    );
    const isTight = typeof value === "string" && /^(runtime\/default|docker\/default|localhost\/.+)$/.test(value);
    return isProfile && !isTight ? [{ path: [name], message: "needs runtime/default, or to be left out" }] : [];
  });
}

/** A seccomp annotation that differs from the field is refused by servers from 1.19 to 1.26; the field says it. */
export function withoutProfiles(annotations: Fields): Fields {
  const names = Object.keys(annotations).filter((name) => name.includes("seccomp.security.alpha.kubernetes.io/"));
  return without(annotations, names);
}
