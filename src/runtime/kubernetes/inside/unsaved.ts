/**
 * Looks for work inside that no forge has: `../../unsaved.ts`, run by the toolbox.
 *
 * @module
 */
import type { Unsaved } from "../../runtime.ts";
import { quoteWord } from "../../shell-words.ts";
import { makeLook, readUnsaved } from "../../unsaved.ts";
import { TOOLS_PATH, WORKSPACE } from "../inside.ts";
import { FORGE_TAGS_FILE } from "./checkout-text.ts";
import type { StartProgram } from "./line.ts";
import { runInside } from "./run-inside.ts";

/** What file names of a repository may take; more is cut, and then counts as not looked at. */
const MOST_BYTES = 8 * 1_024 * 1_024;

const LOOK = makeLook({
  workspace: WORKSPACE,
  forgeTags: `own for-each-ref --format="%(objectname)" refs/tags | grep -Fx -f ${FORGE_TAGS_FILE} 2>/dev/null`,
});

/**
 * Looks.
 *
 * @param folder of the checkout
 * @throws {Fault} `runtime.failed` when it cannot be said
 */
export async function lookForWork(exec: StartProgram, folder: string, signal: AbortSignal): Promise<Unsaved> {
  // The toolbox's git and tools: what an image has may be anything.
  const text = `export PATH="${TOOLS_PATH}:$PATH"\ncd ${quoteWord(folder)} || exit 1\n${LOOK}`;
  return readUnsaved(await runInside(exec, { text, output: "out", maxBytes: MOST_BYTES }, signal));
}
