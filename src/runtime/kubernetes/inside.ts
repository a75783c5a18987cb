/**
 * What is where in the target container of an environment, and how the programs of the toolbox are spoken to. The scripts
 * themselves are in `images/toolbox/`; both sides of this contract change together.
 *
 * The volume `slipway-tools` is filled by the container `slipway-toolbox` before the target starts (image toolbox: `fill` copies
 * `/opt/slipway` of that image to the volume and makes folders `workspace`, `home` and `state` on the volume claim; then `stay`
 * sleeps), and is read-only in the target. The target's command is `[INIT]`; it needs nothing of its image, not even a shell or
 * an /etc/passwd.
 *
 * Programs (each is started by an exec with no terminal, and reads its first line from standard input; a line is base64
 * of UTF-8 text, so that it can hold anything):
 *
 * - `init`: process 1. Writes `RUN/passwd` and `RUN/group` for `SLIPWAY_USER` with the numbers it runs as, copies the keys
 *   from `KEYS` to `RUN/ssh` readable by itself alone, touches `RUN/ready`, reaps orphans, keeps `RUN/service` (a shell
 *   file, when there is one; looked for again on SIGHUP) running with growing waits, its output appended to `LOG`; on
 *   SIGTERM ends everything inside, 2 s of grace.
 * - `door`: line: text of an sshd_config. Writes it to a file that only its user reads and becomes `sshd -i -e -f` of it,
 *   its input and output being the SSH byte stream. Waits for `RUN/ready`. An empty line or end of input: ends. The line
 *   `tcp <address> <token> <text>`: the same over TCP. Says `port <number>`, takes the one connection to this address of the
 *   pod that begins with the token (32 characters), and gives up after 5 s. The line `here` before that connection is there:
 *   goes on with input and output after all. The end of its input ends the connection.
 * - `run log` and `run out`: line: text of a shell file, run in a session of its own with standard input /dev/null. `log`:
 *   both outputs are appended to `LOG`. `out`: standard output is kept (up to 8 MiB) and standard error goes to ours. When
 *   it has ended, says the line `<exit code> <bytes>` and then so many bytes of output, then waits for a line or the end of
 *   its input before it ends, so that nothing is lost. When its input ends earlier, its whole session is killed.
 * - `put`: line: `<bytes> <mode> <absolute path>`, then so many bytes, which become that file in one step (written beside
 *   and renamed). Says `ok` and ends after a line or the end of input.
 * - `feed`: line: text of a shell file; runs it with our standard input as its own, and its standard output as ours. For
 *   streams that know their own end: tar, a git bundle.
 * - `calls serve CALLS_SOCKET`: reads no line. Listens there for `git-credential`, with mode 600 and in the stead of a socket
 *   that was left, and takes one call after another: says what the caller says, at most 4 KiB, as one line of hexadecimal
 *   digits, and hands the caller what the next line of its input is, the same way, at most 64 KiB; an empty line hangs up. It
 *   ends with its input.
 *
 * `git-credential` is what git inside is told to ask for credentials, and calls us by `calls ask`.
 *
 * Anything wrong: one sentence to standard error and a code other than 0.
 *
 * @module
 */

import { INSIDE, RUN, STATE } from "../../policy/kubernetes/inside-names.ts";

export {
  CONTAINER_ENV,
  INIT,
  INSIDE,
  KEYS,
  NAMES,
  RUN,
  STATE,
  WORKSPACE,
} from "../../policy/kubernetes/inside-names.ts";

/** Start-up and service log. */
export const LOG = `${STATE}/log`;

export const DOOR = `${INSIDE}/bin/door`;
export const RUN_COMMAND = `${INSIDE}/bin/run`;
export const PUT = `${INSIDE}/bin/put`;
export const FEED = `${INSIDE}/bin/feed`;

export const CALLS = `${INSIDE}/libexec/calls`;
export const CALLS_SOCKET = `${RUN}/calls.sock`;
export const GIT_CREDENTIAL = `${INSIDE}/bin/git-credential`;

/** Runs command lines in an image that has no `/bin/sh`. */
export const TOOLS_SH = `${INSIDE}/bin/sh`;

/** Git itself, without the script in front of it that sets up its surroundings: for texts that do so themselves. */
export const GIT_CORE = `${INSIDE}/libexec/git-core`;

/** Where the tools come after whatever the image has. */
export const TOOLS_PATH = `${INSIDE}/bin:${INSIDE}/applets`;
