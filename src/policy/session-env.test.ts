import { expect, test } from "vitest";
import { type SessionEnvFacts, sessionEnv } from "./session-env.ts";

const facts: SessionEnvFacts = {
  person: { id: "ada", name: "ada", fullName: "Ada Lovelace", email: "ada@example.dev", admin: false },
  login: "Hello-Feature-X",
  environment: { id: "e1f2", repository: "hello", branch: "feature/x" },
  sessionId: "s9",
  definition: { containerEnv: {}, remoteEnv: {} },
  baseEnv: { PATH: "/usr/bin:/bin", HOME: "/home/dev" },
};

const plain = {
  GIT_AUTHOR_NAME: "Ada Lovelace",
  GIT_AUTHOR_EMAIL: "ada@example.dev",
  GIT_COMMITTER_NAME: "Ada Lovelace",
  GIT_COMMITTER_EMAIL: "ada@example.dev",
  SLIPWAY_LOGIN: "Hello-Feature-X",
  SLIPWAY_PERSON: "ada",
  SLIPWAY_ENVIRONMENT: "e1f2",
  SLIPWAY_REPOSITORY: "hello",
  SLIPWAY_BRANCH: "feature/x",
  SLIPWAY_SESSION: "s9",
};

test("sessionEnv() says who, where and which when there is no definition", () => {
  expect(sessionEnv(facts)).toEqual(plain);
});

test("sessionEnv() names no session when a command runs without one", () => {
  const { sessionId: _, ...command } = facts;
  const { SLIPWAY_SESSION: _session, ...expected } = plain;
  expect(sessionEnv(command)).toEqual(expected);
});

test("sessionEnv() lays remoteEnv over containerEnv, with the container's variables in it", () => {
  const definition = {
    containerEnv: { A: "container", B: "container", C: "container" },
    remoteEnv: {
      A: "remote",
      B: null,
      D: "${containerEnv:A}+${containerEnv:GONE}+${containerEnv:GONE:x:y}+${OTHER}",
      PATH: "/workspace/hello/bin:${containerEnv:PATH}",
      GIT_AUTHOR_NAME: "Ada (hello)",
      GIT_COMMITTER_NAME: null,
    },
  };
  const { GIT_COMMITTER_NAME: _, ...rest } = plain;
  expect(sessionEnv({ ...facts, definition })).toEqual({
    ...rest,
    A: "remote",
    C: "container",
    D: "container++x:y+${OTHER}",
    PATH: "/workspace/hello/bin:/usr/bin:/bin",
    GIT_AUTHOR_NAME: "Ada (hello)",
  });
});

test("sessionEnv() lets no definition say what is so", () => {
  const definition = {
    containerEnv: { SLIPWAY_PERSON: "eve", SLIPWAY_ROOT: "1" },
    remoteEnv: { SLIPWAY_LOGIN: "eve", SLIPWAY_SESSION: null },
  };
  expect(sessionEnv({ ...facts, definition })).toEqual(plain);
});

test("sessionEnv() finds no variable that only JavaScript has", () => {
  const definition = { containerEnv: {}, remoteEnv: { A: "${containerEnv:constructor}" } };
  expect(sessionEnv({ ...facts, definition })["A"]).toBe("");
});

test.each(["a\nb", "a\rb", "a\0b"])("sessionEnv() throws rather than write %j into a line of sshd's", (branch) => {
  const environment = { ...facts.environment, branch };
  expect(() => sessionEnv({ ...facts, environment })).toThrow(
    "Cannot give SLIPWAY_BRANCH to a session: it has a NUL or a line break",
  );
});
