/**
 * What the tour rests on, and what of it the settings do not have any more: they are the person's to change.
 *
 * Called by `cmd/start.ts` before the tour.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { BlockList } from "node:net";
import { dirname, relative, resolve } from "node:path";
import { openDirectory } from "../../forge/directory.ts";
import type { AddressRange, ListenAddress } from "../../wire/addresses.ts";
import type { Demo } from "../demo.ts";
import type { ReadSettings } from "../settings-file.ts";

/** The name that the sample goes by in the settings. */
const NAME = "hello";

/** Finds where `localhost` leads to among what is listened on. */
export function localAddress(listened: readonly ListenAddress[]): ListenAddress | undefined {
  return listened.find(({ host }) => /^(127\.0\.0\.1|::1|0\.0\.0\.0|::)$/.test(host));
}

/** Says what the tour lacks, a few words each; nothing when it can run. */
export async function lacksForTour(
  { settings, path }: ReadSettings,
  { repository: samplePath, identityFile }: Pick<Demo, "repository" | "identityFile">,
  local: ListenAddress | undefined,
): Promise<string[]> {
  const folder = dirname(path);
  const directory = await openDirectory({ settings, folder });
  const [, key = ""] = readFileSync(`${identityFile}.pub`, "utf8").split(" ");
  const whose = directory.whose(key);
  const repository = settings.repositories.find(({ name }) => name === NAME);
  const isSample = repository !== undefined && resolve(folder, repository.url) === samplePath;
  const mayUse = whose?.type === "person" && directory.judge({ person: whose.person.id, key }, NAME).allowed;
  const wanted = [
    { isThere: whose !== undefined, what: `a person with the key of ${relative(folder, `${identityFile}.pub`)}` },
    { isThere: isSample, what: `the repository ${NAME} at ./${relative(folder, samplePath)}` },
    { isThere: mayUse || whose === undefined || !isSample, what: `a grant of ${NAME} to that person` },
    { isThere: local !== undefined, what: "a listener on localhost" },
    {
      isThere: !isBehindProxy(settings.listen.proxyProtocolFrom),
      what: "connections from localhost without a PROXY header",
    },
  ];
  return wanted.flatMap(({ isThere, what }) => (isThere ? [] : [what]));
}

/** Whether connections of this machine to itself have to begin with a PROXY header, which `ssh` sends none of. */
function isBehindProxy(ranges: readonly AddressRange[]): boolean {
  const proxies = new BlockList();
  for (const { address, prefixLength, family } of ranges) proxies.addSubnet(address, prefixLength, family);
  return proxies.check("127.0.0.1", "ipv4") || proxies.check("::1", "ipv6");
}
