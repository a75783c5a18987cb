/**
 * Development mode: the pod of a workload with one container held open for people, the checkout and the tools in it, and
 * everything else as its manifest says.
 *
 * @module
 */
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { fieldsOf, type Fields, listOf, textOf, without } from "./fields.ts";
import { INIT } from "./inside-names.ts";
import { needsOf, type Sizes, targetResources } from "./sizes.ts";
import { envOf, GRACE_SECONDS, mountsOf, numbersOf, toolboxContainer, volumesOf } from "./target-parts.ts";

export interface DevelopOptions {
  readonly facts: ObjectFacts;
  readonly target: TargetFacts;
  readonly sizes: Sizes;
  /** Name of the container. */
  readonly container: string;
}

/** What would end the container for not doing what its image does, or decides about it in our stead. */
const DROPPED = ["args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicy"];

/** What would end the pod, hide our process 1, or keep it from counting as ready. */
const DROPPED_OF_POD = ["activeDeadlineSeconds", "shareProcessNamespace", "readinessGates"];

/** Puts a pod into development mode. The spec has been adapted, and is hardened afterwards. */
export function developPod(
  spec: Fields,
  options: DevelopOptions,
): { readonly spec: Fields; readonly warnings: readonly string[] } {
  const { facts, target, sizes } = options;
  const containers = listOf(spec["containers"]);
  const own = fieldsOf(containers.find((one) => textOf(fieldsOf(one)["name"]) === options.container));
  const numbers = numbersOf({ target, cluster: facts.cluster }, spec["securityContext"], own["securityContext"]);
  const { least } = needsOf(target, sizes);
  const resources = targetResources(own["resources"], sizes, least);
  const securityContext = { ...fieldsOf(own["securityContext"]), runAsUser: numbers.runAsUser };
  const { mounts, replaced } = mountsBeside(own["volumeMounts"], target);
  const developed = {
    ...without(own, DROPPED),
    command: [INIT],
    env: envOf(target, own["env"]),
    resources,
    securityContext,
    volumeMounts: mounts,
  };
  const toolbox = toolboxContainer(facts, { securityContext: numbersAlone(securityContext), sizes });
  return {
    spec: {
      ...without(spec, DROPPED_OF_POD),
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: {
        fsGroupChangePolicy: "OnRootMismatch",
        ...fieldsOf(spec["securityContext"]),
        fsGroup: numbers.fsGroup,
      },
      containers: [
        toolbox,
        ...containers.map((one) => (textOf(fieldsOf(one)["name"]) === options.container ? developed : one)),
      ],
      volumes: [...listOf(spec["volumes"]), ...volumesOf(facts)],
    },
    warnings: [
      ...replaced.map((path) => `its own volume at ${path} is not mounted there: Slipway's is`),
      ...DROPPED_OF_POD.filter((name) => spec[name] !== undefined).map((name) => `its ${name} is left out`),
    ],
  };
}

/** Ours beside its own. A volume of its own at `/tmp` stays; where else two would be at one place, ours is. */
function mountsBeside(given: unknown, target: TargetFacts): { mounts: unknown[]; replaced: string[] } {
  const own = listOf(given);
  const pathOf = (mount: unknown): string => (textOf(fieldsOf(mount)["mountPath"]) ?? "").replace(/(?<=.)\/+$/, "");
  const taken = new Set(own.map(pathOf));
  const ours = mountsOf(target).filter((mount) => pathOf(mount) !== "/tmp" || !taken.has("/tmp"));
  const places = new Set(ours.map(pathOf));
  return {
    mounts: [...own.filter((mount) => !places.has(pathOf(mount))), ...ours],
    replaced: [...taken].filter((path) => places.has(path)),
  };
}

/** Who the container runs as, without what else it may do. */
function numbersAlone(context: Fields): Fields {
  const { runAsUser, runAsGroup, runAsNonRoot } = context;
  const all: Fields = { runAsUser, runAsGroup, runAsNonRoot };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
