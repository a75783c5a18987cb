/**
 * Figures out of samples, and how they are written.
 *
 * @module
 */

/** The value below which `share` (0 to 1) of the samples lie: the nearest rank. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
  if (value === undefined) throw new Error("Cannot take a quantile: there are no samples");
  return value;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Milliseconds with as many digits as mean something. */
export function formatMs(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 3 : ms < 100 ? 1 : 0)} ms`;
}

/** Bytes a second, as MB/s of 10⁶ bytes. */
export function formatRate(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e6).toFixed(0)} MB/s`;
}

export function formatKilobytes(bytes: number): string {
  return `${(bytes / 1e3).toFixed(0)} kB`;
}

export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
