/**
 * Whether what the settings connect can be seen, for `slip check --online`: each organisation and repository, and in one
 * repository of each whatever a login asks.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { Ask, Finding } from "../forge-client.ts";
import { pathOf } from "../http/path.ts";
import type { HttpAsk } from "../http/sender.ts";
import type { Credential } from "./credential.ts";
import { Repository } from "./shapes.ts";

/** @throws {Fault} `forge.unreached` and `forge.limited`; what is refused is a finding */
export async function inspect(
  settings: ForgeSettings,
  credential: Credential,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const ask: Ask = { priority: "login", signal };
  const ofCredential = await found(() => credential.inspect(signal), "GitHub does not accept the credential");
  // Nothing more is to be learned with a credential that is not accepted.
  if (ofCredential.some(({ isGood }) => !isGood) && ofCredential.length === 1) return ofCredential;
  const findings = [...ofCredential];
  for (const owner of settings.organizations) {
    findings.push(...(await found(() => inspectOwner(credential, owner, ask), `${owner} cannot be looked at`)));
  }
  for (const name of settings.repositories) {
    findings.push(...(await found(() => inspectNamed(credential, name, ask), `${name} cannot be looked at`)));
  }
  return findings;
}

async function found(look: () => Promise<readonly Finding[]>, otherwise: string): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "forge.refused") throw error;
    return [{ isGood: false, text: `${otherwise} (${error.message})` }];
  }
}

async function inspectOwner(credential: Credential, owner: string, ask: Ask): Promise<readonly Finding[]> {
  const list = await credential.listOf(owner, ask);
  if (list.status === "absent") return [{ isGood: false, text: `${owner} is not shown to the credential` }];
  const count = list.value.length;
  const seen = { isGood: true, text: `${owner} shows ${count} ${count === 1 ? "repository" : "repositories"}` };
  // A private one tells more: of a public one everybody may read the contents.
  const sample = list.value.find(({ private: isPrivate }) => isPrivate) ?? list.value[0];
  return sample === undefined ? [seen] : [seen, ...(await inspectRepository(credential, sample, ask))];
}

async function inspectNamed(credential: Credential, fullName: string, ask: Ask): Promise<readonly Finding[]> {
  const [owner = "", name = ""] = fullName.split("/");
  const way = await credential.wayTo(owner, ask);
  const absent = [{ isGood: false, text: `${fullName} is not shown to the credential` }];
  if (way.status === "absent") return absent;
  const repository = await credential.http.get(pathOf`/repos/${owner}/${name}`, Repository, way.ask);
  if (repository.status === "absent") return absent;
  const now = `${repository.value.owner.login}/${repository.value.name}`;
  const isNamed = now.toLowerCase() === fullName.toLowerCase();
  const text = isNamed ? `${fullName} is shown` : `${fullName} is called ${now} now, and the settings need to say so`;
  return [{ isGood: isNamed, text }, ...(await inspectRepository(credential, repository.value, ask))];
}

/** What GitHub asks for where it answers 403 or 404, worded as its pages word it. */
const QUESTIONS = [
  {
    path: (owner: string, name: string) => pathOf`/repos/${owner}/${name}/collaborators?affiliation=all&per_page=1`,
    needs:
      "needs Repository permissions → Metadata: read (a token of somebody: that they may push there) to list collaborators",
  },
  {
    path: (owner: string, name: string) => pathOf`/repos/${owner}/${name}/branches?per_page=1`,
    needs: "needs Repository permissions → Contents: read to fetch",
  },
];

async function inspectRepository(credential: Credential, { owner, name }: Repository, ask: Ask): Promise<Finding[]> {
  const way = await credential.wayTo(owner.login, ask);
  if (way.status === "absent") return [];
  const findings: Finding[] = [];
  for (const { path, needs } of QUESTIONS) {
    const bad = { isGood: false, text: `the credential ${needs} in ${owner.login}/${name}` };
    if (!(await isAnswered(credential, path(owner.login, name), way.ask))) findings.push(bad);
  }
  return findings;
}

async function isAnswered(credential: Credential, path: string, ask: HttpAsk): Promise<boolean> {
  try {
    return (await credential.http.get(path, z.array(z.unknown()), ask)).status === "ok";
  } catch (error) {
    if (error instanceof Fault && error.code === "forge.refused") return false;
    throw error;
  }
}
