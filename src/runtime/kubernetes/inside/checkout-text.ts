/**
 * The shell texts that make and change a checkout inside, run by the toolbox's `feed` with the toolbox's git. Pure: texts
 * in, texts out; `checkout.ts` runs them and talks with them.
 *
 * Each says what it has, reads the line `<bytes> <pack|none>`, so many bytes of what it asked for, and then a pack, whose end
 * git knows. It says `done`, and waits for a line, so that nothing it said is lost.
 *
 * @module
 */
import { makeTracking, quoteGit } from "../../repository-files.ts";
import type { Source } from "../../runtime.ts";
import { quoteWord } from "../../shell-words.ts";
import { GIT_CORE, STATE, TOOLS_PATH, WORKSPACE } from "../inside.ts";

/** Object names of the tags that the checkout got from the forge: what of them is on no branch is not a person's work. */
export const FORGE_TAGS_FILE = `${STATE}/forge-tags`;

/** What of the repository's own files is ready made. */
export interface CheckoutFiles {
  /** Text of `.git/config`. */
  readonly config: string;
  /** Object that the branch begins at. */
  readonly begin: string;
  readonly defaultBranch: string | undefined;
}

/**
 * Git and its surroundings are ours alone: what an image or a person configured is for later. A failed step ends the text
 * with what it said. Nothing is synchronized to the disk: it can all be had again from the mirror.
 *
 * `take` reads exactly what was announced, and no byte of the pack.
 */
const PRELUDE = `set -eu
umask 022
unset LD_PRELOAD LD_LIBRARY_PATH
export PATH="${GIT_CORE}:${TOOLS_PATH}:$PATH" GIT_EXEC_PATH=${GIT_CORE} LC_ALL=C HOME=/nonexistent
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1
export GIT_CONFIG_COUNT=4 GIT_CONFIG_KEY_0=core.fsync GIT_CONFIG_VALUE_0=none
export GIT_CONFIG_KEY_1=core.hooksPath GIT_CONFIG_VALUE_1=/dev/null
export GIT_CONFIG_KEY_2=checkout.thresholdForParallelism GIT_CONFIG_VALUE_2=2000
export GIT_CONFIG_KEY_3=checkout.workers GIT_CONFIG_VALUE_3=0
take() {
  read -r bytes pack
  [ "$bytes" = 0 ] || dd bs="$bytes" count=1 iflag=fullblock 2>/dev/null
}
unpack() {
  [ "$pack" = none ] || git index-pack --stdin --fix-thin >/dev/null
}
`;

const DONE = `echo done
read -r _ || :
`;

/** Lines of shell around a checkout or a switch. */
export interface Around {
  readonly before: string;
  readonly after: string;
}

const NOTHING: Around = { before: "", after: "" };

/** Makes the whole checkout beside its place and moves it there. Says `have` instead of `need` when there is one already. */
export function makeCheckOutText(
  { repository, branch }: Source,
  { config, begin, defaultBranch }: CheckoutFiles,
  { before, after }: Around = NOTHING,
): string {
  const folder = quoteWord(`${WORKSPACE}/${repository}`);
  // A name that no repository has: they begin with a letter or digit.
  const part = `${WORKSPACE}/.slipway-part`;
  const remoteHead = quoteWord(`ref: refs/remotes/origin/${defaultBranch ?? ""}`);
  const ref = quoteWord(`refs/heads/${branch}`);
  return `${PRELUDE}
${before}
if [ -e ${folder}/.git ]; then
  ${after}
  echo have
  read -r _ || :
  exit 0
fi
[ ! -e ${folder} ] || rmdir ${folder}
rm -rf ${part}-*
mkdir -p ${part}-$$/.git
cd ${part}-$$/.git
mkdir -p objects/info objects/pack refs/heads refs/tags refs/remotes/origin info hooks
printf %s ${quoteWord(config)} >config
echo ${quoteWord(`ref: refs/heads/${branch}`)} >HEAD
echo need
take >packed-refs
unpack
mkdir -p "$(dirname ${ref})"
echo ${begin} >${ref}
${defaultBranch === undefined ? "" : `echo ${remoteHead} >refs/remotes/origin/HEAD`}
sed -n 's# refs/tags/.*##p' packed-refs >${FORGE_TAGS_FILE}
cd ..
git read-tree -u --reset HEAD
cd /
mv -T ${part}-$$ ${folder}
${after}
${DONE}`;
}

/**
 * Changes the branch of a checkout that nobody has worked in: says what it has of the forge, up to the line `refs`, takes
 * commands for `git update-ref` and what objects they need, and checks the branch out. What the repository ignores stays. Its
 * origin becomes what it is now: an older service may have known another.
 */
export function makeSwitchText(source: Source, begin: string, { before, after }: Around = NOTHING): string {
  const { repository, branch, originUrl } = source;
  const name = quoteWord(branch);
  const origin = quoteWord(`\turl = ${quoteGit(originUrl)}`);
  const tracking = makeTracking(source);
  const section = quoteWord(tracking.split("\n")[0] ?? "");
  return `${PRELUDE}
${before}
cd ${quoteWord(`${WORKSPACE}/${repository}`)}
git for-each-ref --format="%(objectname) %(refname)" refs/remotes/origin refs/tags
old=$(git symbolic-ref -q HEAD || :)
echo refs
take >.git/slipway-refs
unpack
if [ "$bytes" != 0 ]; then
  git update-ref --stdin <.git/slipway-refs >/dev/null
  git for-each-ref --format="%(objectname)" refs/tags >${FORGE_TAGS_FILE}
fi
rm .git/slipway-refs
over() { git checkout -q --no-track --no-guess "$@" -B ${name} ${begin} --; }
over 2>/dev/null || over -f
[ "$old" = refs/heads/${name} ] || [ -z "$old" ] || git update-ref -d "$old"
grep -qxF ${origin} .git/config || git config remote.origin.url ${quoteWord(originUrl)}
${tracking === "" ? "" : `grep -qxF ${section} .git/config || printf %s ${quoteWord(tracking)} >>.git/config`}
${after}
${DONE}`;
}
