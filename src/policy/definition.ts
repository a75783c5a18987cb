/**
 * What Slipway makes of a repository's `devcontainer.json`: defaults, variables, and a sentence for everything in it
 * that cannot hold here, so that nobody has to guess why something is missing.
 *
 * Called by `controller/` when an environment starts. The file's shape is `wire/definition.ts`'s.
 *
 * @module
 */
import { meantBy } from "../base/nearest.ts";
import {
  checkDefinition,
  type Command,
  type Definition,
  type DefinitionFile,
  heldNames,
  type HeldProperties,
  lifecycle,
  type LifecycleName,
  type LifecycleStep,
  slipwayNames,
  type WaitPoint,
} from "../wire/definition.ts";
import { placementNames } from "../wire/definition-container.ts";
import { makeContainer, rootTrouble } from "./definition-container.ts";
import { printable } from "./printable.ts";
import { harmlessNames, type Place, unheldProperties } from "./unheld-properties.ts";
import { checkoutFolder, refersToContainerEnv, replaceVariables, type VariableFacts } from "./variables.ts";

/** What a definition depends on beside its text. */
export interface DefinitionFacts {
  /** Name of the repository. */
  readonly repository: string;
  readonly environmentId: string;
  /** What runs the environment, so that people are told of what has no effect there. @default sandbox */
  readonly place?: Place;
}

type Warn = (sentence: string) => void;

/** Warnings told of one definition; hostile ones could have one for each character. */
const WARNINGS_MAX = 30;

const ROOT_NEEDS = 'root needs "runAsUser": 0 under customizations.slipway';

/** User inside when the definition names none that can be. */
const USER = "dev";

/**
 * Makes the definition of an environment from the file found in its repository, or from none.
 *
 * @throws {Fault} `definition.invalid` with every complaint about the file, each with its line
 */
export function makeDefinition(
  found: { readonly text: string; readonly source: string } | undefined,
  facts: DefinitionFacts,
): Definition {
  const file = checkDefinition(found?.text ?? "{}", found?.source ?? "none");
  const warnings = new Set<string>();
  const warn: Warn = (sentence) => warnings.add(sentence);
  warnOfNames(file, facts, warn);
  const { held } = file;
  const workspaceFolder = makeWorkspaceFolder(held, facts, warn);
  const replace = replacer({ ...facts, workspaceFolder }, warn);
  const replaceHere = (text: string): string => {
    if (refersToContainerEnv(text)) warn('"${containerEnv:…}" has a value in "remoteEnv" only');
    return replace(text);
  };
  const { run, ports, tier } = held.customizations.slipway;
  const user = makeUser(held, { place: facts.place ?? "sandbox", replace: replaceHere }, warn);
  const container = { place: facts.place ?? "sandbox", replace: replaceHere };
  return {
    source: file.source,
    user,
    workspaceFolder,
    containerEnv: mapValues(withoutOurs("containerEnv", held.containerEnv, warn), replaceHere),
    remoteEnv: mapValues(withoutOurs("remoteEnv", held.remoteEnv, warn), (value) =>
      value === null ? null : replace(value),
    ),
    forwardPorts: makePorts(held.forwardPorts, warn),
    commands: makeSteps(held, replaceHere),
    waitFor: held.waitFor,
    slipway: { ports, tier, ...(run === undefined ? {} : { run: replaceHere(run) }) },
    container: makeContainer(held, container, warn),
    warnings: [...warnings].slice(0, WARNINGS_MAX),
  };
}

/** Says whether a session waits for a step of the lifecycle. */
export function mustWaitFor(step: LifecycleName, waitFor: WaitPoint): boolean {
  return waitFor !== "initializeCommand" && lifecycle.indexOf(step) <= lifecycle.indexOf(waitFor);
}

function warnOfNames(file: DefinitionFile, facts: DefinitionFacts, warn: Warn): void {
  const known = [...heldNames, ...unheldProperties.keys(), ...harmlessNames];
  const unknown = Object.keys(file.others).filter((name) => !known.includes(name));
  const { image, hostRequirements } = file.held;
  const given = new Map(Object.entries({ ...file.others, image, hostRequirements }));
  for (const [name, { instead, asksFor }] of unheldProperties) {
    if (given.get(name) === undefined || !asksFor(given.get(name))) continue;
    const sentence = instead(facts.place ?? "sandbox", checkoutFolder(facts.repository));
    if (sentence !== undefined) warn(`"${name}" is not used: ${sentence}`);
  }
  for (const key of file.repeatedKeys.slice(0, WARNINGS_MAX)) warn(`"${key}" is there twice: the last one counts`);
  for (const name of unknown.slice(0, WARNINGS_MAX)) warn(unknownName(name, known, ""));
  for (const name of file.strangeSlipwayKeys.slice(0, WARNINGS_MAX)) {
    warn(unknownName(name, slipwayNames, "customizations.slipway."));
  }
  for (const name of file.strangePlacementKeys.slice(0, WARNINGS_MAX)) {
    const under = "customizations.slipway.placement.";
    warn(`${unknownName(name, placementNames, under)}; labels of clusters go under "${under}labels"`);
  }
}

