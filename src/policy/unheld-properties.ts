/**
 * The properties of a `devcontainer.json` that have no effect here: what people are told instead of each, and those that
 * nobody misses. From https://containers.dev/implementors/json_reference/ and the schema beside it (2026-01).
 *
 * @module
 */

interface UnheldProperty {
  /** What holds instead, as the end of a sentence. */
  readonly instead: (checkout: string) => string;
  /** Says whether the value asks for anything: `"privileged": false` need not be told about. */
  readonly asksFor: (value: unknown) => boolean;
}

const IMAGE = "the environment has the root file system of its machine, not an image";
const COMPOSE = "Compose is not started; customizations.slipway.run keeps a service running";
const CONTAINER = "there is no container that it could be an option of";
const PRIVILEGE = "nothing in an environment gets privileges";
const MOUNT = (checkout: string): string => `nothing is mounted but the checkout at ${checkout}`;

/** By name, in the order in which they are told. */
export const unheldProperties: ReadonlyMap<string, UnheldProperty> = new Map([
  unheld("image", IMAGE),
  unheld("build", IMAGE),
  unheld("dockerFile", IMAGE),
  unheld("context", IMAGE),
  unheld("dockerComposeFile", COMPOSE),
  unheld("service", COMPOSE),
  unheld("runServices", COMPOSE),
  unheld("features", "features are not installed; install what is needed in onCreateCommand"),
  unheld("overrideFeatureInstallOrder", "features are not installed"),
  unheld("mounts", MOUNT),
  unheld("workspaceMount", MOUNT),
  unheld("runArgs", CONTAINER),
  unheld("capAdd", PRIVILEGE),
  unheld("securityOpt", PRIVILEGE),
  unheld("privileged", PRIVILEGE),
  unheld("initializeCommand", "there is no machine before the environment; onCreateCommand runs first"),
  unheld("hostRequirements", "the limits of an environment are in the settings of the service"),
  [
    "overrideCommand",
    {
      instead: () => "there is no image with a command; customizations.slipway.run keeps a service running",
      asksFor: (value: unknown) => value === false,
    },
  ],
  unheld("appPort", "no port is published; forwardPorts and ssh -L reach it"),
  unheld("secrets", "nobody is asked for secrets; set them inside the environment"),
]);

/** Properties for editors, and those that ask for what is so anyway. */
export const harmlessNames: readonly string[] = [
  "$schema",
  "name",
  "portsAttributes",
  "otherPortsAttributes",
  "shutdownAction",
  "userEnvProbe",
  "updateRemoteUserUID",
  "init",
  "extensions",
  "settings",
  "devPort",
];

function unheld(name: string, instead: string | ((checkout: string) => string)): [string, UnheldProperty] {
  return [name, { instead: typeof instead === "string" ? () => instead : instead, asksFor: isSomething }];
}

function isSomething(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== false && value !== "";
}
