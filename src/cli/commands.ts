/**
 * The commands of `slip` as data: names, arguments, options and summaries, from which parsing, help and `docs/cli.md`
 * come. What a command does is handed in by `cmd/`.
 *
 * @module
 */
import {
  JSON_OPTION,
  optionUsage,
  readWords,
  usageOf,
  wrongUsage,
  type CommandShape,
  type Invocation,
  type OptionSpec,
} from "../base/command-line.ts";
import { meantBy } from "../base/nearest.ts";

export interface CommandSpec extends CommandShape {
  readonly examples: readonly string[];
}

const SETTINGS: OptionSpec = {
  type: "string",
  value: "file",
  summary: "the settings file; slipway.yaml in this folder unless said",
};

export const commandSpecs = [
  {
    name: "slip serve",
    args: [],
    summary: "run the service until it is told to stop (SIGTERM or SIGINT); SIGHUP reads the key files again",
    options: {
      settings: SETTINGS,
      "drain-ms": {
        type: "string",
        value: "ms",
        summary: "how long live sessions may go on after the signal; 10000 unless said",
      },
    },
    examples: ["slip serve", "slip serve --settings /etc/slipway/slipway.yaml --drain-ms 60000"],
  },
  {
    name: "slip check",
    args: [],
    summary: "check the settings file whole and print every complaint",
    options: {
      settings: SETTINGS,
      online: {
        type: "boolean",
        summary:
          "read the secrets too, try each forge's credential and each cluster, and say what they may not do by the exact names",
      },
      json: JSON_OPTION,
    },
    examples: ["slip check --settings slipway.yaml", "slip check --online"],
  },
  {
    name: "slip access explain",
    args: ["person", "repository"],
    summary: "say whether somebody may use a repository: by which route, when last verified, from which answer",
    options: { json: JSON_OPTION },
    examples: ["slip access explain ada acme/shop", "slip access explain github/ada shop --json"],
  },
  {
    name: "slip access list",
    args: [],
    summary: "list who may use what; one repository's list is verified now",
    options: {
      repository: { type: "string", value: "name", summary: "of this one: name, owner/name, or id" },
      person: { type: "string", value: "name", summary: "for this one: login, forge/login, or id" },
      json: JSON_OPTION,
    },
    examples: ["slip access list --repository acme/shop", "slip access list --person ada"],
  },
  {
    name: "slip authorized-keys",
    args: [],
    summary: "print the keys that a stock OpenSSH server is to let in as a Unix user, for its AuthorizedKeysCommand",
    options: {
      user: { type: "string", value: "name", summary: "a user under authorizedKeys in the settings; must be there" },
      folder: {
        type: "string",
        value: "path",
        summary: "write the file of that name here instead, whole or not at all; empty when nobody is left",
      },
      json: JSON_OPTION,
    },
    examples: ["slip authorized-keys --user shop", "slip authorized-keys --user shop --folder /etc/ssh/slipway"],
  },
  {
    name: "slip install kubernetes",
    args: [],
    summary: "print what runs Slipway inside of a Kubernetes cluster, with no more rights than it uses",
    options: {
      settings: {
        type: "string",
        value: "file",
        summary: "slipway.yaml of the service in the cluster; an example to begin with unless said",
      },
      namespace: { type: "string", value: "name", summary: "where it runs; slipway unless said" },
      image: { type: "string", value: "name", summary: "of the gateway, as your nodes pull it" },
      service: {
        type: "string",
        value: "type",
        summary: "LoadBalancer, NodePort or ClusterIP; LoadBalancer unless said",
      },
      apply: { type: "boolean", summary: "apply it in its stead, as kubectl would" },
      kubeconfig: {
        type: "string",
        value: "file",
        summary: "for --apply; the variable KUBECONFIG or ~/.kube/config unless said",
      },
      chart: { type: "string", value: "folder", summary: "write a Helm chart there in its stead" },
    },
    examples: [
      "slip install kubernetes --settings slipway.yaml | kubectl apply -f -",
      "slip install kubernetes --settings slipway.yaml --apply --kubeconfig west.kubeconfig",
      "slip install kubernetes --chart ./slipway-chart",
    ],
  },
  {
    name: "slip pool ls",
    args: [],
    summary: "list the pools of environments that are kept ready",
    options: { json: JSON_OPTION },
    examples: ["slip pool ls"],
  },
  {
    name: "slip pool explain",
    args: ["name"],
    summary: "tell how a pool is: its members, hits and misses with their reasons, refill time and idle cost",
    options: { json: JSON_OPTION },
    examples: ["slip pool explain shop", "slip pool explain shop --json"],
  },
  {
    name: "slip gc",
    args: [],
    summary: "clear away what is on clusters and in no record of this service; what holds work is kept and told",
    options: {
      "dry-run": { type: "boolean", summary: "tell what would go, and change nothing" },
      json: JSON_OPTION,
    },
    examples: ["slip gc --dry-run"],
  },
  {
    name: "slip hostkey list",
    args: [],
    summary: "list the host keys: which prove who we are, which are only announced",
    options: { json: JSON_OPTION },
    examples: ["slip hostkey list"],
  },
  {
    name: "slip hostkey rotate",
    args: [],
    summary: "take the next step of a rotation: announce a new key, or, on the second call, switch to it",
    options: {
      type: { type: "string", value: "ed25519|rsa", summary: "which key; ed25519 unless said" },
      json: JSON_OPTION,
    },
    examples: ["slip hostkey rotate"],
  },
  {
    name: "slip audit verify",
    args: [],
    summary: "check that no record of the audit log was changed, removed or inserted",
    options: {
      head: {
        type: "string",
        value: "hash",
        summary: "the log must still contain the record with this hash at its end or before",
      },
      json: JSON_OPTION,
    },
    examples: ["slip audit verify", "slip audit verify --head 3f1c…"],
  },
  {
    name: "slip help",
    args: ["[command]", "[subcommand]"],
    summary: "print help",
    options: {},
    examples: ["slip help serve"],
  },
] as const satisfies readonly CommandSpec[];

