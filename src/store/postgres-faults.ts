/**
 * Tells a database that does not answer from a query that is wrong.
 *
 * @module
 */
import { DatabaseError } from "pg";
import { Fault } from "../base/fault.ts";

/**
 * What a server says that cannot do now what it can do at other times (postgresql.org/docs/current/errcodes-appendix.html):
 * 08 connection exceptions, 25006 it became a read-only standby, 28 and 3D000 it does not let us in, 40 try again, 53 out
 * of disk, memory or connections, 55P03 and 57014 our time limit passed, 57P it was shut down or is starting.
 */
const UNABLE = /^(08...|25006|28...|3D000|40...|53...|55P03|57014|57P..)$/;

/** Makes a `state.unreached` of what shows that the database at `name` does not answer; leaves everything else as it is. */
export function translateLoss(cause: unknown, name: string): unknown {
  if (!isLoss(cause)) return cause;
  return new Fault("state.unreached", `Cannot ask the database ${name}: ${reasonOf(cause)}`, { cause });
}

function isLoss(cause: unknown): cause is Error {
  if (cause instanceof Fault) return false;
  if (cause instanceof DatabaseError) return UNABLE.test(cause.code ?? "");
  // What no server said is about the connection: `pg` gives such errors no code, and the operating system and TLS many.
  return cause instanceof Error && !(cause instanceof TypeError || cause instanceof RangeError);
}

function reasonOf(cause: Error): string {
  // One message for each address of a host: net.connect, "autoSelectFamily".
  if (cause instanceof AggregateError) return cause.errors.map(String).join("; ");
  return cause.message;
}
