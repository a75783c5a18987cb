import fc from "fast-check";
import { expect, test } from "vitest";
import { toldOf } from "../base/fault.ts";
import { checkSettings, type Settings } from "./settings.ts";

// Made by ssh-keygen for this test.
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt";

function read(text: string): Settings {
  return checkSettings(`version: 1\n${text}`, "slipway.yaml");
}

/** What a person is told about a file. */
function told(text: string): string {
  try {
    read(text);
    return "";
  } catch (error) {
    expect(error).toMatchObject({ code: "settings.invalid" });
    return toldOf(error);
  }
}

const DEFAULTS = {
  organizations: ["acme"],
  repositories: [],
  minimumRole: "write",
  graceMs: 3_600_000,
  pollMs: 30_000,
};
const TOKEN = { type: "token", token: { file: "/etc/slipway/token" } };

test.each([
  [
    "GitHub by a token",
    "github: { tokenFile: /etc/slipway/token, organizations: [acme] }",
    { name: "github", type: "github", url: "https://github.com", apiUrl: "https://api.github.com", credential: TOKEN },
  ],
  [
    "GitHub Enterprise",
    "work: { type: github, url: https://ghe.example/, tokenFile: /etc/slipway/token, organizations: [acme] }",
    {
      name: "work",
      type: "github",
      url: "https://ghe.example",
      apiUrl: "https://ghe.example/api/v3",
      credential: TOKEN,
    },
  ],
  [
    "GitLab",
    "gitlab: { tokenEnv: GITLAB_TOKEN, organizations: [acme] }",
    {
      ...{ name: "gitlab", type: "gitlab", url: "https://gitlab.com", apiUrl: "https://gitlab.com/api/v4" },
      credential: { type: "token", token: { env: "GITLAB_TOKEN" } },
    },
  ],
  [
    "Gitea below a path",
    "gitea: { url: 'http://127.0.0.1:3000/git/', tokenFile: /etc/slipway/token, organizations: [acme] }",
    {
      ...{ name: "gitea", type: "gitea", url: "http://127.0.0.1:3000/git" },
      ...{ apiUrl: "http://127.0.0.1:3000/git/api/v1", credential: TOKEN },
    },
  ],
  [
    "an API at an address of its own",
    "gitea: { url: https://git.example, apiUrl: 'http://[::1]:3000/api/v1/', tokenFile: /etc/slipway/token, organizations: [acme] }",
    {
      ...{ name: "gitea", type: "gitea", url: "https://git.example", apiUrl: "http://[::1]:3000/api/v1" },
      credential: TOKEN,
    },
  ],
])("checkSettings() fills in what is not said of %s", (_, forge, expected) => {
  expect(read(`forges:\n  ${forge}\n`).forges).toEqual([{ ...DEFAULTS, ...expected }]);
});

test("checkSettings() reads everything that can be said about forges, and needs no people beside them", () => {
  const settings = read(`
listen: { webhooks: "127.0.0.1:8080" }
forges:
  github:
    type: github
    url: https://github.com
    app: { id: 12345, privateKeyFile: /etc/slipway/app.pem }
    webhook: { secretEnv: WEBHOOK_SECRET }
    organizations: [acme]
    repositories: [ada/dotfiles]
    readOnly: environment
    grace: 0s
    poll: 5s
people:
  ada: { account: github/583231 }
repositories:
  hello: { url: ./hello }
database: { urlEnv: DATABASE_URL }
authorizedKeys:
  folder: /etc/ssh/slipway
  command: /usr/local/bin/enter {repository} "as" {person}
  allow: [pty, port-forwarding]
  users: { shop: acme/shop, hello: hello }
`);
  expect(settings).toMatchObject({
    listen: { webhooks: { host: "127.0.0.1", port: 8_080 } },
    people: [{ name: "ada", keys: [], account: { forge: "github", id: "583231" } }],
    database: { url: { env: "DATABASE_URL" } },
    authorizedKeys: {
      folder: "/etc/ssh/slipway",
      command: '/usr/local/bin/enter {repository} "as" {person}',
      allow: ["pty", "port-forwarding"],
      users: [
        { user: "shop", repository: "acme/shop" },
        { user: "hello", repository: "hello" },
      ],
    },
  });
  expect(settings.forges).toEqual([
    {
      ...{ name: "github", type: "github", url: "https://github.com", apiUrl: "https://api.github.com" },
      credential: { type: "app", appId: "12345", privateKey: { file: "/etc/slipway/app.pem" } },
      webhookSecret: { env: "WEBHOOK_SECRET" },
      organizations: ["acme"],
      repositories: ["ada/dotfiles"],
      minimumRole: "read",
      graceMs: 0,
      pollMs: 5_000,
    },
  ]);
});

