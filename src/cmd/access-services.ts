/**
 * What a running service does about access beside letting people in: webhooks of forges, the control socket, and the
 * key files of stock OpenSSH servers.
 *
 * Opened by `service.ts` last, when there is something to ask.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Environments } from "../controller/environments.ts";
import type { Directory } from "../forge/directory.ts";
import { readKeys } from "../forge/settings-keys.ts";
import { openWebhooks, type Webhooks } from "../gateway/webhooks.ts";
import type { LobbyPools } from "../gateway/lobby/commands.ts";
import { idOfRef } from "../wire/forge.ts";
import type { Asked } from "../wire/control.ts";
import type { Settings } from "../wire/settings.ts";
import { makeAccessBook } from "./control/access-book.ts";
import { keepAuthorizedKeys } from "./control/keep-authorized-keys.ts";
import { openControl } from "./control/open-control.ts";
import { makePoolBook } from "./control/pool-book.ts";
import type { Forges } from "./forges.ts";

export interface AccessServices extends AsyncDisposable {
  /** `undefined` where none are taken. */
  readonly webhooks: Webhooks | undefined;
}

export interface AccessServicesOptions {
  readonly settings: Settings;
  /** What the paths of key files are relative to: the folder of the settings file. */
  readonly folder: string;
  readonly controlPath: string;
  readonly directory: Directory;
  readonly environments: Pick<Environments, "sweep">;
  /** Absent when none is connected. */
  readonly forges?: Forges;
  /** Absent where there are none. */
  readonly pools?: LobbyPools | undefined;
  /** Told of repositories whose branches changed, by their ids. */
  readonly onPushed?: ((repository: string) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Opens them all. @throws {Fault} with what the operator must change */
export async function openAccessServices(options: AccessServicesOptions): Promise<AccessServices> {
  const { settings, folder, directory, forges, clock, log } = options;
  await using parts = new AsyncDisposableStack();
  const access = forges?.access;
  const book = makeAccessBook({
    ...{ settings, directory, clock },
    readKeys: () => readKeys(settings.people, folder),
    ...(access === undefined ? {} : { access }),
  });
  const handlers = {
    ...book,
    ...makePoolBook(options.pools),
    "/garbage/sweep": ({ isDry }: Asked<"/garbage/sweep">) => options.environments.sweep(isDry),
  };
  parts.use(await openControl({ path: options.controlPath, handlers, log }));
  const { authorizedKeys } = settings;
  if (authorizedKeys?.folder !== undefined) {
    const kept = keepAuthorizedKeys({
      folder: authorizedKeys.folder,
      users: authorizedKeys.users.map(({ user }) => user),
      list: (user, signal) => book["/authorized-keys"]({ user }, signal),
      onChanged: (listener) => access?.onChanged(listener) ?? (() => undefined),
      pollMs: Math.min(...settings.forges.map(({ pollMs }) => pollMs), POLL_MS),
      ...{ clock, log },
    });
    parts.use(kept);
  }
  const webhooks = await takeWebhooks(options);
  parts.use(webhooks);
  const owned = parts.move();
  return { webhooks, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Between two looks at the files of keys where no forge says how often to ask (guess). */
const POLL_MS = 30_000;

async function takeWebhooks(options: AccessServicesOptions): Promise<Webhooks | undefined> {
  const { settings, forges, clock, log, onPushed } = options;
  const address = settings.listen.webhooks;
  if (address === null || forges === undefined) return undefined;
  const { access, clients } = forges;
  return openWebhooks({
    ...{ address, clock, log },
    forges: clients,
    onHints: async (forge, hints) => {
      const pushed = hints.flatMap((hint) =>
        hint.type === "pushed" ? [idOfRef({ forge, id: hint.repositoryId })] : [],
      );
      await Promise.all([access.hint(forge, hints), ...pushed.map((id) => onPushed?.(id))]);
    },
  });
}
