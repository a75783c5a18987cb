/**
 * What the forges of `slipway.yaml` must have to do with their own parts, with each other, and with people and
 * repositories: one credential each, nobody and nothing that is called as a forge calls its own.
 *
 * Called by `settings-links.ts` alone, on files with other faults too.
 *
 * @module
 */
import { z } from "zod";
import { meantBy } from "../base/nearest.ts";
import { apiUrlOf, forgeTypes, typeOfForge, urlOfForge } from "./settings-forges.ts";

type Complain = (path: (string | number)[], message: string) => void;

const said = z
  .unknown()
  .optional()
  .transform((value) => value !== undefined && value !== null);
const text = z.string().optional().catch(undefined);
const list = z.array(z.unknown()).catch([]);

/** As much of it as is checked here; what has another shape was complained of and counts as absent. */
const Outline = z
  .object({
    listen: z.object({ webhooks: said }).catch({ webhooks: false }),
    people: z.record(z.string(), z.object({ account: text }).catch({ account: undefined })).catch({}),
    repositories: z.record(z.string(), z.unknown()).catch({}),
    forges: z
      .record(
        z.string(),
        z
          .object({
            type: z.enum(forgeTypes).optional().catch(undefined),
            url: text,
            app: z.object({ privateKeyFile: said, privateKeyEnv: said, privateKey: said }).optional().catch(undefined),
            token: said,
            tokenFile: said,
            tokenEnv: said,
            webhook: z.object({ secretFile: said, secretEnv: said, secret: said }).optional().catch(undefined),
            organizations: list,
            repositories: list,
          })
          .nullable()
          .catch(null),
      )
      .catch({}),
    database: z.object({ url: said, urlFile: said, urlEnv: said }).optional().catch(undefined),
    authorizedKeys: z
      .object({ users: z.record(z.string(), text).catch({}) })
      .optional()
      .catch(undefined),
  })
  .catch({ listen: { webhooks: false }, people: {}, repositories: {}, forges: {} });

type Outline = z.infer<typeof Outline>;
type ForgeOutline = NonNullable<Outline["forges"][string]>;

/** Complains of what is wrong with forges and what belongs to them, whatever else is wrong with the file. */
export function checkForgeLinks(value: unknown, complain: Complain): void {
  const outline = Outline.parse(value);
  for (const [name, forge] of Object.entries(outline.forges)) {
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) {
      const needs = 'needs a name of lower-case letters, digits and "-", a letter first, at most 32';
      complain(["forges", name], needs);
    }
    if (forge !== null) checkForge(name, forge, complain);
  }
  checkSameForges(outline, complain);
  checkListener(outline, complain);
  checkNames(outline, complain);
  checkAccounts(outline, complain);
  checkUsers(outline, complain);
  const { database } = outline;
  if (database !== undefined)
    checkOne(database, { path: ["database"], keys: ["urlFile", "urlEnv"], refused: "url" }, complain);
}

function checkForge(name: string, forge: ForgeOutline, complain: Complain): void {
  const path = ["forges", name];
  const type = typeOfForge(name, forge.type);
  if (type === undefined) {
    complain(path, `needs a type, ${forgeTypes.map((known) => `"${known}"`).join(" or ")}, as its name is none`);
  } else if (urlOfForge(type, forge.url) === undefined) {
    complain(path, "needs a url: where people open it in a browser");
  }
  if (forge.app !== undefined && type !== "github" && type !== undefined) {
    complain([...path, "app"], "is for GitHub only; needs tokenFile or tokenEnv here");
  }
  const credentials = (["app", "tokenFile", "tokenEnv"] as const).filter((key) =>
    key === "app" ? forge.app !== undefined : forge[key],
  );
  // A token that stands in the file itself was complained of already.
  if (credentials.length === 0 && !forge.token) complain(path, "needs a credential: app, tokenFile or tokenEnv");
  if (credentials.length > 1) complain(path, `needs one credential, has ${credentials.join(" and ")}`);
  const { app, webhook } = forge;
  if (app !== undefined) {
    const keys: [string, string] = ["privateKeyFile", "privateKeyEnv"];
    checkOne(app, { path: [...path, "app"], keys, refused: "privateKey" }, complain);
  }
  if (webhook !== undefined) {
    const keys: [string, string] = ["secretFile", "secretEnv"];
    checkOne(webhook, { path: [...path, "webhook"], keys, refused: "secret" }, complain);
  }
  if (forge.organizations.length + forge.repositories.length === 0) {
    complain(path, "needs organizations or repositories: without any it connects nothing");
  }
}

