/**
 * The records of the audit log, one JSON object a line. `gateway/audit/` writes and verifies them; `slip audit` and
 * whoever else reads the file can rely on these shapes: fields are only ever added, and only optional ones.
 *
 * @module
 */
import { z } from "zod";

const session = { session: z.string() };
const fingerprint = z.string().startsWith("SHA256:");

/** What happened, without the place in the chain. Byte and millisecond counts are whole numbers. */
const AuditEvent = z.discriminatedUnion("type", [
  /** With the host keys there were: whoever rotated them while no service ran shows between two of these. */
  z.strictObject({ type: z.literal("service.started"), pid: z.int(), hostKeys: z.array(fingerprint).optional() }),
  z.strictObject({ type: z.literal("service.stopped"), reason: z.string() }),
  /** The last line was cut short by a crash and moved to a file beside the log. */
  z.strictObject({ type: z.literal("log.torn"), bytes: z.int(), movedTo: z.string() }),
  /** One step of a rotation, when the service took it up: a key was added, or an older one retired. */
  z.strictObject({
    type: z.literal("hostkey.rotated"),
    added: fingerprint.optional(),
    retired: fingerprint.optional(),
  }),
  /**
   * A connection whose key was proved and that was not admitted; `reason` is what it was told. Strangers, who prove
   * none, are counted in the metrics alone: they could fill the disk. `person` is absent where the key does not say who.
   */
  z.strictObject({
    type: z.literal("connection.refused"),
    ...session,
    from: z.string(),
    reason: z.string(),
    login: z.string().optional(),
    person: z.string().optional(),
    fingerprint: fingerprint.optional(),
  }),
  /** `environment` is absent for the lobby. */
  z.strictObject({
    type: z.literal("session.opened"),
    ...session,
    person: z.string(),
    fingerprint,
    from: z.string(),
    login: z.string(),
    environment: z.string().optional(),
  }),
  /** A channel, a program on one, or a forward back to the client; `what` begins with its name in the SSH protocol. */
  z.strictObject({ type: z.literal("channel.opened"), ...session, what: z.string() }),
  z.strictObject({ type: z.literal("request.refused"), ...session, what: z.string(), reason: z.string() }),
  z.strictObject({
    type: z.literal("session.ended"),
    ...session,
    reason: z.string(),
    bytesIn: z.int(),
    bytesOut: z.int(),
    ms: z.int(),
  }),
  z.strictObject({
    type: z.literal("environment.created"),
    environment: z.string(),
    person: z.string(),
    repository: z.string(),
    branch: z.string(),
  }),
  /** An environment was handed a token that pushes to its repository, for its person. The token is nowhere. */
  z.strictObject({
    type: z.literal("credential.issued"),
    environment: z.string(),
    person: z.string(),
    repository: z.string(),
  }),
  /** `by` is the person who asked; absent when Slipway itself did. */
  z.strictObject({
    type: z.literal("environment.destroyed"),
    environment: z.string(),
    person: z.string(),
    by: z.string().optional(),
    forced: z.boolean(),
  }),
]);

/** The place of a record in the chain. Hashes are SHA-256 in lower-case hexadecimal. */
const AuditPlace = z.object({
  /** From 1, without gaps. */
  seq: z.int().min(1),
  /** UTC, as in `2026-08-22T10:00:00.000Z`. */
  at: z.iso.datetime(),
  /** Hash of the record before; 64 zeros in the first. */
  prev: z.hex().length(64),
  /** Over the canonical JSON of the record without this field. */
  hash: z.hex().length(64),
});

export type AuditEvent = Readonly<z.infer<typeof AuditEvent>>;
export type AuditRecord = AuditEvent & Readonly<z.infer<typeof AuditPlace>>;

/** Checks one parsed line of the log; returns what is wrong with it as a sentence. */
export function checkAuditRecord(value: unknown): AuditRecord | { readonly wrong: string } {
  const place = AuditPlace.safeParse(value);
  if (!place.success) return { wrong: firstIssue(place.error) };
  const { seq: _seq, at: _at, prev: _prev, hash: _hash, ...rest } = z.looseObject({}).parse(value);
  const event = AuditEvent.safeParse(rest);
  return event.success ? { ...event.data, ...place.data } : { wrong: firstIssue(event.error) };
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? "it has another shape" : `${issue.path.join(".") || "record"}: ${issue.message}`;
}
