/**
 * What the parts of `slipway.yaml` must have to do with each other: grants name who and what exists, a key belongs to
 * one person. Checked on a file with other faults too, so that nobody has to come back for these.
 *
 * Called by `settings-file.ts` alone.
 *
 * @module
 */
import { z } from "zod";
import { meantBy } from "../base/nearest.ts";
import { sharedKeys } from "./authorized-keys.ts";
import { checkClusterLinks } from "./settings-cluster-links.ts";
import { checkForgeLinks } from "./settings-forge-links.ts";

/** What to write where people belong. */
const PEOPLE_EXAMPLE = `somebody, as in
  people:
    ada:
      keys: ["ssh-ed25519 AAAA… ada@laptop"]`;

const NAME = /^(?!.*\.\.)[a-z0-9][a-z0-9._-]{0,63}$/;
const NAME_NEEDS =
  'lower-case letters, digits, ".", "_" and "-", a letter or digit first, no two dots in a row, at most 64';

/** As much of the file as the checks across it need; what has another shape was complained of and counts as absent. */
const Outline = z
  .object({
    people: z
      .record(
        z.string(),
        z
          .object({
            keys: z
              .array(z.object({ blob: z.string() }).nullable().catch(null))
              .nullable()
              .default([])
              .catch(null),
            keysFile: z.unknown().optional(),
            account: z.unknown().optional(),
          })
          .nullable()
          .catch(null),
      )
      .optional()
      .nullable()
      .catch(null),
    forges: z.record(z.string(), z.unknown()).optional().catch({ unread: true }),
    repositories: z.record(z.string(), z.unknown()).catch({}),
    grants: z
      .array(
        z
          .object({
            people: z.array(z.string().nullable().catch(null)).catch([]),
            repositories: z.array(z.string().nullable().catch(null)).catch([]),
          })
          .nullable()
          .catch(null),
      )
      .catch([]),
  })
  .catch({ people: null, repositories: {}, grants: [] });

type Outline = z.infer<typeof Outline>;
type Complain = (path: (string | number)[], message: string) => void;

/** Complains of what is wrong between parts of the file, whatever else is wrong with it. */
export function checkLinks(value: unknown, context: z.RefinementCtx): void {
  const { people, forges = {}, repositories, grants } = Outline.parse(value);
  const complain: Complain = (path, message) => {
    context.addIssue({ code: "custom", path, message });
  };
  if (people !== null && Object.keys({ ...people, ...forges }).length === 0) {
    complain(["people"], `${people === undefined ? "is missing, needs" : "needs"} ${PEOPLE_EXAMPLE}`);
  }
  const named = { people: Object.keys(people ?? {}), repositories: Object.keys(repositories) };
  for (const field of ["people", "repositories"] as const) {
    for (const name of named[field]) {
      if (!NAME.test(name)) complain([field, name], `needs a name of ${NAME_NEEDS}`);
    }
    for (const [index, grant] of grants.entries()) {
      for (const [at, name] of (grant?.[field] ?? []).entries()) {
        if (name === null || named[field].includes(name)) continue;
        const meant = meantBy(name, named[field]);
        const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
        complain(["grants", index, field, at], `"${name}" is not under ${field}${hint}`);
      }
    }
  }
  checkKeys(people ?? {}, complain);
  checkForgeLinks(value, complain);
  checkClusterLinks(value, complain);
}

function checkKeys(people: NonNullable<Outline["people"]>, complain: Complain): void {
  const entries = Object.entries(people);
  const owners = entries.map(([name, person]) => ({ name, keys: person?.keys ?? [] }));
  for (const { first, later, laterIndex } of sharedKeys(owners)) {
    const message = `is a key of ${first} too: a key says who somebody is, so it belongs to one person`;
    complain(["people", later, "keys", laterIndex], message);
  }
  for (const [name, person] of entries) {
    if (person?.keysFile === undefined && person?.account === undefined && person?.keys?.length === 0) {
      complain(["people", name], "needs keys or keysFile: without one nobody gets in by this name");
    }
  }
}
