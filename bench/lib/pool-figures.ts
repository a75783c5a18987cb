/**
 * What a service says of its pool, read from its log and from how claims came out.
 *
 * @module
 */
import type { TestService } from "../../test/harness/service.ts";
import { untilSo } from "./until-so.ts";

/** As `runtime/kubernetes/claiming.ts` and `controller/placing.ts` tell a person. */
const HIT = "claiming a prepared environment";
const MISS = /^slipway: made anew: (.*?)\r?$/m;

/** Ready members come so soon, also where much else goes on. */
const READY_MS = 120_000;

/** How a connection got its environment: from the pool, or why not. */
export function readClaim(banner: string): { readonly isHit: true } | { readonly isHit: false; readonly why: string } {
  if (banner.includes(HIT)) return { isHit: true };
  return { isHit: false, why: MISS.exec(banner)?.[1]?.replace(/ \(next in .*/, "") ?? "nothing was said" };
}

/** How long each member took to be made, in milliseconds, in the order in which they were ready. */
export function readMakingTimes(service: TestService): number[] {
  return service.events("pool.member-ready").map((event) => Number(event["tookMs"]));
}

/** Waits until there are `size` members, of which `claimed` have gone since the service began. */
export async function untilFull(
  service: TestService,
  { size, claimed }: { readonly size: number; readonly claimed: number },
  signal: AbortSignal,
): Promise<void> {
  const isFull = (): boolean => readMakingTimes(service).length - claimed >= size;
  await untilSo(`a pool of ${size}`, isFull, { waitMs: READY_MS, signal });
}
