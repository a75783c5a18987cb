/**
 * Shows that the service works, with the real OpenSSH client, one step after the other, each with its time.
 *
 * Called by `cmd/start.ts`.
 *
 * @module
 */
import { createServer } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { openForward, runSftp, runSsh, type ClientOptions, type ClientResult } from "./ssh-client.ts";

export interface TourOptions {
  readonly client: ClientOptions;
  readonly clock: Clock;
  readonly print: (line: string) => void;
  /** A folder for the file that is edited. */
  readonly folder: string;
  readonly writeFile: (path: string, text: string) => void;
}

interface Step {
  readonly title: string;
  /** Does it, and returns what there is to see. Throws with a sentence when it did not work. */
  readonly run: () => Promise<string>;
}

const PORT = 3_000;

/** Runs the tour. @returns whether every step worked */
export async function runTour(options: TourOptions): Promise<boolean> {
  const begunAt = options.clock.elapsed();
  for (const step of stepsOf(options)) {
    const at = options.clock.elapsed();
    try {
      const seen = await step.run();
      const ms = Math.round(options.clock.elapsed() - at);
      options.print(`  ok    ${`${ms}`.padStart(5)} ms  ${step.title}${seen === "" ? "" : `: ${seen}`}`);
    } catch (error) {
      options.print(`  FAIL            ${step.title}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }
  options.print(`  all of it in ${Math.round(options.clock.elapsed() - begunAt)} ms`);
  return true;
}

function stepsOf(options: TourOptions): Step[] {
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
    { title: "edit a file by SFTP", run: () => edit(options, mark) },
    {
      title: "the service inside serves the edit",
      run: async () => {
        const request = `exec 3<>/dev/tcp/127.0.0.1/${PORT}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
        return retry(options.clock, async () =>
          mustShow(check(await runSsh(client, `bash -c ${quote(request)}`)).stdout, mark),
        );
      },
    },
    { title: `ssh -L: the same page at this end of a forward`, run: () => throughForward(options, mark) },
  ];
}

async function edit(options: TourOptions, mark: string): Promise<string> {
  const path = `${options.folder}/index.html`;
  options.writeFile(
    path,
    `<!doctype html>\n<title>hello</title>\n<h1>{greeting} from an environment of your own</h1>\n<p>${mark}</p>\n`,
  );
  check(await runSftp(options.client, `put ${quote(path)} public/index.html\n`));
  return "public/index.html";
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

function check(result: ClientResult): ClientResult {
  if (result.exitCode === 0) return result;
  throw new Error(`Exit code ${result.exitCode}: ${result.stderr.trim()}`);
}

function mustShow(page: string, mark: string): string {
  if (!page.includes(mark)) throw new Error(`The page is without the edit: ${JSON.stringify(page.slice(0, 200))}`);
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

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
