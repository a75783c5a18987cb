/**
 * The properties of a `devcontainer.json` that have no effect here: what people are told instead of each, and those that
 * nobody misses. From https://containers.dev/implementors/json_reference/ and the schema beside it (2026-01).
 *
 * @module
 */

/** Kinds of places that run environments. */
export type Place = "sandbox" | "kubernetes";

interface UnheldProperty {
  /** What holds instead, as the end of a sentence; `undefined` where the property holds. */
  readonly instead: (place: Place, checkout: string) => string | undefined;
  /** Says whether the value asks for anything: `"privileged": false` need not be told about. */
  readonly asksFor: (value: unknown) => boolean;
}

/** The end of a sentence, or one for each place; `undefined` where the property holds. */
type Instead = string | { readonly sandbox: string | undefined; readonly kubernetes: string | undefined };

const IMAGE = {
  sandbox: "the environment has the root file system of its machine, not an image",
  kubernetes: 'images are not built here; name one that is in "image"',
};
const COMPOSE = {
  sandbox: "Compose is not started; customizations.slipway.run keeps a service running",
  kubernetes: "Compose is not started; customizations.slipway.manifests names what runs beside it",
};
const FEATURES = {
  sandbox: "features are not installed; install what is needed in onCreateCommand",
  kubernetes: "features are not installed; have what is needed in the image",
};
const CONTAINER = {
  sandbox: "there is no container that it could be an option of",
  kubernetes: "no container engine is here that it could be an option of; manifests can say more of a pod",
};
const PRIVILEGE = "nothing in an environment gets privileges";
const MOUNT = {
  sandbox: "nothing is mounted but the checkout at {checkout}",
  kubernetes: "nothing is mounted but the checkout at {checkout} and the volumes of manifests",
};

/** By name, in the order in which they are told. */
export const unheldProperties: ReadonlyMap<string, UnheldProperty> = new Map([
  unheld("image", { ...IMAGE, kubernetes: undefined }),
  unheld("build", IMAGE),
  unheld("dockerFile", IMAGE),
  unheld("context", IMAGE),
  unheld("dockerComposeFile", COMPOSE),
  unheld("service", COMPOSE),
  unheld("runServices", COMPOSE),
  unheld("features", FEATURES),
  unheld("overrideFeatureInstallOrder", "features are not installed"),
  unheld("mounts", MOUNT),
  unheld("workspaceMount", MOUNT),
  unheld("runArgs", CONTAINER),
  unheld("capAdd", PRIVILEGE),
  unheld("securityOpt", PRIVILEGE),
  unheld("privileged", PRIVILEGE),
  unheld("initializeCommand", "there is no machine before the environment; onCreateCommand runs first"),
  unheld("hostRequirements", {
    sandbox: "the limits of an environment are in the settings of the service",
    kubernetes: undefined,
  }),
  unheld(
    "overrideCommand",
    {
      sandbox: "there is no image with a command; customizations.slipway.run keeps a service running",
      kubernetes: "the command of the container is Slipway's own; customizations.slipway.run keeps a service running",
    },
    (value) => value === false,
  ),
  unheld("appPort", "no port is published; forwardPorts and ssh -L reach it"),
  unheld("secrets", {
    sandbox: "nobody is asked for secrets; set them inside the environment",
    kubernetes: "nobody is asked for secrets; have a Secret among the manifests, or set them inside the environment",
  }),
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

function unheld(name: string, instead: Instead, asksFor: UnheldProperty["asksFor"] = isSomething) {
  const at = (place: Place): string | undefined => (typeof instead === "string" ? instead : instead[place]);
  const property: UnheldProperty = {
    instead: (place, checkout) => at(place)?.replace("{checkout}", () => checkout),
    asksFor,
  };
  return [name, property] as const;
}

function isSomething(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== false && value !== "";
}
