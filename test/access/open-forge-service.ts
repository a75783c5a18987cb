/**
 * A whole Slipway beside a whole GitHub: the service as a process of its own, connected to the GitHub of the tests over
 * HTTP, and people at laptops whose keys only that GitHub knows.
 *
 * @module
 */
import { copyFileSync } from "node:fs";
import { beforeEach } from "vitest";
import { readPublicKey } from "../harness/client.ts";
import { freePort } from "../harness/free-port.ts";
import { whyNoService } from "../harness/needs.ts";
import { openTestService, type ServiceOptions, type TestService } from "../harness/service.ts";
import { openGithub, WEBHOOK_SECRET, type Github, type GithubSpec } from "../forges/github/github.ts";

export interface ForgeServiceOptions extends Omit<ServiceOptions, "settings" | "env" | "listen"> {
  /** @default the organisation acme with the repository shop */
  readonly github?: GithubSpec;
  /** More of the forge in the settings: `poll`, `grace`, `readOnly`. */
  readonly forge?: Readonly<Record<string, unknown>>;
  /** More sections of the settings. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether GitHub tells what changes by webhooks. @default false */
  readonly webhooks?: boolean;
  /** By a token rather than as an App; webhooks are the organisation's then. @default false */
  readonly byToken?: boolean;
  /** Opens the service itself. @default one whose environments are on this machine */
  readonly open?: (options: ServiceOptions) => Promise<TestService>;
  /** Another one, whose GitHub and whose people's keys are this one's too; it has to be closed after this one. */
  readonly beside?: ForgeService;
}

export interface ForgeService extends AsyncDisposable {
  readonly github: Github;
  readonly service: TestService;
  /** Where webhooks are taken, if they are. */
  readonly webhooksUrl: string;
}

/**
 * Opens both. `ivy` and `max` are at laptops, have accounts with their keys, and no right to anything yet; `root` is an
 * administrator of the settings.
 */
export async function openForgeService(options: ForgeServiceOptions = {}): Promise<ForgeService> {
  await using parts = new AsyncDisposableStack();
  const people = ["ivy", "max"];
  const github = options.beside?.github ?? parts.use(await openFilledGithub(people, options.github));
  const credential = options.byToken === true ? github.addToken("token-owner") : github.app.privateKey;
  const webhooksPort = await freePort();
  const { open = openTestService } = options;
  const service = parts.use(
    await open({
      people: { root: {} },
      strangers: people,
      repositories: {},
      ...options,
      listen: options.webhooks === true ? { webhooks: `127.0.0.1:${webhooksPort}` } : {},
      env: { FORGE_SECRET: credential, WEBHOOK_SECRET, GIT_SSL_CAINFO: github.caFile, ...options.env },
      settings: {
        forges: {
          github: {
            ...{ url: github.url, apiUrl: github.apiUrl, organizations: ["acme"] },
            ...(options.byToken === true
              ? { tokenEnv: "FORGE_SECRET" }
              : { app: { id: github.app.id, privateKeyEnv: "FORGE_SECRET" } }),
            ...(options.webhooks === true ? { webhook: { secretEnv: "WEBHOOK_SECRET" } } : {}),
            ...options.forge,
          },
        },
        ...options.settings,
      },
    }),
  );
  const webhooksUrl = `http://127.0.0.1:${webhooksPort}/webhooks/github`;
  if (options.webhooks === true) {
    // Whoever has no App sets up a webhook of the organisation: docs/forges.md.
    if (options.byToken === true) github.hooks.add({ url: webhooksUrl, secret: WEBHOOK_SECRET, of: "acme" });
    else github.hookApp(webhooksUrl);
  }
  for (const name of people) {
    const { identityFile } = service.as(name);
    const before = options.beside?.service.as(name).identityFile;
    if (before === undefined) github.world.addKey(name, readPublicKey(identityFile));
    else for (const end of ["", ".pub"]) copyFileSync(before + end, identityFile + end);
  }
  const owned = parts.move();
  return { github, service, webhooksUrl, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function openFilledGithub(people: readonly string[], spec: GithubSpec | undefined): Promise<Github> {
  const github = await openGithub({
    ...{ org: "acme", repos: ["shop"], people: people.map((login) => ({ login })) },
    ...spec,
  });
  await github.fill("acme/shop", { main: { "README.md": "# shop\n" }, "feature/x": { "README.md": "# x\n" } });
  github.world.addUser({ login: "token-owner" });
  github.world.setMember("acme", "token-owner", "admin");
  return github;
}

/** Skips every test of a file, saying why, where no environment can be made. */
export function skipWithoutService(): void {
  const lacks = whyNoService();
  beforeEach((ctx) => {
    if (lacks !== undefined) ctx.skip(lacks);
  });
}
