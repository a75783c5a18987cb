import { expect, test } from "vitest";
import { readOrigin } from "./origin.ts";

test.each([
  ["an absolute path", "/srv/git/hello", "/srv/git/hello"],
  ["a relative path", "../git/hello", "/etc/git/hello"],
  ["a bare name, which is a path", "hello", "/etc/slipway/hello"],
  ["a path with a colon in it", "./a:b", "/etc/slipway/a:b"],
  ["a file URL", "file:///srv/git/hello%20there", "/srv/git/hello there"],
  ["https", "https://git.example.com/ada/hello.git", "https://git.example.com/ada/hello.git"],
  ["https with credentials", "https://ada:pa%2Fss@git.example.com/hello", "https://git.example.com/hello"],
  ["ssh", "ssh://git@git.example.com:22/hello", "ssh://git@git.example.com:22/hello"],
  ["ssh with a password", "ssh://git:secret@git.example.com/hello", "ssh://git@git.example.com/hello"],
  ["the form of scp", "git@git.example.com:ada/hello.git", "git@git.example.com:ada/hello.git"],
])("readOrigin() takes %s and shows it without credentials", (_, address, url) => {
  expect(readOrigin(address, "/etc/slipway").url).toBe(url);
});

test("readOrigin() moves credentials of https into a header for that address alone", () => {
  const { config } = readOrigin("https://ada:pa%2Fss@git.example.com/hello", "/");
  const basic = Buffer.from("ada:pa/ss").toString("base64");
  expect(config).toEqual({ "http.https://git.example.com/hello.extraHeader": `Authorization: Basic ${basic}` });
});

test.each([
  "http://git.example.com/hello",
  "git://git.example.com/hello",
  "ext::sh -c id",
  "ext::sh",
  "-uroot:hello",
  "git@-oProxyCommand=id:hello",
  "git@host:-x",
  "ftp://git.example.com/hello",
  "-hello",
  "a b:c",
  "",
  "http://ada:secret@git.example.com/hello",
])("readOrigin() refuses %j and does not repeat it", (address) => {
  const refusal = (() => {
    try {
      return readOrigin(address, "/etc/slipway");
    } catch (error) {
      return error;
    }
  })();
  expect(refusal).toMatchObject({ code: "settings.invalid" });
  if (address.includes("secret")) expect(String(refusal)).not.toContain("secret");
});
