import { expect, test } from "vitest";
import { makeSessionId, Sessions, type Session } from "./sessions.ts";

function makeSession(id: string, person: string, ended: string[] = []): Session {
  return {
    id,
    person,
    personId: person,
    login: "hello-main",
    from: "192.0.2.1",
    fingerprint: "SHA256:x",
    client: "SSH-2.0-x",
    since: 0,
    environment: undefined,
    lastInputAt: 0,
    bytesFromClient: 0,
    bytesToClient: 0,
    channelCount: 0,
    end: (reason) => ended.push(`${id}: ${reason}`),
  };
}

test("makeSessionId() makes ids that can be said aloud and do not meet again", () => {
  const ids = Array.from({ length: 5_000 }, makeSessionId);
  expect(new Set(ids).size).toBe(5_000);
  for (const id of ids) expect(id).toMatch(/^s-[abcdefghjkmnpqrstuvwxyz23456789]{8}$/);
});

test("Sessions finds, counts by person and lists what is in it", () => {
  const sessions = new Sessions();
  const [a, b, c] = [makeSession("s-a", "ada"), makeSession("s-b", "bob"), makeSession("s-c", "ada")];
  for (const session of [a, b, c]) sessions.add(session);
  expect([sessions.count, sessions.countOf("ada"), sessions.countOf("eve")]).toEqual([3, 2, 0]);
  expect([sessions.find("s-b"), sessions.find("s-x")]).toEqual([b, undefined]);
  sessions.remove(a);
  sessions.remove(a);
  expect(sessions.all()).toEqual([b, c]);
});

test("Sessions.endAll() ends those that are meant with the reason, and says how many", () => {
  const ended: string[] = [];
  const sessions = new Sessions();
  for (const [id, person] of [
    ["1", "ada"],
    ["2", "bob"],
    ["3", "ada"],
  ] as const)
    sessions.add(makeSession(id, person, ended));
  expect(sessions.endAll("key removed", ({ person }) => person === "ada")).toBe(2);
  expect(ended).toEqual(["1: key removed", "3: key removed"]);
  expect(sessions.endAll("shutdown")).toBe(3);
});

test("Sessions.endAll() ends all of them though each is taken out as it ends", () => {
  const sessions = new Sessions();
  const made = ["1", "2", "3"].map((id) => {
    const session: Session = {
      ...makeSession(id, "ada"),
      end: () => {
        sessions.remove(session);
      },
    };
    return session;
  });
  for (const session of made) sessions.add(session);
  expect(sessions.endAll("shutdown")).toBe(3);
  expect(sessions.count).toBe(0);
});

test("Sessions.untilEmpty() resolves at once when it is empty, and otherwise with the last, for all who wait", async () => {
  const sessions = new Sessions();
  await sessions.untilEmpty();
  const [a, b] = [makeSession("1", "ada"), makeSession("2", "ada")];
  sessions.add(a);
  sessions.add(b);
  let count = 0;
  const waits = [sessions.untilEmpty().then(() => count++), sessions.untilEmpty().then(() => count++)];
  sessions.remove(a);
  await Promise.resolve();
  expect(count).toBe(0);
  sessions.remove(b);
  await Promise.all(waits);
  expect(count).toBe(2);
});
