/**
 * The definition of an environment: `devcontainer.json` of the repository, checked (`checkDefinition`), and what
 * Slipway makes of it (`Definition`, made by `policy/definition.ts`, which callers go through).
 *
 * The text comes from whoever can push a branch: it is hostile. Properties and their types are those of
 * https://containers.dev/implementors/json_reference/ and the schema beside it.
 *
 * @module
 */
import { z } from "zod";
import { checkShape, needs, writeComplaints, writePath } from "../base/complaint.ts";
import { Fault } from "../base/fault.ts";
import { containerKeys, hostRequirements, placementNames } from "./definition-container.ts";
import { readJsonc } from "./jsonc.ts";

export const definitionFolder = ".devcontainer";
export const definitionFile = "devcontainer.json";

/**
 * Where a definition may be in a repository; the first that is there counts. Without either it may be in a folder of its own
 * below `definitionFolder`: https://containers.dev/implementors/spec/#devcontainerjson
 */
export const definitionPaths = [`${definitionFolder}/${definitionFile}`, `.${definitionFile}`] as const;

/** A command of the environment's life: a shell line, or a program with its arguments and no shell. */
export type Command = { readonly shell: string } | { readonly argv: readonly string[] };

/** The lifecycle commands in the order in which they run. */
export const lifecycle = [
  "onCreateCommand",
  "updateContentCommand",
  "postCreateCommand",
  "postStartCommand",
  "postAttachCommand",
] as const;

export type LifecycleName = (typeof lifecycle)[number];

/** What sessions wait for; `initializeCommand`, which never runs here, means for none. */
const waitPoints = [
  "initializeCommand",
  "onCreateCommand",
  "updateContentCommand",
  "postCreateCommand",
  "postStartCommand",
] as const;

export type WaitPoint = (typeof waitPoints)[number];

const tiers = ["lightweight", "full", "compliance"] as const;

export type Tier = (typeof tiers)[number];

export interface LifecycleStep {
  readonly name: LifecycleName;
  /** Commands to run at the same time, by label; a single command has the name of the step as its label. */
  readonly parallel: Readonly<Record<string, Command>>;
}

/** What a definition asks of a place that runs containers; a sandbox takes none of it. */
export interface ContainerSpec {
  /** Image of the one pod, when there are no manifests. */
  readonly image?: string;
  /** Paths in the repository: of YAML files, or of folders of YAML, Kustomize or Helm. Empty: one pod of `image`. */
  readonly manifests: readonly string[];
  /** `deployment/api`, or `deployment/api/container`, of the manifests. */
  readonly target?: string;
  readonly podSecurity: "restricted" | "baseline";
  /** Whether pods get the token of their service account. */
  readonly serviceAccountToken: boolean;
  readonly tier: Tier;
  /** User number inside; the image's or the cluster's own when absent. 0 needs `baseline`. */
  readonly runAsUser?: number;
  /** Of devcontainer.json; a ceiling of the cluster is not raised by it. */
  readonly hostRequirements: {
    readonly cpuCount?: number;
    readonly memoryBytes?: number;
    readonly storageBytes?: number;
  };
  /** Labels that the cluster it is placed on must have. */
  readonly placement?: Readonly<Record<string, string>>;
}

/** How an environment is to be, with defaults filled in and variables replaced. */
export interface Definition {
  /** Path in the repository, or `none`. */
  readonly source: string;
  /** POSIX user name inside; root on a cluster alone, with `container.runAsUser` 0. */
  readonly user: string;
  /** Absolute, in normal form, at or below `/workspace`. */
  readonly workspaceFolder: string;
  readonly containerEnv: Readonly<Record<string, string>>;
  /** Over `containerEnv`, for what people run; `null` removes. Still with `${containerEnv:…}`: `resolveRemoteEnv`. */
  readonly remoteEnv: Readonly<Record<string, string | null>>;
  readonly forwardPorts: readonly number[];
  /** Those that there are, in the order in which they run. */
  readonly commands: readonly LifecycleStep[];
  readonly waitFor: WaitPoint;
  readonly slipway: {
    /** Shell line of the service to keep running. */
    readonly run?: string;
    readonly ports: readonly number[];
    readonly tier: Tier;
  };
  readonly container: ContainerSpec;
  /** What the file asks for and does not get, one sentence each. */
  readonly warnings: readonly string[];
}

/** A checked `devcontainer.json`: the properties we act on, and the names and values of the others. */
export interface DefinitionFile {
  readonly source: string;
  readonly held: HeldProperties;
  readonly others: Readonly<Record<string, unknown>>;
  /** Keys of `customizations.slipway` that nobody knows. */
  readonly strangeSlipwayKeys: readonly string[];
  /** Keys of `customizations.slipway.placement` that nobody knows. */
  readonly strangePlacementKeys: readonly string[];
  /** Keys that are there twice, as in `containerEnv.PATH`; the last one counts, as everywhere. */
  readonly repeatedKeys: readonly string[];
}

/** Type as in the file; variables not yet replaced. */
export type HeldProperties = z.infer<typeof heldProperties>;

const text = z.string().refine((value) => !value.includes("\0"), { error: "cannot have a NUL in it" });

const variable = z.string().refine((value) => !/[\0\r\n]/.test(value), {
  error: "cannot have a NUL or a line break in it: sshd could not hand it to a session",
});

