import { expect, test } from "vitest";
import { isList, valueAt } from "../lib/json.ts";
import { ask } from "./ask.ts";
import { openGithub } from "./github.ts";

test("permissionOf() is the most of what somebody was given: directly, by teams, their parents, the organisation", async () => {
  await using github = await openGithub({
    org: "acme",
    repos: ["shop"],
    people: [{ login: "root", role: "owner" }, { login: "ada" }, { login: "out", role: "triage" }],
    app: false,
  });
  const { world } = github;
  const token = github.addToken("root");
  const read = async (login: string): Promise<unknown[]> => {
    const { value } = await ask(github, `/repos/acme/shop/collaborators/${login}/permission`, token);
    return [valueAt(value, "permission"), valueAt(value, "role_name")];
  };
  expect(await read("ada")).toEqual(["none", "none"]);
  world.setMember("acme", "ada");
  expect(await read("ada")).toEqual(["none", "none"]);
  world.setBasePermission("acme", "read");
  expect(await read("ada")).toEqual(["read", "read"]);
  world.addTeam("acme/all");
  world.addTeam("acme/builders", { parent: "acme/all" });
  world.addToTeam("acme/builders", "ada");
  world.setTeamPermission("acme/all", "acme/shop", "maintain");
  expect(await read("ada")).toEqual(["write", "maintain"]);
  world.setCollaborator("acme/shop", "ada", "admin");
  expect(await read("ada")).toEqual(["admin", "admin"]);
  expect(await read("out")).toEqual(["read", "triage"]);
  expect(await read("root")).toEqual(["admin", "admin"]);
  world.removeMember("acme", "ada");
  expect(await read("ada")).toEqual(["none", "none"]);
  world.setPrivate("acme/shop", false);
  expect(await read("ada")).toEqual(["read", "read"]);
  expect((await ask(github, "/repos/acme/shop/collaborators/nobody/permission", token)).status).toBe(404);
});

test("collaborators are listed by affiliation and permission, with everybody who has access by any route", async () => {
  await using github = await openGithub({
    org: "acme",
    repos: ["shop"],
    people: [
      { login: "root", role: "owner" },
      { login: "direct", role: "push" },
      { login: "outside", role: "pull" },
      { login: "team" },
      { login: "nobody" },
    ],
    app: false,
  });
  const { world } = github;
  world.setMember("acme", "direct");
  world.setMember("acme", "nobody");
  world.addTeam("acme/builders");
  world.addToTeam("acme/builders", "team");
  world.setTeamPermission("acme/builders", "acme/shop", "triage");
  const token = github.addToken("root");
  const list = async (query: string): Promise<unknown[]> => {
    const { value } = await ask(github, `/repos/acme/shop/collaborators${query}`, token);
    return isList(value)
      ? value.map((one) => `${String(valueAt(one, "login"))}:${String(valueAt(one, "role_name"))}`)
      : [];
  };
  expect(await list("")).toEqual(["root:admin", "direct:write", "outside:read", "team:triage"]);
  expect(await list("?affiliation=direct")).toEqual(["direct:write", "outside:read"]);
  expect(await list("?affiliation=outside")).toEqual(["outside:read"]);
  expect(await list("?permission=push")).toEqual(["root:admin", "direct:write"]);
  world.setBasePermission("acme", "read");
  expect(await list("")).toHaveLength(5);
});
