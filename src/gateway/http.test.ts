import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openHttp } from "./http.ts";
import { Metrics } from "./metrics.ts";

let http: Awaited<ReturnType<typeof openHttp>>;
let unready: string | undefined;
const metrics = new Metrics({
  slipway_sessions: { help: "Live sessions", read: () => 7 },
  slipway_requests_total: {
    ...{ help: "Requests sent", isTotal: true, labelNames: ["verb"] },
    read: () => [{ labels: { verb: "get" }, value: 3 }],
  },
});
beforeAll(async () => {
  http = await openHttp({ address: { host: "127.0.0.1", port: 0 }, metrics, unready: () => unready });
});
afterAll(() => http[Symbol.asyncDispose]());

/** Sends bytes as they are and returns the status line of the answer. */
async function statusOf(request: string): Promise<string> {
  const socket = connect(http.port, "127.0.0.1");
  socket.end(request);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer.split("\r\n")[0] ?? "";
}

const get = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${http.port}${path}`);

test("/healthz answers, and /readyz says why not", async () => {
  expect(await (await get("/healthz")).text()).toBe("ok\n");
  expect((await get("/readyz")).status).toBe(200);
  unready = "shutting down";
  const answer = await get("/readyz?now");
  expect([answer.status, await answer.text()]).toEqual([503, "shutting down\n"]);
});

test("/metrics has our metrics, counted by labels from closed sets", async () => {
  metrics.channelOpened("session", true);
  metrics.channelOpened("made-up-by-a-client", false);
  const text = await (await get("/metrics")).text();
  expect(text).toContain("slipway_sessions 7");
  expect(text).toContain('slipway_channels_total{type="session",allowed="true"} 1');
  expect(text).toContain('slipway_channels_total{type="other",allowed="false"} 1');
});

test("/metrics counts on from one scrape to the next only what has been counted since", async () => {
  await get("/metrics");
  const text = await (await get("/metrics")).text();
  expect(text).toContain("# TYPE slipway_requests_total counter");
  expect(text).toContain('slipway_requests_total{verb="get"} 3');
});

test.each([
  ["GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 Not Found"],
  ["GET /%ff?%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 Not Found"],
  ["POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"],
  ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 400 Bad Request"],
])("a request line %j is answered, and does not end the service", async (request, status) => {
  expect(await statusOf(request)).toBe(status);
});
