/**
 * The log: a value that gathers facts on its way down. Event names are constants (`session.opened`), never sentences
 * with values in them; values go into the facts.
 *
 * @module
 */
import { pino } from "pino";

export type Facts = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: string, facts?: Facts): void;
  info(event: string, facts?: Facts): void;
  warn(event: string, facts?: Facts): void;
  /** `cause` is logged with its stack and its own causes. */
  error(event: string, cause: unknown, facts?: Facts): void;
  /** A log that adds `facts` to each line it writes. */
  with(facts: Facts): Log;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Makes a log of one JSON object a line on `destination` (a file descriptor, 2 is stderr, or a path). */
export function makeLog(level: LogLevel, destination: number | string = 2): Log {
  const root = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: destination, sync: true }),
  );
  const wrap = (to: pino.Logger): Log => ({
    debug: (event, facts = {}) => {
      to.debug({ ...facts, event });
    },
    info: (event, facts = {}) => {
      to.info({ ...facts, event });
    },
    warn: (event, facts = {}) => {
      to.warn({ ...facts, event });
    },
    error: (event, cause, facts = {}) => {
      to.error({ ...facts, event, err: cause });
    },
    with: (facts) => wrap(to.child(facts)),
  });
  return wrap(root);
}
