/**
 * What the webhooks of Gitea and Forgejo hint at. They tell of repositories that are made and deleted, and of nothing
 * else that access rests on: there is no event for collaborators, teams, accounts, keys, renaming, moving or archiving
 * (modules/webhook/type.go). All that is noticed by asking.
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { Hint, WebhookReading } from "../forge-client.ts";
import { isSigned } from "../is-signed.ts";
import { isConnected } from "./meaning.ts";
import { Repository } from "./shapes.ts";

const RepositoryEvent = z.object({ action: z.string(), repository: Repository });
const PushEvent = z.object({ repository: Repository.pick({ id: true }) });

/** Verifies the signature of a webhook, and reads what it hints at. */
export function readGiteaWebhook(
  headers: IncomingHttpHeaders,
  body: Buffer,
  { secret, settings }: { readonly secret: string | undefined; readonly settings: ForgeSettings },
): WebhookReading {
  const payload = payloadOf(headers, body);
  const signature = headers["x-forgejo-signature"] ?? headers["x-gitea-signature"];
  if (typeof signature !== "string" || !isSigned(payload, signature, secret)) return { type: "unsigned" };
  const event = headers["x-forgejo-event"] ?? headers["x-gitea-event"];
  if (event === undefined) return { type: "malformed", why: "no header names the event" };
  const json = parse(payload);
  if (json === undefined) return { type: "malformed", why: "the body is no JSON object" };
  if (event === "push") {
    return read(event, PushEvent.safeParse(json), ({ repository }) => [
      { type: "pushed", repositoryId: String(repository.id) },
    ]);
  }
  if (event !== "repository") return { type: "hints", hints: [] };
  return read(event, RepositoryEvent.safeParse(json), (checked) => hintsOf(checked, settings));
}

function read<Shape>(
  event: string,
  checked: z.ZodSafeParseResult<Shape>,
  meaning: (of: Shape) => Hint[],
): WebhookReading {
  if (checked.success) return { type: "hints", hints: meaning(checked.data) };
  const [issue] = checked.error.issues;
  return { type: "malformed", why: `${event}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}` };
}

function hintsOf({ action, repository }: z.infer<typeof RepositoryEvent>, settings: ForgeSettings): Hint[] {
  const hint: Hint = { type: "repository", repositoryId: String(repository.id) };
  return action === "created" && isConnected(repository, settings) ? [hint, { type: "everything" }] : [hint];
}

/** A webhook may be set to come as a form: its signature is of the JSON in it (services/webhook/deliver.go). */
function payloadOf(headers: IncomingHttpHeaders, body: Buffer): Buffer {
  const isForm = headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true;
  return isForm ? Buffer.from(new URLSearchParams(body.toString()).get("payload") ?? "") : body;
}

function parse(payload: Buffer): unknown {
  try {
    const checked = z.record(z.string(), z.unknown()).safeParse(JSON.parse(payload.toString()));
    return checked.success ? checked.data : undefined;
  } catch {
    return undefined;
  }
}
