/**
 * Reads GitHub's webhooks: whether one is signed, and what it hints at. Pure.
 *
 * A hint only ever causes a fresh question, so a webhook that comes twice, late or in another order does no harm.
 *
 * Source: docs.github.com, "Webhook events and payloads" and "Validating webhook deliveries".
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import type { Hint, WebhookReading } from "../forge-client.ts";
import { isSigned } from "../is-signed.ts";

/** @param secret `undefined`: none is set, so that nothing is signed */
export function readWebhook(headers: IncomingHttpHeaders, body: Buffer, secret: string | undefined): WebhookReading {
  if (!isSigned(body, signatureIn(headers["x-hub-signature-256"]), secret)) return { type: "unsigned" };
  const event = headers["x-github-event"];
  if (typeof event !== "string") return { type: "malformed", why: "it names no event" };
  const reader = READERS.get(event);
  if (reader === undefined) return { type: "hints", hints: [] };
  const payload = parse(body);
  if (payload === undefined) return { type: "malformed", why: `${event}: the body is not JSON` };
  return reader(event, payload);
}

/** The signature in `sha256=<hexadecimal>`; empty when there is none of that form. */
function signatureIn(header: unknown): string {
  return typeof header === "string" ? (/^sha256=(.*)$/i.exec(header)?.[1] ?? "") : "";
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

type Reader = (event: string, payload: unknown) => WebhookReading;

/** A reader of events that have this shape. */
function shaped<Payload>(schema: z.ZodType<Payload>, hintsOf: (payload: Payload) => readonly Hint[]): Reader {
  return (event, payload) => {
    const checked = schema.safeParse(payload);
    if (checked.success) return { type: "hints", hints: hintsOf(checked.data) };
    const [issue] = checked.error.issues;
    return { type: "malformed", why: `${event}: ${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? ""}` };
  };
}

const EVERYTHING: Hint = { type: "everything" };
const always: Reader = () => ({ type: "hints", hints: [EVERYTHING] });

const Id = z.int().positive();
const Thing = z.object({ id: Id });
const Action = z.object({ action: z.string() });

const ofRepository = (repository: { readonly id: number }): Hint => ({
  type: "repository",
  repositoryId: String(repository.id),
});
const rolesOf = (account: { readonly id: number }): Hint => ({ type: "roles-of", accountId: String(account.id) });

const member = shaped(z.object({ member: Thing, repository: Thing }), (payload) => [
  { type: "role", accountId: String(payload.member.id), repositoryId: String(payload.repository.id) },
]);

/** Of a team: its repositories are not named, and those of one person are fewer than those of all. */
const membership = shaped(z.object({ member: Thing }), (payload) => [rolesOf(payload.member)]);

/** A team that was deleted or edited had repositories that the payload does not name. */
const team = shaped(Action.extend({ repository: Thing.optional() }), ({ action, repository }) => {
  if (repository !== undefined) return [ofRepository(repository)];
  return action === "created" ? [] : [EVERYTHING];
});

const teamAdd = shaped(z.object({ repository: Thing }), ({ repository }) => [ofRepository(repository)]);

/** A person whose account is deleted is shown as nobody. */
const ofMember = shaped(z.object({ membership: z.object({ user: Thing.nullable() }) }), ({ membership: { user } }) => [
  user === null ? EVERYTHING : rolesOf(user),
]);

/** Whoever is only invited has nothing yet. */
const ofOrganization = shaped(Action, ({ action }) => (action === "member_invited" ? [] : [EVERYTHING]));

const MEMBER_ACTIONS: ReadonlySet<unknown> = new Set(["member_added", "member_removed"]);

const organization: Reader = (event, payload) => {
  const action = Action.safeParse(payload).data?.action;
  return MEMBER_ACTIONS.has(action) ? ofMember(event, payload) : ofOrganization(event, payload);
};

const orgBlock = shaped(z.object({ blocked_user: Thing.nullable() }), ({ blocked_user: user }) => [
  user === null ? EVERYTHING : rolesOf(user),
]);

/** What is new, or came from another owner, is not known by its number yet. */
const repository = shaped(Action.extend({ repository: Thing }), (payload) => {
  const isNew = payload.action === "created" || payload.action === "transferred";
  return isNew ? [ofRepository(payload.repository), EVERYTHING] : [ofRepository(payload.repository)];
});

const pushed = shaped(z.object({ repository: Thing }), (payload) => [
  { type: "pushed", repositoryId: String(payload.repository.id) },
]);

const installationRepositories = shaped(
  z.object({ repositories_added: z.array(Thing), repositories_removed: z.array(Thing) }),
  ({ repositories_added: added, repositories_removed: removed }) => [
    ...removed.map(ofRepository),
    ...(added.length > 0 ? [EVERYTHING] : []),
  ],
);

/**
 * All events that say something about who may do what, and `push`. `ping` and `github_app_authorization` say nothing, and
 * whatever GitHub makes up later is not known to.
 */
const READERS = new Map<string, Reader>([
  ["member", member],
  ["membership", membership],
  ["team", team],
  ["team_add", teamAdd],
  ["organization", organization],
  ["org_block", orgBlock],
  ["repository", repository],
  ["public", teamAdd],
  ["push", pushed],
  ["installation", always],
  ["installation_repositories", installationRepositories],
  ["installation_target", always],
  // The webhook itself was deleted: what it would have said has to be asked.
  ["meta", always],
]);

/** Says whether an event tells of where the App is installed. */
export function isOfInstallations(headers: IncomingHttpHeaders): boolean {
  const event = headers["x-github-event"];
  return typeof event === "string" && event.startsWith("installation");
}