export type CommandName = (typeof commandSpecs)[number]["name"];

const all: readonly CommandSpec[] = commandSpecs;

/** Reads the words behind `slip`. @throws {Fault} `usage.wrong` with the nearest command or the usage */
export function readInvocation(words: readonly string[]): { name: CommandName } & Invocation {
  const isBare = words.length === 0 || words[0] === "--help" || words[0] === "-h";
  const asked = ["slip", ...(isBare ? ["help"] : words)];
  const spec = commandSpecs.find(({ name }) => name.split(" ").every((word, at) => asked[at] === word));
  if (spec === undefined) throw unknownCommand(asked);
  const named = spec.name.split(" ");
  const rest = asked.slice(named.length);
  if (rest.includes("--help") || rest.includes("-h")) return { name: "slip help", args: named.slice(1), options: {} };
  return { name: spec.name, ...readWords(spec, rest) };
}

function unknownCommand(asked: readonly string[]): Error {
  const near = meantBy(
    asked.slice(0, 3).join(" "),
    all.map(({ name }) => name),
  );
  const hint = near === undefined ? '; "slip help" lists them' : `; did you mean "${near}"?`;
  return wrongUsage(`there is no command ${JSON.stringify(asked.slice(1, 3).join(" "))}${hint}`);
}

/** Writes the help of one command, or of all. @throws {Fault} `usage.wrong` when there is no such command */
export function helpText(words: readonly string[]): string {
  if (words.length === 0) {
    const width = Math.max(...all.map(({ name }) => name.length));
    const rows = all.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
    return ["Slipway: infrastructure for iteration over SSH", "", ...rows, "", 'Of one: "slip help <command>".'].join(
      "\n",
    );
  }
  const spec = all.find(({ name }) => name === ["slip", ...words].join(" "));
  if (spec === undefined) throw unknownCommand(["slip", ...words]);
  const options = Object.entries(spec.options).map(
    ([name, option]) => `  ${optionUsage(name, option)}  ${option.summary}`,
  );
  const examples = spec.examples.map((example) => `  $ ${example}`);
  return [usageOf(spec), "", `  ${spec.summary}`, "", ...options, "", ...examples].join("\n");
}
