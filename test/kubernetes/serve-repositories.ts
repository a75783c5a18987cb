/**
 * Repositories by HTTPS for whoever runs inside of the test cluster: git's own server behind a certificate of our own.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { mustRun, plainEnv } from "../harness/program.ts";

export interface ServedRepositories extends AsyncDisposable {
  /** Ends with a slash; the name of a bare repository follows. */
  readonly url: string;
  /** The certificate that proves it, a file. */
  readonly authority: string;
}

/** Serves every repository in a folder, for reading, on a free port of an address of this machine. */
export async function serveRepositories(folder: string, address: string): Promise<ServedRepositories> {
  const [key, authority] = [join(folder, "tls.key"), join(folder, "tls.crt")];
  const pair = ["-keyout", key, "-out", authority, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const names = ["-subj", "/CN=repositories", "-addext", `subjectAltName=IP:${address}`];
  await mustRun(["openssl", "req", "-x509", "-days", "2", ...pair, ...names]);
  const files = { key: readFileSync(key), cert: readFileSync(authority) };
  const server = createServer(files, (request, response) => answer(folder, request, response));
  server.listen(0, address);
  await once(server, "listening");
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("Cannot serve repositories: no port");
  return {
    url: `https://${address}:${at.port}/`,
    authority,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** git-http-backend(1) is a program of CGI: RFC 3875. */
function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "/", "https://here");
  const {
    "content-type": type = "",
    "content-encoding": encoding = "",
    "git-protocol": protocol = "",
  } = request.headers;
  const child = spawn("git", ["http-backend"], {
    env: {
      ...plainEnv("/nonexistent"),
      ...{ GIT_PROJECT_ROOT: folder, GIT_HTTP_EXPORT_ALL: "1", PATH_INFO: pathname, QUERY_STRING: search.slice(1) },
      ...{ REQUEST_METHOD: request.method ?? "GET", CONTENT_TYPE: type, HTTP_CONTENT_ENCODING: encoding },
      GIT_PROTOCOL: typeof protocol === "string" ? protocol : "",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => {}); // it may end before it has read everything
  request.pipe(child.stdin);
  let head = "";
  const takeHead = (chunk: Buffer): void => {
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    child.stdout.off("data", takeHead);
    for (const line of head.slice(0, end).split("\r\n")) {
      const [name = "", value = ""] = line.split(/: (.*)/s);
      if (name.toLowerCase() === "status") response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.write(Buffer.from(head.slice(end + 4), "latin1"));
    child.stdout.pipe(response);
  };
  child.stdout.on("data", takeHead);
}
