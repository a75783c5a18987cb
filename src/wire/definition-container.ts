/**
 * What a definition can say about the containers of a cluster, value by value; part of `definition.ts`. Text of people:
 * nothing in it is believed to be what its name says until it was checked here.
 *
 * @module
 */
import { z } from "zod";
import { needs } from "../base/complaint.ts";
import { placementLabels } from "./settings-clusters.ts";

/** Kinds of objects whose pod people can be in, in the words that kubectl takes for them. */
const TARGET_KINDS = "deployments?|deploy|deployment\\.apps|statefulsets?|sts|statefulset\\.apps";

const PATH_NEEDS = 'a path in the repository, as in "k8s" or "deploy/app.yaml"';

const path = z
  .string({ error: ({ input }) => needs(PATH_NEEDS, input) })
  .refine((text) => /^\P{C}{1,500}$/u.test(text) && !/^[/~-]|\\/.test(text) && !text.split("/").includes(".."), {
    error: `needs ${PATH_NEEDS}`,
  })
  .transform(
    (text) =>
      text
        .split("/")
        .filter((part) => part !== "" && part !== ".")
        .join("/") || ".",
  );

/** A folder is one, so that nobody needs as many (guess): each costs programs to find out what it is made of. */
const PATHS_MAX = 50;

/** One of them, or a list. */
const manifests = z.preprocess(
  (given) => (typeof given === "string" ? [given] : given),
  z
    .array(path, { error: ({ input }) => needs(`${PATH_NEEDS}, or a list of them`, input) })
    .max(PATHS_MAX, `needs at most ${PATHS_MAX} paths; a folder is one`),
);

const NAME = "[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?";
const TARGET_NEEDS = 'a workload as in "deployment/api", "statefulset/db" or "deployment/api/container"';

const target = z
  .string({ error: ({ input }) => needs(TARGET_NEEDS, input) })
  .regex(
    new RegExp(`^(?:${TARGET_KINDS})/${NAME}(?:/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$`),
    `needs ${TARGET_NEEDS}`,
  );

/** User numbers end here: user_namespaces(7). */
const UID_MAX = 4_294_967_294;
const USER_NEEDS = `the number of a user, from 0 to ${UID_MAX}`;

const placement = z.object({ labels: placementLabels.default({}) });

/** Names that `placement` can have. */
export const placementNames: readonly string[] = Object.keys(placement.shape);

/** Of `customizations.slipway`. */
export const containerKeys = {
  manifests: manifests.default([]),
  target: target.optional(),
  podSecurity: z.enum(["restricted", "baseline"]).default("restricted"),
  serviceAccountToken: z.boolean().default(false),
  runAsUser: z
    .number({ error: ({ input }) => needs(USER_NEEDS, input) })
    .refine((value) => Number.isInteger(value) && value >= 0 && value <= UID_MAX, {
      error: ({ input }) => needs(USER_NEEDS, input),
    })
    .optional(),
  placement: placement.optional(),
};

const UNITS: Readonly<Record<string, number>> = { "": 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 };
const SIZE_NEEDS = 'a size, as in "4gb" or "512mb"';

/** Units are powers of 1024, as in the reference implementation: devcontainers/cli, imageMetadata.ts, parseBytes. */
const bytes = z.string({ error: ({ input }) => needs(SIZE_NEEDS, input) }).transform((text, context) => {
  const [, digits = "", unit = ""] = /^([0-9]{1,9})([kmgt]b)?$/.exec(text) ?? [];
  const found = Number(digits) * (UNITS[unit] ?? 0);
  if (found > 0 && Number.isSafeInteger(found)) return found;
  context.addIssue({ code: "custom", message: `needs ${SIZE_NEEDS}`, input: text });
  return z.NEVER;
});

const CPUS_NEED = "a number of processors above 0";

/** `hostRequirements`; `gpu` is in no cluster of ours. */
export const hostRequirements = z.object({
  cpus: z
    .number({ error: ({ input }) => needs(CPUS_NEED, input) })
    .refine((value) => value > 0 && value <= 1_024, { error: ({ input }) => needs(CPUS_NEED, input) })
    .optional(),
  memory: bytes.optional(),
  storage: bytes.optional(),
  gpu: z.unknown().optional(),
});
