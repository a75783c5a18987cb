/**
 * `slip check`: whether a service could run on a settings file, and with `--online` whether the forges in it accept our
 * credentials and let them do what they have to.
 *
 * @module
 */
import { dirname } from "node:path";
import { makeClock } from "../base/clock.ts";
import type { Invocation } from "../base/command-line.ts";
import { Fault } from "../base/fault.ts";
import { makeLog } from "../base/log.ts";
import { openDirectory } from "../forge/directory.ts";
import type { Finding } from "../forge/forge-client.ts";
import type { AnswerCache } from "../wire/knowledge.ts";
import { makeForgeClient } from "../forge/make-client.ts";
import type { ForgeSecrets, ForgeSettings } from "../wire/forge-settings.ts";
import type { Settings } from "../wire/settings.ts";
import type { Print } from "./key-commands.ts";
import { readSecrets } from "./secrets.ts";
import { readSettings } from "./settings-file.ts";

export interface CheckSurroundings {
  /** Variables of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly print: Print;
}

interface ForgeFinding extends Finding {
  readonly forge: string;
}

/** As long as a person waits for one forge (guess). */
const INSPECT_MS_MAX = 30_000;

/**
 * Checks and prints what was found.
 *
 * @throws {Fault} `settings.invalid` with every complaint; `check.failed` when a credential lacks something
 */
export async function checkSettingsFile(
  file: string,
  call: Invocation,
  { env, print }: CheckSurroundings,
): Promise<void> {
  const { settings, path } = readSettings(file);
  const folder = dirname(path);
  await openDirectory({ settings, folder });
  const isJson = call.options["json"] === true;
  const findings = call.options["online"] === true ? await inspectForges(settings, folder, env) : [];
  const isGood = findings.every((finding) => finding.isGood);
  const { people, repositories, forges } = settings;
  const counts = { people: people.length, repositories: repositories.length, forges: forges.length };
  if (isJson) print(JSON.stringify({ path, ...counts, findings }, undefined, 2));
  else {
    for (const { forge, isGood: isFine, text } of findings) print([forge, isFine ? "ok" : "missing", text].join("\t"));
    const forgesToo = forges.length === 0 ? "" : `, ${forges.length} ${forges.length === 1 ? "forge" : "forges"}`;
    if (isGood) print(`${path} is sound: ${people.length} people, ${repositories.length} repositories${forgesToo}`);
  }
  if (!isGood) {
    const count = findings.filter((finding) => !finding.isGood).length;
    throw new Fault("check.failed", `Cannot serve all of ${path}: ${count} of ${findings.length} findings are missing`);
  }
}

async function inspectForges(
  settings: Settings,
  folder: string,
  env: CheckSurroundings["env"],
): Promise<ForgeFinding[]> {
  const secrets = readSecrets(settings, { folder, env });
  const warnings = secrets.warnings.map((text) => ({ forge: "secrets", isGood: true, text }));
  const found = await Promise.all(
    settings.forges.map(async (forge) => {
      const own = secrets.forges.get(forge.name);
      if (own === undefined) throw new Error(`Cannot find the secrets of ${forge.name}: they were read`);
      return (await inspect(forge, own)).map((finding) => ({ forge: forge.name, ...finding }));
    }),
  );
  return [...warnings, ...found.flat()];
}

async function inspect(settings: ForgeSettings, secrets: ForgeSecrets): Promise<readonly Finding[]> {
  try {
    const log = makeLog("silent");
    const client = makeForgeClient({ settings, secrets, clock: makeClock(), log, cache: NO_CACHE });
    return await client.inspect(AbortSignal.timeout(INSPECT_MS_MAX));
  } catch (error) {
    if (error instanceof Fault) return [{ isGood: false, text: error.message }];
    if (error instanceof Error && error.name === "TimeoutError") {
      return [{ isGood: false, text: `${settings.apiUrl} did not answer within ${INSPECT_MS_MAX / 1_000} s` }];
    }
    throw error;
  }
}

/** What is checked is what the forge says now. */
const NO_CACHE: AnswerCache = { read: async () => undefined, write: async () => {} };