function unknownName(name: string, known: readonly string[], prefix: string): string {
  const meant = meantBy(name, known);
  const hint = meant === undefined ? "" : `; did you mean "${prefix}${meant}"?`;
  return `"${prefix}${printable(name)}" is not known and has no effect${hint}`;
}

function makeWorkspaceFolder({ workspaceFolder }: HeldProperties, facts: DefinitionFacts, warn: Warn): string {
  const checkout = checkoutFolder(facts.repository);
  if (workspaceFolder === undefined) return checkout;
  const wanted = normalized(replacer({ ...facts, workspaceFolder: checkout }, warn)(workspaceFolder));
  if (wanted === "/workspace" || wanted.startsWith("/workspace/")) return wanted;
  warn(`"workspaceFolder" is "${checkout}" here, not "${printable(wanted)}": the checkout is nowhere else`);
  return checkout;
}

/** An absolute path without ".", ".." and doubled "/". */
function normalized(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

interface UserFacts {
  readonly place: Place;
  readonly replace: (text: string) => string;
}

function makeUser(held: HeldProperties, { place, replace }: UserFacts, warn: Warn): string {
  const { remoteUser, containerUser } = held;
  const { runAsUser } = held.customizations.slipway;
  const isRoot = place === "kubernetes" && runAsUser === 0 && rootTrouble(held) === undefined;
  const wanted = replace(remoteUser ?? containerUser ?? (isRoot ? "root" : USER));
  const property = remoteUser === undefined ? "containerUser" : "remoteUser";
  // The names that useradd(8) takes.
  const isName = /^[a-z_][a-z0-9_-]{0,31}$/.test(wanted);
  const user = isName && (wanted !== "root" || isRoot) ? wanted : USER;
  if (wanted === "root" && !isRoot) {
    const trouble = place === "sandbox" ? "nobody is root in an environment" : (rootTrouble(held) ?? ROOT_NEEDS);
    warn(`"${property}" is "${USER}" here, not "root": ${trouble}`);
  } else if (!isName) warn(`"${property}" is "${USER}" here: "${printable(wanted)}" is no name for a user`);
  if (remoteUser !== undefined && containerUser !== undefined && containerUser !== remoteUser) {
    warn(`"containerUser" is not used: everything in an environment runs as "${user}"`);
  }
  return user;
}

/** Variables of ours are facts, so no repository can set them. */
function withoutOurs<Value>(
  property: string,
  given: Readonly<Record<string, Value>>,
  warn: Warn,
): Record<string, Value> {
  const entries = Object.entries(given).filter(([name]) => {
    const isOurs = name.startsWith("SLIPWAY_");
    if (isOurs) warn(`"${printable(name)}" in "${property}" is not used: only Slipway sets what begins with SLIPWAY_`);
    return !isOurs;
  });
  return Object.fromEntries(entries);
}

function makePorts(given: HeldProperties["forwardPorts"], warn: Warn): number[] {
  const ports = given.flatMap((port) => {
    if (typeof port === "number") return [port];
    const [host = "", digits] = port.split(":");
    const isHere = /^(localhost|127\.0\.0\.1)$/i.test(host) && Number(digits) >= 1 && Number(digits) <= 65_535;
    if (!isHere)
      warn(`"${printable(port)}" in "forwardPorts" is not used: only ports of the environment itself can be`);
    return isHere ? [Number(digits)] : [];
  });
  return [...new Set(ports)];
}

function makeSteps(held: HeldProperties, replace: (text: string) => string): LifecycleStep[] {
  return lifecycle.flatMap((name) => {
    const commands = held[name] ?? {};
    const parallel = mapValues(commands, (command): Command => {
      return "shell" in command ? { shell: replace(command.shell) } : { argv: command.argv.map(replace) };
    });
    return Object.keys(parallel).length === 0 ? [] : [{ name, parallel }];
  });
}

function replacer(facts: VariableFacts, warn: Warn): (text: string) => string {
  const onEmpty = (reference: string): void => {
    const withDefault = reference.replace(/\}$/, ":value}");
    warn(
      `"${printable(reference)}" is empty: no other machine is here to ask; a default helps, as in "${printable(withDefault)}"`,
    );
  };
  return (text) => replaceVariables(text, facts, onEmpty);
}

function mapValues<From, To>(given: Readonly<Record<string, From>>, make: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, make(value)]));
}
