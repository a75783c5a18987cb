/**
 * Puts the clock of the process that loads it first (`node --import`) ahead by `SLIPWAY_TEST_SKEW_MS`, or back: every time of
 * day that the process is told, not how long things take.
 *
 * @module
 */
const RealDate = Date;
const skewMs = Number(process.env["SLIPWAY_TEST_SKEW_MS"] ?? 0);
const now = (): number => RealDate.now() + skewMs;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: [] | [number | string]) => (given.length === 0 ? new target(now()) : new target(...given)),
  get: (target, name) => (name === "now" ? now : (Reflect.get(target, name) as unknown)),
});
