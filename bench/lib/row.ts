/**
 * What a row of the benchmark is: something measured on Slipway, and on a plain OpenSSH `sshd` beside it where `sshd` has
 * such a thing.
 *
 * @module
 */
import type { Client } from "../../test/harness/client.ts";
import type { TestService } from "../../test/harness/service.ts";
import type { PlainSshd } from "./plain-sshd.ts";

/** One of the two that are compared, with its environment or account there and warm. */
export interface Server {
  readonly name: "slipway" | "sshd";
  readonly client: Client;
  /** `user@host` for the client's configuration. */
  readonly destination: string;
}

/** Both servers, running. */
export interface Bench {
  /** Whether to be done soon rather than exact. */
  readonly isQuick: boolean;
  readonly service: TestService;
  readonly sshd: PlainSshd;
  readonly ours: Server;
  readonly plain: Server;
  /** A folder of the benchmark's own, gone afterwards. */
  readonly folder: string;
}

/** One line of the table, in words. */
export interface Outcome {
  readonly what: string;
  /** Figure of sshd. */
  readonly baseline?: string;
  readonly ours?: string;
  /** Ours against the baseline. */
  readonly ratio?: string;
  /** What it should be. */
  readonly reach?: string;
  /** Absent where nothing is to be reached. */
  readonly isMet?: boolean;
  readonly note?: string;
}

/** @typeParam On what it is measured on */
export interface Row<On = Bench> {
  /** For `--only`. */
  readonly name: string;
  readonly what: string;
  /** After this long the row is given up. */
  readonly limitMs: number;
  /** How long a row that was given up may take to clear away what is not on this machine. @default 0 */
  readonly clearMs?: number;
  /** @throws {Error} which then stands in the table */
  measure(bench: On, signal: AbortSignal): Promise<Outcome[]>;
}

/** What stands beside a figure. */
export interface About {
  readonly what: string;
  /** Writes a figure with its unit. */
  readonly format: (value: number) => string;
  readonly note?: string;
  /** Why it falls short where it does; joins the note there alone. */
  readonly whyShort?: string;
  /** What the baseline is of. @default sshd */
  readonly than?: string;
}

/** Judges a time: at most `most` times the baseline. */
export function atMostTimes(most: number, about: About, figures: { baseline: number; ours: number }): Outcome {
  const ratio = figures.ours / figures.baseline;
  return judged(about, figures, { reach: `≤ ${most} × ${about.than ?? "sshd"}`, isMet: ratio <= most });
}

/** Judges a rate: at least `least` times the baseline. */
export function atLeastTimes(least: number, about: About, figures: { baseline: number; ours: number }): Outcome {
  const ratio = figures.ours / figures.baseline;
  return judged(about, figures, { reach: `≥ ${least} × ${about.than ?? "sshd"}`, isMet: ratio >= least });
}

/** Judges a figure by a number of its own. */
export function atMost(most: number, about: About, figures: { baseline?: number; ours: number }): Outcome {
  return judged(about, figures, { reach: `≤ ${about.format(most)}`, isMet: figures.ours <= most });
}

function judged(
  about: About,
  figures: { baseline?: number; ours: number },
  verdict: { reach: string; isMet: boolean },
): Outcome {
  const notes = [about.note, verdict.isMet ? undefined : about.whyShort].filter((text) => text !== undefined);
  return { ...compared({ ...about, note: notes.join("; ") }, figures), ...verdict };
}

/** Sets figures beside each other without a verdict. */
export function compared({ what, format, note }: About, figures: { baseline?: number; ours: number }): Outcome {
  const { baseline, ours } = figures;
  return {
    what,
    ours: format(ours),
    ...(baseline === undefined ? {} : { baseline: format(baseline), ratio: (ours / baseline).toFixed(2) }),
    ...(note === undefined ? {} : { note }),
  };
}
