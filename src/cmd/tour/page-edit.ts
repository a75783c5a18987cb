/**
 * An edit by SFTP that is taken back: a line added to a page of the sample, as it is then.
 *
 * The page is the person's, with whatever they have written into it and not committed. So the line goes to its end, and is
 * taken out of what the page is by then: nothing else of it is ever replaced. A tour that is killed midway leaves the line, and
 * the next one takes it out.
 *
 * Called by `tour.ts`.
 *
 * @module
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { quoteWord } from "../../runtime/shell-words.ts";
import { runSftp, type ClientOptions, type ClientResult } from "./ssh-client.ts";

export interface PageEdit {
  /** Adds a line with `text`, which needs no escaping in HTML. @throws {Error} with what `sftp` said */
  add(text: string): Promise<void>;
  /** Whether the line may be in the page. */
  readonly isMade: boolean;
  /** Takes the line out again, and whatever an earlier tour left. @throws {Error} with what `sftp` said */
  takeBack(): Promise<void>;
}

/** The lines of this and of earlier tours. */
const LINES = /\n<p data-tour>[^<\n]*<\/p>\n/g;

/**
 * Prepares an edit.
 *
 * @param page path in the checkout
 * @param folder where its copies are kept for the moment
 */
export function makePageEdit(client: ClientOptions, page: string, folder: string): PageEdit {
  const copy = join(folder, "page.html");
  let isMade = false;
  /** In place, so that a link stays a link and a mode stays a mode. */
  const put = async (text: string): Promise<void> => {
    rmSync(copy, { force: true });
    writeFileSync(copy, text, "latin1");
    check(await runSftp(client, `put ${quoteWord(copy)} ${quoteWord(page)}\n`));
    rmSync(copy);
  };
  const change = async (make: (page: string) => string): Promise<void> => {
    rmSync(copy, { force: true });
    check(await runSftp(client, `get ${quoteWord(page)} ${quoteWord(copy)}\n`));
    // Latin-1 keeps every byte as it is, whatever the page is written in.
    const found = readFileSync(copy, "latin1");
    isMade = true;
    try {
      await put(make(found));
    } catch (error) {
      await put(found); // a full disk may have left nothing of it; what was there fits again
      throw error;
    }
  };
  return {
    add: (text) => change((found) => `${found.replaceAll(LINES, "")}\n<p data-tour>${text}</p>\n`),
    get isMade() {
      return isMade;
    },
    takeBack: () => change((found) => found.replaceAll(LINES, "")),
  };
}

/** Passes on what a client said when it succeeded. @throws {Error} with what it said when it did not */
export function check(result: ClientResult): ClientResult {
  if (result.exitCode === 0) return result;
  throw new Error(`Exit code ${result.exitCode}: ${result.stderr.trim()}`);
}
