import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import { makeClock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { makeLog } from "../../base/log.ts";
import type { AnswerCache, CachedAnswer } from "../../wire/knowledge.ts";
import { type ForgeHttp, type ForgeHttpOptions, openForgeHttp } from "./forge-http.ts";
import { readGithubRate } from "./rates.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

interface World {
  readonly http: ForgeHttp;
  readonly url: string;
  readonly seen: { method: string; path: string; headers: IncomingMessage["headers"]; body: string }[];
  readonly cache: AnswerCache & { readonly kept: Map<string, CachedAnswer> };
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A forge whose every answer is what `handler` says. */
async function forge(handler: Handler, options: Partial<ForgeHttpOptions> = {}): Promise<World> {
  const seen: World["seen"] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      seen.push({ method, path: url, headers, body: Buffer.concat(chunks).toString() });
      handler(request, response, seen.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`;
  const cache = memoryCache();
  const http = openForgeHttp({
    apiUrl: url,
    authorize: () => ({ authorization: "Bearer secret-of-ours" }),
    clock: makeClock(),
    log: makeLog("silent"),
    cache,
    ...options,
    limits: { retryWaitMs: 5, ...options.limits },
  });
  return { http, url, seen, cache };
}

function memoryCache(): World["cache"] {
  const kept = new Map<string, CachedAnswer>();
  return {
    kept,
    read: async (url) => kept.get(url),
    write: async (url, answer) => {
      kept.set(url, answer);
    },
  };
}

const Named = z.object({ id: z.int(), name: z.string() });

function ask(ms = 5_000, priority: "login" | "live" | "background" = "login") {
  return { priority, signal: AbortSignal.timeout(ms) };
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("No fault was thrown");
}

function json(response: ServerResponse, body: unknown, headers: Record<string, string> = {}, status = 200): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

test("get() hands out what the schema reads, and says where and when it was asked", async () => {
  const before = Date.now();
  const { http, url, seen } = await forge((_, response) => json(response, { id: 1, name: "shop", secret: "x" }), {
    headers: { accept: "application/vnd.github+json" },
  });
  const answer = await http.get("/repos/1", Named, ask());
  expect(answer).toMatchObject({ status: "ok", value: { id: 1, name: "shop" }, source: "GET /repos/1" });
  expect(answer.status === "ok" && answer.value).not.toHaveProperty("secret");
  expect(answer.url).toBe(`${url}/repos/1`);
  expect(answer.askedAt).toBeGreaterThanOrEqual(before);
  expect(seen[0]?.headers).toMatchObject({
    authorization: "Bearer secret-of-ours",
    accept: "application/vnd.github+json",
    "user-agent": "slipway",
  });
  expect(http.counts).toEqual({ ok: 1, unchanged: 0, absent: 0, failed: 0, limited: 0 });
});

test.each([404, 410, 451])("get() takes %i for the word that there is none", async (status) => {
  const { http } = await forge((_, response) => json(response, { message: "Not Found" }, {}, status));
  expect(await http.get("/x", Named, ask())).toMatchObject({ status: "absent", source: "GET /x" });
});

test("get() gives null for a 204", async () => {
  const { http } = await forge((_, response) => response.writeHead(204).end());
  expect(await http.get("/x", z.null(), ask())).toMatchObject({ status: "ok", value: null });
});

test("get() asks with the ETag of what it kept, cut down, and hands that out on 304", async () => {
  const { http, seen, cache, url } = await forge((request, response) => {
    if (request.headers["if-none-match"] === '"e1"') response.writeHead(304).end();
    else json(response, { id: 1, name: "shop", more: true }, { etag: '"e1"' });
  });
  await http.get("/x", Named, ask());
  expect(cache.kept.get(`${url}/x`)).toEqual({ etag: '"e1"', body: '{"id":1,"name":"shop"}' });
  expect(await http.get("/x", Named, ask())).toMatchObject({ status: "ok", value: { id: 1, name: "shop" } });
  expect(seen).toHaveLength(2);
  expect(http.counts).toMatchObject({ ok: 1, unchanged: 1 });
});

test("get() asks without a condition when what is kept no longer has the shape that is read", async () => {
  const { http, seen, cache, url } = await forge((_, response) =>
    json(response, { id: 1, name: "a" }, { etag: '"e2"' }),
  );
  cache.kept.set(`${url}/x`, { etag: '"e1"', body: '{"id":1}' });
  await http.get("/x", Named, ask());
  expect(seen[0]?.headers).not.toHaveProperty("if-none-match");
  expect(cache.kept.get(`${url}/x`)?.etag).toBe('"e2"');
});

test("get() does without the cache when that fails", async () => {
  const cache: AnswerCache = {
    read: () => Promise.reject(new Error("The database is away")),
    write: () => Promise.reject(new Error("The database is away")),
  };
  const { http } = await forge((_, response) => json(response, { id: 1, name: "a" }, { etag: '"e"' }), { cache });
  expect(await http.get("/x", Named, ask())).toMatchObject({ status: "ok" });
});

test.each([
  ["no JSON", "<html>hello</html>", "is not whole JSON"],
  ["half of JSON", '{"id": 1, "na', "is not whole JSON"],
  ["another shape", '{"id": "1", "name": "x"}', "has another shape at id"],
  ["an empty body", "", "is not whole JSON"],
])("get() rejects when the answer is %s", async (_, body, words) => {
  const { http } = await forge((_, response) => response.writeHead(200).end(body));
  const fault = await faultOf(http.get("/x", Named, ask()));
  expect(fault.code).toBe("forge.unreached");
  expect(fault.message).toContain(words);
  expect(fault.message).toContain("GET /x");
});

test("get() rejects when the answer is not UTF-8", async () => {
  const { http } = await forge((_, response) => response.end(Buffer.from([0x22, 0xff, 0xfe, 0x22])));
  expect((await faultOf(http.get("/x", z.string(), ask()))).message).toContain("not UTF-8");
});

test.each([
  ["is cut off in the middle of a chunked body", { "transfer-encoding": "chunked" }],
  ["is shorter than it said", { "content-length": "1000" }],
])("get() tries once more, then rejects when the answer %s", async (_, headers) => {
  const { http, seen } = await forge((_, response) => {
    response.writeHead(200, headers);
    response.write('{"id":1,"name":"x"}', () => response.destroy());
  });
  expect((await faultOf(http.get("/x", Named, ask()))).code).toBe("forge.unreached");
  expect(seen).toHaveLength(2);
});

test("get() rejects a body that is larger than the limit, also when it is compressed", async () => {
  const bomb = gzipSync(Buffer.alloc(4 * 2 ** 20, 0x20));
  const { http } = await forge(
    (request, response) =>
      request.url === "/api/gzip"
        ? response.writeHead(200, { "content-encoding": "gzip" }).end(bomb)
        : response.writeHead(200).end(Buffer.alloc(2 * 2 ** 20, 0x20)),
    { limits: { bodyMaxBytes: 2 ** 20 } },
  );
  expect((await faultOf(http.get("/plain", Named, ask()))).message).toContain("longer than 1048576 bytes");
  expect((await faultOf(http.get("/gzip", Named, ask()))).message).toContain("longer than 1048576 bytes");
});

test.each(["headers", "body"])("get() rejects when the %s do not come in time, without asking again", async (what) => {
  const { http, seen } = await forge(
    (_, response) => {
      if (what === "body") response.writeHead(200).write("{");
    },
    { limits: { requestTimeoutMs: 100 } },
  );
  const fault = await faultOf(http.get("/x", Named, ask()));
  expect(fault).toMatchObject({ code: "forge.unreached" });
  expect(fault.message).toContain("within 100 ms");
  expect(seen).toHaveLength(1);
});

test("get() rejects at once when the asker stops waiting, and lets go of the connection", async () => {
  let isClosed = false;
  const { http } = await forge((_, response) => {
    response.on("close", () => (isClosed = true));
  });
  const startMs = performance.now();
  const fault = await faultOf(http.get("/x", Named, ask(50)));
  expect(fault.code).toBe("forge.unreached");
  expect(performance.now() - startMs).toBeLessThan(1_000);
  await expect.poll(() => isClosed).toBe(true);
});

test.each([502, 503, 504])("get() asks once more after a %i", async (status) => {
  const { http, seen } = await forge((_, response, count) =>
    count === 1 ? response.writeHead(status).end("bad gateway") : json(response, { id: 1, name: "a" }),
  );
  expect(await http.get("/x", Named, ask())).toMatchObject({ status: "ok" });
  expect(seen).toHaveLength(2);
  expect(http.counts).toMatchObject({ ok: 1, failed: 1 });
});

test("get() asks once more after a connection that broke, and says what broke it when it does again", async () => {
  const { http, seen } = await forge((request) => request.socket.destroy());
  expect((await faultOf(http.get("/x", Named, ask()))).code).toBe("forge.unreached");
  expect(seen).toHaveLength(2);
});

test("get() rejects when nobody listens", async () => {
  const http = openForgeHttp({
    apiUrl: "http://127.0.0.1:1",
    authorize: () => ({}),
    clock: makeClock(),
    log: makeLog("silent"),
    cache: memoryCache(),
  });
  expect(await faultOf(http.get("/x", Named, ask()))).toMatchObject({ code: "forge.unreached" });
});

test.each([400, 409, 422, 500, 501])("get() does not ask again after a %i", async (status) => {
  const { http, seen } = await forge((_, response) => json(response, { message: "no" }, {}, status));
  expect((await faultOf(http.get("/x", Named, ask()))).message).toBe(`Cannot ask GET /x: status ${status}, "no"`);
  expect(seen).toHaveLength(1);
});

test("post() sends JSON, and is not sent again after a 502 or a broken connection", async () => {
  const { http, seen } = await forge((request, response) => {
    if (request.url === "/api/broken") request.socket.destroy();
    else if (request.url === "/api/bad") response.writeHead(502).end();
    else json(response, { id: 1, name: "t" }, {}, 201);
  });
  expect(await http.post("/fine", { a: 1 }, Named, ask())).toMatchObject({ status: "ok", source: "POST /fine" });
  expect(seen[0]).toMatchObject({ method: "POST", body: '{"a":1}' });
  expect((await faultOf(http.post("/bad", {}, Named, ask()))).code).toBe("forge.unreached");
  expect((await faultOf(http.post("/broken", {}, Named, ask()))).code).toBe("forge.unreached");
  expect(seen).toHaveLength(3);
});

test("a fault has the status and the id of the request, and never the credential, even when the forge repeats it", async () => {
  const { http } = await forge((_, response) =>
    json(response, { message: "bad token secret-of-ours" }, { "x-github-request-id": "AB:12" }, 403),
  );
  const fault = await faultOf(http.get("/x", Named, ask()));
  expect(fault.code).toBe("forge.refused");
  expect(fault.message).toBe('Cannot ask GET /x: status 403, "bad token ***" (request AB:12)');
});

test("get() asks for other headers once after a 401, and tries those", async () => {
  const refusals: unknown[] = [];
  const { http, seen } = await forge(
    (request, response) =>
      request.headers.authorization === "Bearer new"
        ? json(response, { id: 1, name: "a" })
        : json(response, { message: "Bad credentials" }, {}, 401),
    {
      authorize: (_, refused) => {
        if (refused !== undefined) refusals.push(refused);
        return { authorization: refused === undefined ? "Bearer old" : "Bearer new" };
      },
    },
  );
  expect(await http.get("/x", Named, ask())).toMatchObject({ status: "ok" });
  expect(refusals).toEqual([{ authorization: "Bearer old" }]);
  expect(seen).toHaveLength(2);
});

test("get() is refused after a 401 when there are no other headers, or those are refused too", async () => {
  const same = await forge((_, response) => json(response, {}, {}, 401));
  expect((await faultOf(same.http.get("/x", Named, ask()))).code).toBe("forge.refused");
  expect(same.seen).toHaveLength(1);
  let count = 0;
  const other = await forge((_, response) => json(response, {}, {}, 401), {
    authorize: () => ({ authorization: `Bearer ${(count += 1)}` }),
  });
  expect((await faultOf(other.http.get("/x", Named, ask()))).code).toBe("forge.refused");
  expect(other.seen).toHaveLength(2);
});

test("get() follows a redirection inside the API, with the credential", async () => {
  const { http, url, seen } = await forge((request, response) =>
    request.url === "/api/old"
      ? response.writeHead(301, { location: `${url}/new` }).end('{"message":"Moved Permanently"}')
      : json(response, { id: 7, name: "new" }),
  );
  expect(await http.get("/old", Named, ask())).toMatchObject({
    source: "GET /old",
    url: `${url}/new`,
    value: { id: 7 },
  });
  expect(seen[1]?.headers.authorization).toBe("Bearer secret-of-ours");
});

test("get() sends nothing to another origin or out of the API, whatever it is redirected to", async () => {
  const stranger = await forge((_, response) => json(response, { id: 1, name: "stolen" }));
  const { http, url, seen } = await forge((request, response) => {
    const location = request.url === "/api/away" ? `${stranger.url}/x` : `${new URL(url).origin}/admin`;
    response.writeHead(302, { location }).end();
  });
  expect((await faultOf(http.get("/away", Named, ask()))).message).toContain("redirects out of the forge's API");
  expect((await faultOf(http.get("/inside", Named, ask()))).message).toContain("redirects out of the forge's API");
  expect(stranger.seen).toHaveLength(0);
  expect(seen).toHaveLength(2);
});

test("get() gives up on redirections that never end", async () => {
  const { http, url, seen } = await forge((_, response) => response.writeHead(302, { location: `${url}/x` }).end());
  expect((await faultOf(http.get("/x", Named, ask()))).message).toContain("redirects more than 5 times");
  expect(seen).toHaveLength(6);
});

/** A list as GitHub pages it: ETags of bodies, `Link` on 200 only. */
function paged(state: { ids: number[]; size: number }, url: () => string): Handler {
  return (request, response) => {
    const page = Number(new URL(request.url ?? "", "http://x").searchParams.get("page") ?? 1);
    const body = JSON.stringify(state.ids.slice((page - 1) * state.size, page * state.size).map((id) => ({ id })));
    const etag = `"${Buffer.from(body).toString("base64url").slice(-40)}"`;
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, { etag }).end();
      return;
    }
    const hasNext = state.ids.length > page * state.size;
    const link = `<${url()}/list?per_page=${state.size}&page=${page + 1}>; rel="next", <${url()}/list?page=9>; rel="last"`;
    response.writeHead(200, { etag, ...(hasNext ? { link } : {}) }).end(body);
  };
}

const Id = z.object({ id: z.int() });

test("list() reads every page, and a list that is as kept costs only requests that cost nothing", async () => {
  const state = { ids: [1, 2, 3, 4, 5], size: 2 };
  let url = "";
  const world = await forge(paged(state, () => url));
  url = world.url;
  const first = await world.http.list("/list?per_page=2", Id, ask());
  expect(first).toMatchObject({ status: "ok", source: "GET /list?per_page=2" });
  expect(first.status === "ok" && first.value.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5]);
  expect(world.http.counts).toMatchObject({ ok: 3, unchanged: 3 });
  await world.http.list("/list?per_page=2", Id, ask());
  expect(world.http.counts).toMatchObject({ ok: 3, unchanged: 6 });
});

test("list() finds the entry behind a full last page, whose ETag still fits", async () => {
  const state = { ids: [1, 2], size: 2 };
  let url = "";
  const world = await forge(paged(state, () => url));
  url = world.url;
  await world.http.list("/list?per_page=2", Id, ask());
  state.ids.push(3);
  const list = await world.http.list("/list?per_page=2", Id, ask());
  expect(list.status === "ok" && list.value.map(({ id }) => id)).toEqual([1, 2, 3]);
});

test("list() misses nobody when an entry before them goes while the list is read", async () => {
  const state = { ids: [1, 2, 3, 4], size: 2 };
  let url = "";
  const world = await forge((request, response, count) => {
    paged(state, () => url)(request, response, count);
    if (count === 1) state.ids.shift();
  });
  url = world.url;
  const list = await world.http.list("/list?per_page=2", Id, ask());
  expect(list.status === "ok" && list.value.map(({ id }) => id)).toEqual([2, 3, 4]);
});

test("list() rejects when the list changes under every reading", async () => {
  const state = { ids: [1, 2, 3], size: 2 };
  let url = "";
  const world = await forge((request, response, count) => {
    state.ids.push(10 + count);
    paged(state, () => url)(request, response, count);
  });
  url = world.url;
  expect((await faultOf(world.http.list("/list?per_page=2", Id, ask()))).message).toContain(
    "changed each of the 4 times",
  );
});

test.each([
  ["fails", (response: ServerResponse) => response.writeHead(500).end(), "status 500"],
  ["is absent", (response: ServerResponse) => response.writeHead(404).end(), "one of its pages is absent"],
  ["is not whole", (response: ServerResponse) => response.end('[{"id":3}'), "not whole JSON"],
])("list() rejects when a later page %s", async (_, answer, words) => {
  const world = await forge((request, response) => {
    if (request.url?.includes("page=2") === true) answer(response);
    else json(response, [{ id: 1 }], { link: `<${world.url}/list?page=2>; rel="next"` });
  });
  expect((await faultOf(world.http.list("/list", Id, ask()))).message).toContain(words);
});

test("list() is absent when its first page is", async () => {
  const { http } = await forge((_, response) => response.writeHead(404).end());
  expect(await http.list("/list", Id, ask())).toMatchObject({ status: "absent" });
});

test("list() follows no link to another origin, none in a circle, and not too many", async () => {
  const stranger = await forge((_, response) => json(response, []));
  const links: Record<string, (page: number) => string> = {
    "/api/away": () => `${stranger.url}/list`,
    "/api/circle": () => "/api/circle?page=2",
    "/api/long": (page) => `?page=${page + 1}`,
  };
  const { http } = await forge(
    (request, response) => {
      const url = new URL(request.url ?? "", "http://x");
      const target = links[url.pathname]?.(Number(url.searchParams.get("page") ?? 1)) ?? "";
      json(response, [{ id: 1 }], { link: `<${target}>; rel="next"` });
    },
    { limits: { listPagesMax: 20, pointsPerSecond: 1_000 } },
  );
  expect((await faultOf(http.list("/away", Id, ask()))).message).toContain("next page is not in the forge's API");
  expect((await faultOf(http.list("/circle", Id, ask()))).message).toContain("round in a circle");
  expect((await faultOf(http.list("/long", Id, ask()))).message).toContain("more than 20 pages");
  expect(stranger.seen).toHaveLength(0);
});

test("listIn() takes the entries out of an object, and keeps those", async () => {
  const { http } = await forge((request, response) => {
    if (request.headers["if-none-match"] === '"e"') response.writeHead(304).end();
    else json(response, { total_count: 1, repositories: [{ id: 5, name: "x" }] }, { etag: '"e"' });
  });
  const schema = z.object({ repositories: z.array(Id) });
  const read = () => http.listIn("/list?per_page=100", { schema, itemsOf: ({ repositories }) => repositories }, ask());
  expect(await read()).toMatchObject({ value: [{ id: 5 }] });
  expect(await read()).toMatchObject({ value: [{ id: 5 }] });
  expect(http.counts).toMatchObject({ ok: 1, unchanged: 1 });
});

test("list() is at every size and page size what the forge has", async () => {
  let url = "";
  const state = { ids: [] as number[], size: 1 };
  const world = await forge(
    paged(state, () => url),
    { limits: { pointsPerSecond: 1e6, burstPoints: 1e6 } },
  );
  url = world.url;
  const change = fc.record({
    ids: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 12 }),
    size: fc.integer({ min: 1, max: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      for (const { ids, size } of changes) {
        Object.assign(state, { ids: ids.toSorted((one, other) => one - other), size });
        const list = await world.http.list(`/list?per_page=${size}`, Id, ask(20_000));
        expect(list.status === "ok" && list.value.map(({ id }) => id)).toEqual(state.ids);
      }
    }),
    { numRuns: 40 },
  );
});

test("a limit with retry-after stops every request until then, and the limited one is sent again", async () => {
  const at: number[] = [];
  const { http } = await forge((request, response, count) => {
    at.push(performance.now());
    if (count === 1) json(response, { message: "secondary rate limit" }, { "retry-after": "1" }, 403);
    else json(response, { id: 1, name: request.url ?? "" });
  });
  const first = http.get("/a", Named, ask());
  await expect.poll(() => at.length).toBe(1);
  await expect.poll(() => http.counts.limited).toBe(1);
  const second = http.get("/b", Named, ask());
  expect(await first).toMatchObject({ status: "ok" });
  expect(await second).toMatchObject({ status: "ok" });
  expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(900);
});

test.each([
  ["a 403 with no request left", 403, { "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0" }],
  ["a 429 that asks for an hour", 429, { "retry-after": "3600" }],
  ["a 429 that says nothing, which is a minute", 429, { "retry-after": "61" }],
])("a login is refused at once after %s", async (_, status, headers) => {
  const reset = { "x-ratelimit-reset": String(Math.floor(Date.now() / 1_000) + 600) };
  const { http, seen } = await forge((_, response) => json(response, {}, { ...reset, ...headers }, status), {
    readRate: readGithubRate,
  });
  const startMs = performance.now();
  expect(await faultOf(http.get("/x", Named, ask()))).toMatchObject({ code: "forge.limited" });
  expect(await faultOf(http.get("/y", Named, ask()))).toMatchObject({ code: "forge.limited" });
  expect(performance.now() - startMs).toBeLessThan(1_000);
  expect(seen).toHaveLength(1);
});

test("the budget is that of the lane with the least left", async () => {
  const { http } = await forge(
    (request, response) =>
      json(
        response,
        { id: 1, name: "a" },
        {
          "x-ratelimit-limit": "5000",
          "x-ratelimit-remaining": request.url === "/api/a" ? "4000" : "100",
          "x-ratelimit-reset": String(Math.floor(Date.now() / 1_000) + 600),
        },
      ),
    { readRate: readGithubRate },
  );
  expect(http.budget).toBeUndefined();
  await http.get("/a", Named, { ...ask(), lane: "one" });
  await http.get("/b", Named, { ...ask(), lane: "two" });
  expect(http.budget).toMatchObject({ limit: 5_000, remaining: 100 });
  // The watch over live sessions leaves the last twentieth of a lane to logins, and others go on.
  expect((await faultOf(http.get("/c", Named, { ...ask(100, "live"), lane: "two" }))).code).toBe("forge.limited");
  expect((await http.get("/c", Named, { ...ask(5_000, "login"), lane: "two" })).status).toBe("ok");
  expect((await http.get("/a", Named, { ...ask(5_000, "background"), lane: "one" })).status).toBe("ok");
});
