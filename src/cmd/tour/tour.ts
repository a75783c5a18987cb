/**
 * Shows that the service works, with the real OpenSSH client, one step after the other, each with its time.
 *
 * Called by `cmd/start.ts`.
 *
 * @module
 */
import { createServer } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { quoteWord } from "../../runtime/shell-words.ts";
import { check, makePageEdit, type PageEdit } from "./page-edit.ts";
import { openForward, runSsh, type ClientOptions } from "./ssh-client.ts";

export interface TourOptions {
  readonly client: ClientOptions;
  readonly clock: Clock;
  readonly print: (line: string) => void;
  /** A folder for copies of the file that is edited. */
  readonly folder: string;
}

interface Step {
  readonly title: string;
  /** Does it, and returns what there is to see. Throws with a sentence when it did not work. */
  readonly run: () => Promise<string>;
}

const PORT = 3_000;
const PAGE = "public/index.html";

/** Runs the tour, up to the first step that fails; the page that it edits is as before then. @returns whether all worked */
export async function runTour(options: TourOptions): Promise<boolean> {
  const begunAt = options.clock.elapsed();
  const page = makePageEdit(options.client, PAGE, options.folder);
  let isWell = true;
  for (const step of stepsOf(options, page)) isWell &&= await take(step, options);
  if (page.isMade) isWell = (await take(takeBack(page), options)) && isWell;
  if (isWell) options.print(`  all of it in ${Math.round(options.clock.elapsed() - begunAt)} ms`);
  return isWell;
}

async function take({ title, run }: Step, { clock, print }: TourOptions): Promise<boolean> {
  const at = clock.elapsed();
  try {
    const seen = await run();
    const ms = Math.round(clock.elapsed() - at);
    print(`  ok    ${`${ms}`.padStart(5)} ms  ${title}${seen === "" ? "" : `: ${seen}`}`);
    return true;
  } catch (error) {
    print(`  FAIL            ${title}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

function stepsOf(options: TourOptions, page: PageEdit): Step[] {
  const { client } = options;
  const mark = `Edited by SFTP at ${new Date(options.clock.now()).toISOString()}`;
  return [
    {
      title: `ssh ${client.login}@${client.host} true (makes the environment the first time)`,
      run: async () => {
        const result = check(await runSsh(client, "true"));
        return result.stderr.trim().split(/\r?\n/).at(-1) ?? "";
      },
    },
    {
      title: "run a command",
      run: async () => {
        const { stdout } = check(
          await runSsh(client, 'echo "$(id -un) on $(hostname) in $PWD, at $(git log -1 --format=%s)"'),
        );
        return stdout.trim();
      },
    },
    {
      title: "edit a file by SFTP",
      run: async () => {
        await page.add(mark);
        return PAGE;
      },
    },
    {
      title: "the service inside serves the edit",
      run: async () => {
        const request = `exec 3<>/dev/tcp/127.0.0.1/${PORT}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
        return retry(options.clock, async () =>
          mustShow(check(await runSsh(client, `bash -c ${quoteWord(request)}`)).stdout, mark),
        );
      },
    },
    { title: `ssh -L: the same page at this end of a forward`, run: () => throughForward(options, mark) },
  ];
}

function takeBack(page: PageEdit): Step {
  return {
    title: "take the edit back",
    run: async () => {
      await page.takeBack();
      return `${PAGE} is as it was`;
    },
  };
}

async function throughForward(options: TourOptions, mark: string): Promise<string> {
  const port = await freePort();
  const close = openForward(options.client, port, PORT);
  try {
    return await retry(options.clock, async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      return mustShow(await response.text(), mark);
    });
  } finally {
    close();
  }
}

function mustShow(page: string, mark: string): string {
  if (!page.includes(mark)) throw new Error(`The page is without the edit: ${JSON.stringify(page.slice(-300))}`);
  return `"${mark}"`;
}

/** Tries again for a while: the service of a new environment and a forward take a moment to be up. */
async function retry(clock: Clock, attempt: () => Promise<string>): Promise<string> {
  const until = clock.elapsed() + 15_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (clock.elapsed() > until) throw error;
      await clock.sleep(25);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string")
    throw new Error("Cannot tell the port: a TCP server has no address");
  return address.port;
}
