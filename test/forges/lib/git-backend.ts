/**
 * Git over HTTP(S), by git's own CGI program `git http-backend` (git-http-backend(1)). Who may do what is decided by the
 * forge, which is asked with every request.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { basename, dirname } from "node:path";
import { plainEnv } from "../../harness/program.ts";

/** What somebody wants of a repository. */
export interface GitAsk {
  /** `acme/shop` */
  readonly repository: string;
  readonly wants: "fetch" | "push";
  /** From Basic authentication. */
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export type GitRuling =
  /** `folder`: the bare repository. */
  | { readonly type: "serve"; readonly folder: string; readonly asker: string }
  /** `repository`: what it is called by now. */
  | { readonly type: "moved"; readonly repository: string }
  | { readonly type: "refuse"; readonly status: 401 | 403 | 404; readonly text: string };

/** Decides about git requests, and is told how each was ruled. */
export interface GitDesk {
  rule(ask: GitAsk): Promise<GitRuling> | GitRuling;
}

const SERVICES: Readonly<Record<string, GitAsk["wants"]>> = { "git-upload-pack": "fetch", "git-receive-pack": "push" };

/** Serves one request below `/<owner>/<name>.git/`. */
export async function serveGit(incoming: IncomingMessage, response: ServerResponse, desk: GitDesk): Promise<void> {
  const url = new URL(incoming.url ?? "/", "http://forge.invalid");
  const [, repository = "", rest = ""] = /^\/(.+?)\.git(\/.*)$/.exec(url.pathname) ?? [];
  const wants = SERVICES[url.searchParams.get("service") ?? rest.slice(1)];
  if (wants === undefined) {
    refuse(response, 404, "Not Found");
    return;
  }
  const [username, password] = basicIn(incoming.headers.authorization);
  const ruling = await desk.rule({ repository, wants, username, password });
  if (ruling.type === "refuse") {
    refuse(response, ruling.status, ruling.text);
    return;
  }
  if (ruling.type === "moved") {
    response.writeHead(301, { location: `/${ruling.repository}.git${rest}${url.search}` }).end();
    incoming.resume();
    return;
  }
  await runBackend(incoming, response, { ...ruling, pathInfo: rest, query: url.search.slice(1) });
}

function refuse(response: ServerResponse, status: number, text: string): void {
  const headers = {
    "content-type": "text/plain",
    ...(status === 401 && { "www-authenticate": 'Basic realm="GitHub"' }),
  };
  response.writeHead(status, headers).end(text);
}

interface Running {
  readonly folder: string;
  readonly asker: string;
  readonly pathInfo: string;
  readonly query: string;
}

async function runBackend(incoming: IncomingMessage, response: ServerResponse, running: Running): Promise<void> {
  const { folder, asker, pathInfo, query } = running;
  const { headers } = incoming;
  const child = spawn("git", ["http-backend"], {
    env: {
      ...plainEnv(dirname(folder)),
      ...{ GIT_PROJECT_ROOT: dirname(folder), GIT_HTTP_EXPORT_ALL: "1", PATH_INFO: `/${basename(folder)}${pathInfo}` },
      ...{ REQUEST_METHOD: incoming.method, QUERY_STRING: query, REMOTE_USER: asker, REMOTE_ADDR: "127.0.0.1" },
      ...(headers["content-type"] !== undefined && { CONTENT_TYPE: headers["content-type"] }),
      ...(headers["content-length"] !== undefined && { CONTENT_LENGTH: headers["content-length"] }),
      ...(headers["content-encoding"] !== undefined && { HTTP_CONTENT_ENCODING: headers["content-encoding"] }),
      ...(typeof headers["git-protocol"] === "string" && { GIT_PROTOCOL: headers["git-protocol"] }),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  incoming.pipe(child.stdin);
  child.stdin.on("error", () => undefined); // it may end before it has read all
  response.once("close", () => child.kill());
  let head = Buffer.alloc(0);
  let isBody = false;
  for await (const chunk of child.stdout) {
    if (!Buffer.isBuffer(chunk)) continue;
    if (isBody) {
      if (!response.write(chunk))
        await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) continue;
    isBody = true;
    writeHead(response, head.subarray(0, end).toString());
    response.write(head.subarray(end + 4));
  }
  if (!isBody) response.writeHead(500);
  response.end();
}

/** RFC 3875 section 6.3: headers as of HTTP, and `Status` in the place of a status line. */
function writeHead(response: ServerResponse, head: string): void {
  const pairs = head.split("\r\n").map((line) => line.split(/:\s*/, 2));
  const headers = new Map(pairs.map(([name = "", value = ""]) => [name.toLowerCase(), value]));
  const status = Number.parseInt(headers.get("status") ?? "200", 10);
  headers.delete("status");
  response.writeHead(status, Object.fromEntries(headers));
}

function basicIn(header: string | undefined): [string | undefined, string | undefined] {
  const [, encoded] = /^Basic (.+)$/i.exec(header ?? "") ?? [];
  if (encoded === undefined) return [undefined, undefined];
  const text = Buffer.from(encoded, "base64").toString();
  const at = text.indexOf(":");
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
