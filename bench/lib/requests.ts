/**
 * What a service has asked of API servers, as its /metrics counts it.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { TestService } from "../../test/harness/service.ts";

/** By `verb resource`. */
export type Requests = ReadonlyMap<string, number>;

const LINE = /^slipway_cluster_requests_total\{cluster="[^"]*",verb="([^"]*)",resource="([^"]*)"\} ([0-9]+)$/gm;

/** Verbs that change nothing. */
const READING: readonly string[] = ["get", "list", "watch", "exec"];

/** What follows a change, such as the next door, is over when nothing was asked for so long. */
const QUIET_MS = 1_500;

/** Reads what was counted since the service began. */
export async function readRequests(service: TestService): Promise<Requests> {
  const page = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
  return new Map([...page.matchAll(LINE)].map(([, verb, resource, count]) => [`${verb} ${resource}`, Number(count)]));
}

/** The same as soon as nothing more is asked. */
export async function readSettledRequests(service: TestService, signal: AbortSignal): Promise<Requests> {
  for (let before = await readRequests(service); ;) {
    await sleep(QUIET_MS, undefined, { signal });
    const now = await readRequests(service);
    if (sumOf(now) === sumOf(before)) return now;
    before = now;
  }
}

/** What was asked between the two. */
export function between(before: Requests, after: Requests): Requests {
  const news = [...after].map(([what, count]) => [what, count - (before.get(what) ?? 0)] as const);
  return new Map(news.filter(([, count]) => count > 0));
}

export function sumOf(requests: Requests, isMeant: (verb: string) => boolean = () => true): number {
  return [...requests].reduce((sum, [what, count]) => sum + (isMeant(what.split(" ")[0] ?? "") ? count : 0), 0);
}

/** Says whether a verb changes something in the cluster. */
export function isWriting(verb: string): boolean {
  return !READING.includes(verb);
}

/** Writes them verb by verb: `patch 12 (namespaces 3, pods 1, …), exec 2 (pods 2)`. */
export function writeRequests(requests: Requests): string {
  const verbs = new Map<string, string[]>();
  for (const [what, count] of requests) {
    const [verb = "", resource = ""] = what.split(" ");
    verbs.set(verb, [...(verbs.get(verb) ?? []), `${resource} ${count}`]);
  }
  const total = (verb: string): number => sumOf(requests, (one) => one === verb);
  return [...verbs].map(([verb, resources]) => `${verb} ${total(verb)} (${resources.join(", ")})`).join("; ");
}
