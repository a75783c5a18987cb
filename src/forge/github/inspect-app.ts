/**
 * What a GitHub App may do and hears of, for `slip check --online`. Permissions are worded as GitHub's settings page of
 * an App words them.
 *
 * @module
 */
import type { Finding } from "../forge-client.ts";
import type { ForgeHttp } from "../http/forge-http.ts";
import type { InstallationList } from "./installations.ts";
import { App, type Installation } from "./shapes.ts";

interface Needed {
  readonly key: string;
  readonly text: string;
}

const NEEDED: readonly Needed[] = [
  { key: "metadata", text: "Repository permissions → Metadata: read" },
  { key: "contents", text: "Repository permissions → Contents: read" },
  { key: "members", text: "Organization permissions → Members: read" },
];

/**
 * Those that tell of somebody losing a right, and of new branches and commits, by which pools are refilled. Of keys and of
 * suspended people GitHub tells nothing.
 */
const EVENTS: readonly Needed[] = [
  { key: "member", text: "Member" },
  { key: "membership", text: "Membership" },
  { key: "organization", text: "Organization" },
  { key: "push", text: "Push" },
  { key: "repository", text: "Repository" },
  { key: "team", text: "Team" },
  { key: "team_add", text: "Team add" },
];

export interface InspectAppOptions {
  /** Asks as the App itself. */
  readonly http: ForgeHttp;
  readonly installations: InstallationList;
  readonly takesWebhooks: boolean;
}

/** @throws {Fault} `forge.refused` when the App's id and key are not accepted */
export async function inspectApp(options: InspectAppOptions, signal: AbortSignal): Promise<readonly Finding[]> {
  const { http, installations, takesWebhooks } = options;
  const app = await http.get("/app", App, { priority: "login", signal });
  if (app.status === "absent") return [{ isGood: false, text: "GitHub knows no App of this id" }];
  const { slug, permissions, events } = app.value;
  return [
    { isGood: true, text: `the App's private key is accepted${slug === undefined ? "" : `, for the App ${slug}`}` },
    ...NEEDED.map(({ key, text }) => findingOf(hasPermission(permissions, key), "the App", text)),
    pushing(permissions),
    ...(takesWebhooks ? hearing(events) : [unheard()]),
    ...installations.installations.flatMap(inspectInstallation),
  ];
}

function hasPermission(permissions: Readonly<Record<string, string>>, key: string): boolean {
  return permissions[key] !== undefined;
}

function findingOf(isGood: boolean, who: string, permission: string): Finding {
  return { isGood, text: `${who} ${isGood ? "has" : "needs"} ${permission}` };
}

/** Nobody has to be able to push by tokens: an agent that is forwarded does as well. */
function pushing({ contents }: Readonly<Record<string, string>>): Finding {
  if (contents === "write") return { isGood: true, text: "the App has Repository permissions → Contents: write" };
  const text = "the App makes no tokens for pushing, which would need Repository permissions → Contents: write";
  return { isGood: true, text };
}

function subscription(isGood: boolean, event: string): Finding {
  const text = isGood ? `the App is subscribed to the event ${event}` : `the App needs Subscribe to events → ${event}`;
  return { isGood, text };
}

function hearing(events: readonly string[]): Finding[] {
  // It takes a permission that nothing else here needs, so it is nobody's duty: without it blocked people are polled.
  const blocking = events.includes("org_block")
    ? "the App is subscribed to the event Org block"
    : "the App hears of nobody who is blocked, which would need Organization permissions → Administration: read and the event Org block";
  return [...EVENTS.map(({ key, text }) => subscription(events.includes(key), text)), { isGood: true, text: blocking }];
}

function unheard(): Finding {
  return { isGood: true, text: "no webhook secret is set, so that changes are seen only when GitHub is next asked" };
}

/** What an App asks for counts in an installation once its owner has accepted it. */
function inspectInstallation({ account, permissions, suspended_at: suspendedAt }: Installation): Finding[] {
  const who = account?.login ?? "an enterprise";
  if (suspendedAt !== undefined && suspendedAt !== null) {
    return [{ isGood: false, text: `the App is suspended on ${who}` }];
  }
  return NEEDED.filter(({ key }) => !hasPermission(permissions, key)).map(({ text }) => ({
    isGood: false,
    text: `${who} has not accepted that the App has ${text}`,
  }));
}
