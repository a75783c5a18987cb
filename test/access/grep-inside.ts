/**
 * Looks for secrets wherever somebody inside an environment could: variables and command lines of all its processes, and
 * the files that are its own.
 *
 * @module
 */
import type { Client } from "../harness/client.ts";

/** The words come on standard input and stay in a variable of the shell: on a command line they would find themselves. */
const SCRIPT = `words=$(cat)
look() { printf '%s\\n' "$words" | grep -alsF -f - "$@"; }
look /proc/[0-9]*/environ /proc/[0-9]*/cmdline
printf '%s\\n' "$words" | grep -ralsF -f - "$HOME" "$PWD" /tmp /var/tmp /run /dev/shm /etc
git config --list --show-origin | look -
true`;

/** Lists where any of the words is. */
export async function grepInside(client: Client, login: string, words: readonly string[]): Promise<string[]> {
  const ended = await client.ssh([`${login}@slipway`, SCRIPT], { input: words.join("\n") });
  if (ended.exitCode !== 0) throw new Error(`Cannot look inside ${login}: ${ended.stderr}`);
  return ended.stdout.split("\n").filter((line) => line !== "");
}