function variables<T extends z.ZodType>(value: T) {
  return z.record(z.string(), value).superRefine(
    (given, context) => {
      for (const name of Object.keys(given)) {
        if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
        context.addIssue({
          code: "custom",
          path: [name],
          message: "needs a name of letters, digits and _, no digit first",
        });
      }
    },
    { when: ({ value: given }) => typeof given === "object" && given !== null },
  );
}

const port = z
  .number({ error: ({ input }) => needs("a port", input) })
  .refine((value) => Number.isInteger(value) && value >= 1 && value <= 65_535, {
    error: ({ input }) => needs("a port from 1 to 65535", input),
  });

const FORWARD_NEEDS = 'a port from 1 to 65535, or "host:port"';
const forwardedPort = z.union([port, z.string().regex(/^[A-Za-z0-9.-]+:[0-9]{1,5}$/, `needs ${FORWARD_NEEDS}`)], {
  error: ({ input }) => needs(FORWARD_NEEDS, input),
});

/** The three forms of a lifecycle command: a string, a list, or an object of both to run at the same time. */
function step(name: LifecycleName): z.ZodType<Readonly<Record<string, Command>> | undefined> {
  return z
    .unknown()
    .optional()
    .transform((input, context) => {
      if (input === undefined || input === "") return undefined;
      const isObject = typeof input === "object" && input !== null && !Array.isArray(input);
      const parallel = Object.entries(isObject ? input : { [name]: input }).map(([label, value]): [string, Command] => {
        const path = isObject ? [label] : [];
        const command = readCommand(value);
        const isLabel = /^\P{C}{1,100}$/u.test(label);
        if (!isLabel)
          context.addIssue({ code: "custom", path, message: "needs a label of 1 to 100 characters on one line" });
        if (!("wrong" in command)) return [label, command];
        context.addIssue({ code: "custom", path, message: command.wrong });
        return [label, { argv: [] }];
      });
      return Object.fromEntries(parallel);
    });
}

function readCommand(input: unknown): Command | { readonly wrong: string } {
  if (Array.isArray(input) && !input.every((word) => typeof word === "string"))
    return { wrong: "needs a list of strings only" };
  const words = z.union([z.string(), z.array(z.string())]).safeParse(input);
  if (!words.success) return { wrong: needs("a shell line, or a list of a program and its arguments", input) };
  if (words.data.length === 0) return { wrong: "needs a program to run, is empty" };
  if ([words.data].flat().some((word) => word.includes("\0"))) return { wrong: "cannot have a NUL in it" };
  return typeof words.data === "string" ? { shell: words.data } : { argv: words.data };
}

const slipway = z.object({
  run: text.refine((line) => line.trim() !== "", { error: "needs a shell line, is empty" }).optional(),
  ports: z.array(port).default([]),
  tier: z.enum(tiers).default("lightweight"),
  ...containerKeys,
});

const heldProperties = z.object({
  image: text.optional(),
  hostRequirements: hostRequirements.optional(),
  remoteUser: text.optional(),
  containerUser: text.optional(),
  workspaceFolder: text
    .refine((path) => /^(\/|\$\{)/.test(path) && !/\p{C}/u.test(path), { error: "needs an absolute path on one line" })
    .optional(),
  containerEnv: variables(variable).default({}),
  remoteEnv: variables(variable.nullable()).default({}),
  forwardPorts: z.array(forwardedPort).default([]),
  onCreateCommand: step("onCreateCommand"),
  updateContentCommand: step("updateContentCommand"),
  postCreateCommand: step("postCreateCommand"),
  postStartCommand: step("postStartCommand"),
  postAttachCommand: step("postAttachCommand"),
  waitFor: z.enum(waitPoints).default("updateContentCommand"),
  customizations: z.object({ slipway: slipway.prefault({}) }).prefault({}),
});

/** Names of the properties that a definition can have an effect by. */
export const heldNames: readonly string[] = Object.keys(heldProperties.shape);

/** Names that `customizations.slipway` can have. */
export const slipwayNames: readonly string[] = Object.keys(slipway.shape);

/**
 * Checks the text of a definition.
 *
 * @param source its path in the repository
 * @throws {Fault} `definition.invalid` with every complaint, each with its line
 */
export function checkDefinition(json: string, source: string): DefinitionFile {
  const read = readJsonc(json);
  const shaped = read.complaints.length > 0 ? read : checkShape(heldProperties, read.value, read.lineOf);
  if ("complaints" in shaped) {
    const told = writeComplaints(source, shaped.complaints);
    throw new Fault("definition.invalid", told, { told });
  }
  const all = Outline.parse(read.value);
  const { slipway: slipwayGiven } = all.customizations;
  return {
    source,
    held: shaped.data,
    others: Object.fromEntries(Object.entries(all).filter(([name]) => !heldNames.includes(name))),
    strangeSlipwayKeys: Object.keys(slipwayGiven).filter((name) => !slipwayNames.includes(name)),
    strangePlacementKeys: Object.keys(slipwayGiven.placement).filter((name) => !placementNames.includes(name)),
    repeatedKeys: read.repeated.map(writePath),
  };
}

/** What every definition that passed has, with whatever else there is. */
const Outline = z.looseObject({
  customizations: z
    .looseObject({ slipway: z.looseObject({ placement: z.looseObject({}).prefault({}) }).prefault({}) })
    .prefault({}),
});