test("checkSettings() complains of everything about forges at once", () => {
  const text = `listen: { webhooks: 127.0.0.1 }
people:
  ada: { account: ada }
  bob: { account: github/bob }
  carl: { account: gitub/1 }
  dora: { account: github/7 }
  eve: { account: github/7 }
  github.12: { keys: ["${KEY}"] }
repositories:
  forge.3: { url: ./x }
forges:
  github:
    url: http://github.example
    organisations: [acme]
    poll: 4s
    grace: 1y
  Forge: { type: gitlab, tokenFile: a, organizations: ["../x", "-x"] }
  forge:
    type: gitea
    tokenFile: a
    tokenEnv: B
    app: { id: 0 }
    repositories: [a, a/b/../c]
    readOnly: all
  gitlab: { tokenEnv: "no name", organizations: [acme], webhook: {} }
  other: { url: "https://user@git.example", tokenFile: a, organizations: [acme] }
  same: { type: gitlab, url: https://GitLab.com/, tokenFile: a, organizations: [acme] }
database: { urlFile: a, urlEnv: B }
authorizedKeys:
  folder: keys
  command: enter '{person}' {who} \\
  allow: [tunnel]
  users: { Root: acme/shop, shop: shp, it: forg.3 }
`;
  expect(told(text)).toBe(`Cannot use slipway.yaml: 39 complaints
slipway.yaml:2: listen.webhooks: needs host:port, as in "127.0.0.1:2222", or "[::]:2222" for every address, is "127.0.0.1"
slipway.yaml:4: people.ada.account: needs a forge and the number of an account there, as in "github/583231"
slipway.yaml:5: people.bob.account: needs the account's number, as names are given up and taken by others; it is "id" in http://github.example/api/v3/users/<name>
slipway.yaml:6: people.carl.account: "gitub" is not under forges; did you mean "github"?
slipway.yaml:8: people.eve.account: is the account of dora too: an account belongs to one person
slipway.yaml:9: people["github.12"]: cannot be called so: github.12 is what number 12 of github is known by
slipway.yaml:11: repositories["forge.3"]: cannot be called so: forge.3 is what number 3 of forge is known by
slipway.yaml:13: forges.github: needs a credential: app, tokenFile or tokenEnv
slipway.yaml:13: forges.github: needs organizations or repositories: without any it connects nothing
slipway.yaml:14: forges.github.url: needs https: credentials would cross the network for all to read; http is taken for loopback addresses only
slipway.yaml:15: forges.github.organisations: unknown key; did you mean "organizations"?
slipway.yaml:16: forges.github.poll: needs a duration from 5s to 10m, as in 500ms, 30s, 5m or 1h, is "4s"
slipway.yaml:17: forges.github.grace: needs a duration from 0s to 168h, as in 500ms, 30s, 5m or 1h, is "1y"
slipway.yaml:18: forges.Forge.organizations[0]: needs the name of an organisation, a group or a user
slipway.yaml:18: forges.Forge.organizations[1]: needs the name of an organisation, a group or a user
slipway.yaml:18: forges.Forge: needs a name of lower-case letters, digits and "-", a letter first, at most 32
slipway.yaml:19: forges.forge: needs a url: where people open it in a browser
slipway.yaml:19: forges.forge: needs one credential, has app and tokenFile and tokenEnv
slipway.yaml:23: forges.forge.app.id: needs a whole number from 1 to 9007199254740991, is 0
slipway.yaml:23: forges.forge.app: is for GitHub only; needs tokenFile or tokenEnv here
slipway.yaml:23: forges.forge.app: needs privateKeyFile or privateKeyEnv
slipway.yaml:24: forges.forge.repositories[0]: needs owner/name
slipway.yaml:24: forges.forge.repositories[1]: needs owner/name
slipway.yaml:25: forges.forge.readOnly: needs "none" or "environment", is "all"
slipway.yaml:26: forges.gitlab.tokenEnv: needs the name of an environment variable
slipway.yaml:26: forges.gitlab.webhook: needs secretFile or secretEnv
slipway.yaml:26: forges.gitlab: is the same forge as Forge: everybody would be two accounts with one key
slipway.yaml:27: forges.other.url: needs a URL by https without a user, a query or a fragment
slipway.yaml:27: forges.other: needs a type, "github" or "gitlab" or "gitea", as its name is none
slipway.yaml:28: forges.same: is the same forge as Forge: everybody would be two accounts with one key
slipway.yaml:29: database: needs one of urlFile and urlEnv, has both
slipway.yaml:31: authorizedKeys.folder: needs an absolute path
slipway.yaml:32: authorizedKeys.command: cannot end in "\\"
slipway.yaml:32: authorizedKeys.command: cannot have a placeholder in quotes: they are quoted for the shell as they are filled in
slipway.yaml:32: authorizedKeys.command: has no meaning for {who}; placeholders are {person}, {login}, {repository}, {user}
slipway.yaml:33: authorizedKeys.allow[0]: needs "pty", "port-forwarding", "agent-forwarding", "X11-forwarding" or "user-rc", is "tunnel"
slipway.yaml:34: authorizedKeys.users.Root: needs the name of a Unix user
slipway.yaml:34: authorizedKeys.users.shop: "shp" is not under repositories
slipway.yaml:34: authorizedKeys.users.it: "forg.3" is not under repositories; did you mean "forge.3"?`);
});

