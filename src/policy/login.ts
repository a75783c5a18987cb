/**
 * Login names: the SSH user name that says where a person wants to go. The one decoder of what clients send, which is
 * hostile, and the one encoder of branch names into what people type. Which branch a login means is `match-login.ts`.
 *
 *     slip                          the lobby
 *     <repository>-<branch>         what people type; "/" and whatever else a login cannot hold is "-" in the branch
 *     <repository>+<branch>         the same with a separator that no name contains
 *     <owner>+<repository>+<branch>
 *     <repository>+pr<N>            the preview of a pull request, never a branch of that name
 *     <repository>+<start of branch>..<tag>   one branch for certain: the tag is a hash of its true name
 *     …+@<person>                   the environment of somebody else
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { SHORT_HASH_LENGTH, shortHash } from "./short-hash.ts";

/** Longest login in characters, all of them ASCII (guess: OpenSSH and git allow more, terminals and logs suffer). */
export const LOGIN_LENGTH_MAX = 200;

/** A login that was read: safe characters only, case as typed. Names in it are compared without case. */
export type Login =
  | { readonly type: "lobby" }
  /** Where repository ends and branch begins is known only beside the repositories there are. */
  | { readonly type: "hyphenated"; readonly text: string; readonly person?: string }
  /** `branch` is the encoded name; with a `tag` only the beginning of it, perhaps empty. */
  | (Named & { readonly type: "plus"; readonly branch: string; readonly tag?: string })
  | (Named & { readonly type: "pull"; readonly pull: number });

interface Named {
  readonly owner?: string;
  readonly repository: string;
  /** Whose environment is meant when it is not one's own. Whoever admits has to decide whether that may be. */
  readonly person?: string;
}

/** A branch of a repository that a login may mean. */
export interface Place {
  readonly owner?: string;
  readonly repository: string;
  readonly branch: string;
}

const PERSON = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]*$/;
const PULL = /^pr([1-9][0-9]{0,8})$/i;
const TAGGED = new RegExp(`^(.*)\\.\\.([0-9a-z]{${SHORT_HASH_LENGTH}})$`, "i");

/**
 * Reads an SSH user name.
 *
 * @throws {Fault} `login.malformed`, told with what to type instead
 */
export function readLogin(text: string): Login {
  if (text === "") throw malformed(text, "it is empty");
  if (text.length > LOGIN_LENGTH_MAX) throw malformed(text, `it is longer than ${LOGIN_LENGTH_MAX} characters`);
  if (!/^[A-Za-z0-9._+@-]*$/.test(text))
    throw malformed(text, "it has a character other than letters, digits and . _ - + @");
  if (!/^[A-Za-z0-9._]/.test(text)) throw malformed(text, `it begins with "${text[0] ?? ""}"`);
  if (text.toLowerCase() === "slip") return { type: "lobby" };
  const { place, person } = splitPerson(text);
  const whose = person === undefined ? {} : { person };
  const parts = place.split("+");
  if (parts.includes("")) throw malformed(text, 'a name is missing beside "+"');
  const branch = parts.at(-1) ?? "";
  const untagged = parts.length === 1 ? branch : branch.replace(TAGGED, "$1");
  if ([...parts.slice(0, -1), untagged].some((part) => part.includes(".."))) {
    throw malformed(text, "it has two dots in a row");
  }
  const [first = "", second = ""] = parts;
  if (parts.length === 1) return { type: "hyphenated", text: place, ...whose };
  if (parts.length === 2) return { ...readBranch(branch), repository: first, ...whose };
  if (parts.length === 3) return { ...readBranch(branch), owner: first, repository: second, ...whose };
  throw malformed(text, 'it has more than two "+"');
}

function splitPerson(text: string): { place: string; person?: string } {
  const at = text.indexOf("@");
  if (at === -1) return { place: text };
  const person = text.slice(at + 1);
  if (text[at - 1] !== "+" || !PERSON.test(person))
    throw malformed(text, 'an "@" belongs into "+@<person>" at the end');
  return { place: text.slice(0, at - 1), person };
}

function readBranch(name: string): { type: "pull"; pull: number } | { type: "plus"; branch: string; tag?: string } {
  const pull = PULL.exec(name)?.[1];
  if (pull !== undefined) return { type: "pull", pull: Number(pull) };
  const [, start, tag] = TAGGED.exec(name) ?? [];
  if (start === undefined || tag === undefined) return { type: "plus", branch: name };
  return { type: "plus", branch: start, tag: tag.toLowerCase() };
}

function malformed(text: string, because: string): Fault {
  return new Fault("login.malformed", `Cannot read login ${quoted(text)}: ${because}`, {
    told: `This user name is no login: ${because}; type <repository>-<branch>, as in "hello-main", or "slip" for the lobby`,
  });
}

/** Makes a hostile text fit for a line of a log: printable ASCII, at most 80 characters of it. */
function quoted(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(cut).replace(
    /[^ -~…]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/**
 * Encodes a branch name as it stands in a login: each character but letters, digits, ".", "_" and "-" becomes "-".
 * Different branches can encode alike. Two dots in a row never come out: they announce a tag.
 */
export function encodeBranch(branch: string): string {
  return branch.replace(/[^A-Za-z0-9._-]/gu, "-").replace(/\.(?=\.)/g, "-");
}

/** Makes the tag that tells branches apart which encode alike. */
export function tagOf(branch: string): string {
  return shortHash(branch);
}

/** Makes the login to show for a branch. It means this branch unless others encode alike: `clearLoginOf` looks at those. */
export function loginOf(repository: string, branch: string): string {
  const login = `${repository}-${encodeBranch(branch)}`;
  return login.length <= LOGIN_LENGTH_MAX ? login : exactLoginOf({ repository, branch });
}

/** Makes a login that means this branch whatever other branches there are. Long names are cut before the tag. */
export function exactLoginOf(place: Place): string {
  const before = `${place.owner === undefined ? "" : `${place.owner}+`}${place.repository}+`;
  const after = `..${tagOf(place.branch)}`;
  const room = Math.max(0, LOGIN_LENGTH_MAX - before.length - after.length);
  return `${before}${encodeBranch(place.branch).slice(0, room).replace(/\.+$/, "")}${after}`;
}

/** Longest RFC 1123 label, in characters. */
const LABEL_LENGTH_MAX = 63;

/** Makes the host name of an environment: an RFC 1123 label of lower-case letters, digits and inner "-". */
export function hostnameOf(repository: string, branch: string): string {
  const label = labelOf(`${repository}-${branch}`);
  if (label !== "" && label.length <= LABEL_LENGTH_MAX) return label;
  const tag = shortHash(`${repository} ${branch}`);
  return labelOf(`${label.slice(0, LABEL_LENGTH_MAX - tag.length - 1)}-${tag}`);
}

function labelOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/gu, "-")
    .replace(/^-|-$/g, "");
}
