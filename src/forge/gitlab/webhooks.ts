/**
 * What GitLab's webhooks hint at: those of projects and groups, and the system hooks of a whole instance
 * (doc/administration/system_hooks.md, doc/user/project/integrations/webhook_events.md).
 *
 * GitLab signs nothing: it sends the secret itself. Nor does it say anything of a group that is invited to another one,
 * or of a project that is archived by itself; these are noticed by asking.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { Hint, WebhookReading } from "../forge-client.ts";
import { isConnected } from "./connected.ts";

export interface WebhookContext {
  readonly secret: string | undefined;
  readonly settings: ForgeSettings;
  /** Ids of accounts by name, as last seen: events of keys tell no id. */
  readonly idOfLogin: (login: string) => string | undefined;
}

const Id = z.int().positive();
const OfUser = z.object({ user_id: Id });
const OfMember = z.object({ user_id: Id, project_id: Id });
const OfProject = z.object({
  project_id: Id,
  path_with_namespace: z.string(),
  old_path_with_namespace: z.string().optional(),
});
const OfKey = z.object({ username: z.string().min(1) });

type Reader = (body: unknown, context: WebhookContext) => readonly Hint[];

const readMember = reader(OfMember, ({ user_id, project_id }) => [
  { type: "role", accountId: String(user_id), repositoryId: String(project_id) },
]);
/** By a group somebody has roles in all that is in it and in all that it is invited to. */
const readGroupMember = reader(OfUser, ({ user_id }) => [{ type: "roles-of", accountId: String(user_id) }]);
const readAccount = reader(OfUser, ({ user_id }) => [{ type: "account", accountId: String(user_id) }]);
const readProject = reader(OfProject, ({ project_id }) => [{ type: "repository", repositoryId: String(project_id) }]);
/** It may be connected only now. */
const readArrival = reader(OfProject, ({ project_id, path_with_namespace }, { settings }) => [
  { type: "repository", repositoryId: String(project_id) },
  ...(isConnected(path_with_namespace, settings) ? [{ type: "everything" } as const] : []),
]);
const readPush = reader(z.object({ project_id: Id }), ({ project_id }) => [
  { type: "pushed", repositoryId: String(project_id) },
]);
const readGroup: Reader = () => [{ type: "everything" }];

/** By `event_name`. What is not here changes nothing that access or pools rest on. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["user_add_to_team", readMember],
  ["user_remove_from_team", readMember],
  ["user_update_for_team", readMember],
  ["user_add_to_group", readGroupMember],
  ["user_remove_from_group", readGroupMember],
  ["user_update_for_group", readGroupMember],
  ["user_destroy", readAccount],
  ["user_rename", readAccount],
  // Not in the list of the documentation; read if they come.
  ["user_block", readAccount],
  ["user_unblock", readAccount],
  // Sent when somebody blocked tries to sign in, with the state.
  ["user_failed_login", readAccount],
  // A new key of somebody unknown is found when they come with it.
  ["key_create", readKey([])],
  ["key_destroy", readKey([{ type: "everything" }])],
  ["project_create", readArrival],
  ["project_transfer", readArrival],
  ["project_rename", readArrival],
  ["project_update", readProject],
  ["project_destroy", readProject],
  ["push", readPush],
  ["group_destroy", readGroup],
  ["group_rename", readGroup],
  ["subgroup_destroy", readGroup],
]);

/** Verifies the token of a webhook and reads what it hints at. */
export function readGitlabWebhook(headers: IncomingHttpHeaders, body: Buffer, context: WebhookContext): WebhookReading {
  const token = headers["x-gitlab-token"];
  if (context.secret === undefined || typeof token !== "string" || !isSame(token, context.secret)) {
    return { type: "unsigned" };
  }
  const event = parse(body);
  if (event === undefined) return { type: "malformed", why: "the body is no JSON object" };
  const name = event["event_name"];
  const read = typeof name === "string" ? READERS.get(name) : undefined;
  if (read === undefined) return { type: "hints", hints: [] };
  try {
    return { type: "hints", hints: read(event, context) };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const [issue] = error.issues;
    return { type: "malformed", why: `${String(name)}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}` };
  }
}

/** Compares hashes, which are of one length and tell nothing of how far two texts agree. */
function isSame(given: string, wanted: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(wanted));
}

function parse(body: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed = z.record(z.string(), z.unknown()).safeParse(JSON.parse(body.toString()));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function reader<Shape>(
  shape: z.ZodType<Shape>,
  hintsOf: (event: Shape, context: WebhookContext) => readonly Hint[],
): Reader {
  return (body, context) => hintsOf(shape.parse(body), context);
}

function readKey(unknown: readonly Hint[]): Reader {
  return reader(OfKey, ({ username }, { idOfLogin }) => {
    const accountId = idOfLogin(username);
    return accountId === undefined ? unknown : [{ type: "account", accountId }];
  });
}
