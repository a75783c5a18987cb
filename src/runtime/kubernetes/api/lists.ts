/**
 * Whole lists, page by page, each as of one version of the server's state.
 *
 * @module
 */
import { Fault } from "../../../base/fault.ts";
import type { KubernetesObject, ObjectKind } from "../../../wire/kubernetes.ts";
import type { ListWhere } from "./cluster-api.ts";
import type { Connection } from "./connection.ts";
import { type Page, pathOf, takePage } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { statusOf, unreachedFault } from "./server-status.ts";

export interface ListOptions {
  readonly connection: Pick<Connection, "name">;
  readonly requests: Requests;
  readonly kind: ObjectKind;
  readonly where: ListWhere;
}

/** As client-go's reflector has it. */
const PAGE_COUNT = 500;

/** A server that compacts its history faster than pages are read is asked for all at once in the end. */
const PAGED_TRIES = 2;

/** Lists everything as it is now. @throws {Fault} `cluster.*` */
export async function listAll(
  options: ListOptions,
  signal: AbortSignal,
): Promise<{ objects: KubernetesObject[]; resourceVersion: string }> {
  for (let tryCount = 1; ; tryCount += 1) {
    try {
      return await listPages(options, tryCount <= PAGED_TRIES ? PAGE_COUNT : undefined, signal);
    } catch (error) {
      if (tryCount > PAGED_TRIES || !(error instanceof Fault) || statusOf(error)?.code !== 410) throw error;
    }
  }
}

/** Reads the version of the server's state, from a list of one. @throws {Fault} `cluster.*` */
export async function readVersion(options: ListOptions, signal: AbortSignal): Promise<string> {
  // Without the selector: to find one that it fits, a server may have to look at all.
  const { namespace } = options.where;
  const where = namespace === undefined ? {} : { namespace };
  return (await readPage({ ...options, where }, { limit: "1" }, signal)).resourceVersion;
}

async function listPages(options: ListOptions, limit: number | undefined, signal: AbortSignal) {
  const objects: KubernetesObject[] = [];
  let next: string | undefined;
  for (;;) {
    const page = await readPage(options, { limit: limit?.toString(), continue: next }, signal);
    for (const object of page.objects) objects.push(object);
    if (page.continue === undefined) return { objects, resourceVersion: page.resourceVersion };
    next = page.continue;
  }
}

async function readPage(
  { connection, requests, kind, where }: ListOptions,
  query: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Page> {
  const within = where.namespace === undefined ? {} : { namespace: where.namespace };
  const asked = { verb: "list", resource: kind.resource, ...within };
  const path = pathOf(kind, where.namespace);
  const ask = { ...asked, method: "GET", path, isRepeatable: true } as const;
  const { labelSelector, fieldSelector } = where;
  const { body } = await requests.send({ ...ask, query: { labelSelector, fieldSelector, ...query } }, signal);
  const page = takePage(body, kind);
  if (page === undefined) throw unreachedFault(connection.name, asked, `the answer is no list of ${kind.resource}`);
  return page;
}
