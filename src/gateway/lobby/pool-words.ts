/**
 * Pools in words, for the lobby.
 *
 * @module
 */
import type { PoolExplanation, PoolRow } from "../../wire/lobby.ts";

/** The cells of a line of `pool ls`. */
export function poolCells(row: PoolRow): string[] {
  const { name, repository, cluster = "any", wanted, ready, filling, failed, hitRatio, pausedBecause } = row;
  const paused = pausedBecause === undefined ? [] : [`paused: ${pausedBecause}`];
  return [
    name,
    repository,
    cluster,
    `${ready}/${wanted} ready`,
    `${filling} filling`,
    `${failed} failed`,
    ratioText(hitRatio),
    ...paused,
  ];
}

/** The lines of `pool explain`, one fact each. */
export function poolText(explained: PoolExplanation): string {
  const { wanted, ready, filling, failed, failedMember, sinceStart, lastDay, refillP50Ms } = explained;
  const rows: (readonly [string, string | undefined])[] = [
    ["pool", explained.name],
    ["repository", explained.repository],
    ["cluster", explained.cluster ?? "any"],
    ["members", `${ready} ready of ${wanted} wanted, ${filling} filling, ${failed} failed`],
    ["version", explained.version],
    ["image", explained.image],
    ["paused", pausedText(explained)],
    ["waiting", explained.waitingBecause],
    ["failed", failedMember && `${failedMember.id} on ${failedMember.cluster}: ${failedMember.reason}`],
    ["hits", `${countsText(sinceStart)} since the start, ${countsText(lastDay)} in the last day`],
    ...Object.entries(explained.missesBecause).map(([because, count]) => ["missed", `${count}: ${because}`] as const),
    ["refill", refillP50Ms === undefined ? undefined : `${(refillP50Ms / 1_000).toFixed(1)} s, half of them`],
    ["idle cost", `${usd(explained.idleUsd)} in 30 days, ${usd(explained.idleUsdPerHour)} an hour now`],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name}\t${value}`])).join("\n");
}

function pausedText({ pausedBecause, pausedUntil }: PoolExplanation): string | undefined {
  if (pausedBecause === undefined) return undefined;
  return pausedUntil === undefined ? pausedBecause : `until ${pausedUntil}: ${pausedBecause}`;
}

function countsText({ hits, misses, hitRatio }: PoolExplanation["lastDay"]): string {
  return hitRatio === undefined ? "none" : `${hits} of ${hits + misses} (${ratioText(hitRatio)})`;
}

function ratioText(ratio: number | undefined): string {
  return ratio === undefined ? "-" : `${Math.round(ratio * 100)} %`;
}

function usd(amount: number): string {
  return `${amount.toFixed(amount < 1 ? 4 : 2)} USD`;
}