test("checkSettings() refuses secrets in the file itself, says what to do and repeats none of them", () => {
  const secrets = ["ghp_0123456789abcdef", "glpat-0123456789", "-----BEGIN RSA PRIVATE KEY-----", "hunter2", "ghs_x"];
  const text = `listen: { webhooks: "127.0.0.1:8080" }
forges:
  github:
    token: ${secrets[0]}
    organizations: [acme]
  gitlab:
    tokenFile: ${secrets[1]}
    organizations: [acme]
    webhook: { secret: ${secrets[3]} }
  work:
    type: github
    url: https://ghe.example
    app:
      id: 1
      privateKey: |
        ${secrets[2]}
        MIIEpAIBAAKCAQEA
    organizations: [acme]
  more: { type: gitea, url: https://git.example, tokenEnv: ${secrets[4]}, organizations: [acme] }
database: { url: "postgres://slipway:${secrets[3]}@db.example/slipway" }
`;
  const complaints = told(text);
  for (const secret of secrets) expect(complaints).not.toContain(secret);
  expect(complaints).toBe(`Cannot use slipway.yaml: 6 complaints
slipway.yaml:5: forges.github.token: a token does not belong in this file: put it into a file (tokenFile) or a variable (tokenEnv), count this one as stolen and make a new one
slipway.yaml:8: forges.gitlab.tokenFile: has a secret itself, needs the path of a file with it: count it as stolen and make a new one
slipway.yaml:10: forges.gitlab.webhook.secret: a secret does not belong in this file: put it into a file (secretFile) or a variable (secretEnv), count this one as stolen and make a new one
slipway.yaml:16: forges.work.app.privateKey: a private key does not belong in this file: put it into a file (privateKeyFile) or a variable (privateKeyEnv), count this one as stolen and make a new one
slipway.yaml:20: forges.more.tokenEnv: has a secret itself, needs the name of a variable with it: count it as stolen and make a new one
slipway.yaml:21: database.url: a database URL does not belong in this file: put it into a file (urlFile) or a variable (urlEnv), count this one as stolen and make a new one`);
});

test.each([
  [`forges: { github: { tokenFile: a, organizations: [acme], webhook: { secretFile: b } } }`, "nobody listens"],
  [`listen: { webhooks: "[::]:80" }\nforges: { github: { tokenFile: a, organizations: [acme] } }`, "could be verified"],
  [`people: { ada: { account: github/1, keysFile: x } }`, '"github" is not under forges'],
  [`forges: {}`, "is missing, needs somebody"],
  [`people: { ada: { keysFile: x } }\nauthorizedKeys: { command: x, users: { a: acme/shop } }`, "there are no forges"],
])("checkSettings() refuses %j", (text, complaint) => {
  expect(told(text)).toContain(complaint);
});

test("checkSettings() returns or complains whatever stands under forges", () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom("acme/x", "30s", "https://x", {}, [], null, 7));
  const forge = fc.dictionary(fc.constantFrom("type", "url", "app", "tokenFile", "webhook", "organizations"), value);
  const content = fc.record(
    {
      forges: fc.oneof(value, fc.dictionary(fc.constantFrom("github", "x"), fc.oneof(value, forge))),
      people: fc.oneof(value, fc.dictionary(fc.constantFrom("ada"), fc.record({ account: value }))),
      listen: fc.record({ webhooks: value }),
      database: value,
      authorizedKeys: fc.oneof(value, fc.record({ command: value, users: value })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(content, (made) => {
      let complaint = "";
      try {
        checkSettings(JSON.stringify({ version: 1, ...made }), "slipway.yaml");
      } catch (error) {
        expect(error).toMatchObject({ code: "settings.invalid" });
        complaint = toldOf(error);
      }
      expect(complaint).toMatch(/^(|Cannot use slipway\.yaml: [0-9]+ complaints?\n.*)$/s);
    }),
    { numRuns: 200 },
  );
});