interface OneOf {
  readonly path: (string | number)[];
  /** One of these has to be there, and not both. */
  readonly keys: [string, string];
  /** Where this is, somebody was told already to use one of them. */
  readonly refused: string;
}

function checkOne(has: Readonly<Record<string, boolean>>, { path, keys, refused }: OneOf, complain: Complain): void {
  const there = keys.filter((key) => has[key] === true);
  if (there.length === 0 && has[refused] !== true) complain(path, `needs ${keys.join(" or ")}`);
  if (there.length > 1) complain(path, `needs one of ${keys.join(" and ")}, has both`);
}

/** Under two names everybody would be two accounts, and their keys nobody's. */
function checkSameForges({ forges }: Outline, complain: Complain): void {
  const names = new Map<string, string>();
  for (const [name, forge] of Object.entries(forges)) {
    const at = urlOfForge(typeOfForge(name, forge?.type), forge?.url)?.replace(/\/+$/, "").toLowerCase();
    if (at === undefined) continue;
    const first = names.get(at);
    if (first === undefined) names.set(at, name);
    else complain(["forges", name], `is the same forge as ${first}: everybody would be two accounts with one key`);
  }
}

function checkListener({ forges, listen }: Outline, complain: Complain): void {
  const signed = Object.entries(forges).filter(([, forge]) => forge?.webhook !== undefined);
  const [first] = signed;
  if (first !== undefined && !listen.webhooks) {
    complain(["forges", first[0], "webhook"], "needs listen.webhooks: nobody listens for webhooks");
  }
  if (first === undefined && listen.webhooks) {
    complain(["listen", "webhooks"], "needs a webhook secret under one of the forges: nothing could be verified");
  }
}

/** What a forge has is known by its name and number, so nothing of the settings may look so. */
function checkNames({ forges, people, repositories }: Outline, complain: Complain): void {
  const taken = new Set<string>([...forgeTypes, ...Object.keys(forges)]);
  for (const [field, entries] of Object.entries({ people, repositories })) {
    for (const name of Object.keys(entries)) {
      const [, forge = ""] = /^([a-z][a-z0-9-]*)\.[0-9]+$/.exec(name) ?? [];
      if (taken.has(forge)) {
        complain(
          [field, name],
          `cannot be called so: ${name} is what number ${name.slice(forge.length + 1)} of ${forge} is known by`,
        );
      }
    }
  }
}

function checkAccounts({ forges, people }: Outline, complain: Complain): void {
  const owners = new Map<string, string>();
  for (const [person, { account }] of Object.entries(people)) {
    if (account === undefined) continue;
    const path = ["people", person, "account"];
    const [, name = "", id = ""] = /^([^/]*)\/([^/]*)$/.exec(account) ?? [];
    if (id === "") {
      complain(path, 'needs a forge and the number of an account there, as in "github/583231"');
    } else if (!Object.hasOwn(forges, name)) {
      const meant = meantBy(name, Object.keys(forges));
      complain(path, `"${name}" is not under forges${meant === undefined ? "" : `; did you mean "${meant}"?`}`);
    } else if (!/^[1-9][0-9]{0,19}$/.test(id)) {
      complain(
        path,
        `needs the account's number, as names are given up and taken by others${whereNumber(name, forges[name])}`,
      );
    } else {
      const first = owners.get(account);
      if (first === undefined) owners.set(account, person);
      else complain(path, `is the account of ${first} too: an account belongs to one person`);
    }
  }
}

/** Says how to find the number of an account. */
function whereNumber(name: string, forge: ForgeOutline | null | undefined): string {
  const type = typeOfForge(name, forge?.type);
  const at = urlOfForge(type, forge?.url);
  if (type === undefined || at === undefined) return "";
  const api = apiUrlOf(type, at.replace(/\/+$/, ""));
  const page = type === "gitlab" ? `${api}/users?username=<name>` : `${api}/users/<name>`;
  return `; it is "id" in ${page}`;
}

function checkUsers({ authorizedKeys, repositories, forges }: Outline, complain: Complain): void {
  for (const [user, repository] of Object.entries(authorizedKeys?.users ?? {})) {
    const path = ["authorizedKeys", "users", user];
    // useradd(8), CAVEATS.
    if (!/^[a-z_][a-z0-9_.-]{0,31}$/.test(user)) complain(path, "needs the name of a Unix user");
    if (repository === undefined || Object.hasOwn(repositories, repository)) continue;
    const isForges = repository.includes("/") && Object.keys(forges).length > 0;
    if (isForges) continue;
    const meant = meantBy(repository, Object.keys(repositories));
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    const what = repository.includes("/")
      ? "there are no forges it could be at"
      : `"${repository}" is not under repositories`;
    complain(path, `${what}${hint}`);
  }
}
