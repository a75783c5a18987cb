/**
 * Amounts as Kubernetes writes them: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 *
 * @module
 */

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Reads an amount; `undefined` for what is none. */
export function readQuantity(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const [, digits = "", unit = "", exponent = "0"] =
    /^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([-+]?[0-9]{1,3}))?$/.exec(value) ?? [];
  const amount = Number(digits) * (FACTORS[unit] ?? Number.NaN) * 10 ** Number(exponent);
  return digits !== "" && Number.isFinite(amount) ? amount : undefined;
}

/** Writes a number of processors, to the thousandth. */
export function writeCpu(cpuCount: number): string {
  const thousandths = Math.max(1, Math.round(cpuCount * 1_000));
  return thousandths % 1_000 === 0 ? String(thousandths / 1_000) : `${thousandths}m`;
}

/** Writes a number of bytes. */
export function writeBytes(bytes: number): string {
  const whole = Math.max(1, Math.floor(bytes));
  if (whole % FACTOR_GI === 0) return `${whole / FACTOR_GI}Gi`;
  return whole % FACTOR_MI === 0 ? `${whole / FACTOR_MI}Mi` : String(whole);
}

const FACTOR_GI = 2 ** 30;
const FACTOR_MI = 2 ** 20;
