/**
 * Where the environments of these tests are: on this machine, or on the cluster of the tests in one kind of image. Which one
 * is said by the vitest project (`vitest.config.ts`); what differs between them, and nothing else, is here.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inject } from "vitest";
import type { RepositoryOptions } from "../harness/repositories.ts";

/** An image is of a distribution with the tools of a team, of BusyBox alone, or without even a shell. */
export type PlaceName = "machine" | "debian" | "alpine-like" | "distroless";

declare module "vitest" {
  interface ProvidedContext {
    /** @default machine */
    place?: PlaceName;
  }
}

/** What tests have to know of a place. */
export interface Place {
  readonly name: PlaceName;
  /** What environments of the cluster are made of. */
  readonly image?: string;
  /** Whether this is the number of an environment's user there. */
  isUid(uid: number): boolean;
  /** Programs that the suite could use there and the place has not. */
  readonly lacks: readonly string[];
  /** What there is said while an environment of `hello` is made, with N in the stead of numbers; `branch` is new. */
  progress(branch: string): readonly string[];
}

/** What runs there only where a distribution put it: the toolbox has none of these. */
const OF_A_DISTRIBUTION = ["curl", "getconf", "nc -U", "node", "python3", "sshd", "tmux"];

function onCluster(image: string, uid: number, lacks: readonly string[]): Omit<Place, "name"> {
  const progress = (branch: string): string[] => [
    ...["reading what hello is … N ms", "fetching hello … N ms", "making its namespace … N ms"],
    ...["applying its objects … N ms", "starting the pod … N ms", `checking out ${branch} … N ms`],
    "running onCreateCommand … N ms",
  ];
  return { image: `slipway/${image}:test`, isUid: (seen) => seen === uid, lacks, progress };
}

const PLACES: Readonly<Record<PlaceName, Omit<Place, "name">>> = {
  machine: {
    isUid: (uid) => uid >= 300_000,
    lacks: [],
    progress: (branch) => [
      ...["fetching hello … N ms", "preparing the files … N ms", `checking out ${branch} … N ms`, "starting … N ms"],
      "running onCreateCommand … N ms",
    ],
  },
  debian: onCluster("sample-development", 1_000, []),
  "alpine-like": onCluster("sample-alpine-like", 1_000, OF_A_DISTRIBUTION),
  distroless: onCluster("sample-distroless", 1_000, [...OF_A_DISTRIBUTION, "/bin/sh"]),
};

/** The place of this run. */
export function place(): Place {
  const name = inject("place") ?? "machine";
  return { name, ...PLACES[name] };
}

/** Says why a test cannot be there, or `undefined` when the place has these programs. */
export function whyNotThere(...programs: readonly string[]): string | undefined {
  const { name, lacks } = place();
  const missing = programs.filter((program) => lacks.includes(program));
  return missing.length === 0 ? undefined : `the image ${name} lacks ${missing.join(", ")}`;
}

const HELLO = join(import.meta.dirname, "../../examples/hello");

/** The sample with a service that the place can run: without node the toolbox's own web server shows the same page. */
export function asThere(repository: RepositoryOptions): RepositoryOptions {
  if (whyNotThere("node") === undefined) return repository;
  const read = (path: string): string => readFileSync(join(HELLO, path), "utf8");
  const [definition, page] = [".devcontainer/devcontainer.json", "public/index.html"];
  const run = "echo listening on 127.0.0.1:3000; exec httpd -f -p 127.0.0.1:3000 -h public";
  const files = {
    [definition]: read(definition).replace("node server.js", run),
    [page]: read(page).replaceAll("{greeting}", "Hello"),
  };
  return { ...repository, files: { ...files, ...repository.files } };
}
