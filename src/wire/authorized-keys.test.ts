import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyTypes, readAuthorizedKey, readAuthorizedKeys, sharedKeys } from "./authorized-keys.ts";

/* Made by ssh-keygen for this test; the sk keys are the same numbers in the form of OpenSSH PROTOCOL.u2f. */
const BLOBS: Readonly<Record<(typeof keyTypes)[number], string>> = {
  "ssh-ed25519": "AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt",
  "sk-ssh-ed25519@openssh.com":
    "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHtAAAABHNzaDo=",
  "ecdsa-sha2-nistp256":
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNxCggYOG9bLeM3UeJqXYxmYtq6Ani1381+cGVb/uKeNR98WhH0luMUaMnGH4pvx61isooI+NFUpAxi5VAnlgfs=",
  "ecdsa-sha2-nistp384":
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBOjKrnw9LGmeO/i4VJyNqlWE49FJEcBEdrSswCrMDPid28VfUdDxDtXoa0jUetOQQQUVnmGVI2Y6f5stcV+stihKsLgSn+2zJueCbbABMFrNetcrU+tB/OAsv4iJBJY9ZA==",
  "ecdsa-sha2-nistp521":
    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACd9eFDupN5gJMciI0OadX5ZOgpTOTbBq1kAuGtaqql2RYedlpLJCQ71z80OpJMEIXTMvonqim+Uyg+f0dzEI/GzwAXdGwBVYqX1IIreAxrG4D33nEnEaD3RZXRcmMW3D6RgihPweCYNl4xbgbZApJALG9X2VhJM0J3hGo01QZsgD35Aw==",
  "sk-ecdsa-sha2-nistp256@openssh.com":
    "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBNxCggYOG9bLeM3UeJqXYxmYtq6Ani1381+cGVb/uKeNR98WhH0luMUaMnGH4pvx61isooI+NFUpAxi5VAnlgfsAAAAEc3NoOg==",
  "ssh-rsa":
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQC+5oEynBtUmAFpevNIupzZan0bGz3j5lBheBFlD5443TbkubtTYRLrKNKAUBIBXDHThu7yaPuPFsIjBpwndfqsmE0tc0wfqAWTI8Z8fYys/3GXrAjjkiEyjH46Am2cDrJ+mPSvoNWCXz4F40umtkZ8zY6BKjj8lEEpTMLFoZqmqs39hUcrwdXhUHT0oTwyFdHFhTqukWmgJkiBBHdrpGF5KOBd8MJNBMS0md6KnAr3FedNV8O91Gx9g3I3Cc4n8Sfm1cgLOhzJiD1TdYPa+cGNKwTkNXHKsa3j3OSdM6Ef6Kvay84cvaanBWB18CFShlhdoN7ZlsdOcB0oNeRZ0PCz",
};
const SMALL_RSA =
  "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDXbR6amBiNR/Z0qsnUPzCz0clYn6Xfif1nHiuZY3AkVTWogDKFmpbol2WH/p2IiAydyTnC2NC8n5kplqTVbYnzw9ri3cnm4u2iBLoqeX0N5oxuegf3/4mhZP1ESO/HSQkwtS/fGPPSJuzJ8n7gKxEaHsq1RJsT90ScmhiA2I1b8Q==";
const ED25519 = BLOBS["ssh-ed25519"];

/** Writes fields in wire form, in base64. */
function blobOf(...fields: (string | Buffer)[]): string {
  const parts = fields
    .map((field) => Buffer.from(field))
    .flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    });
  return Buffer.concat(parts).toString("base64");
}

test.each(keyTypes)("readAuthorizedKey() takes %s", (type) => {
  const key = { type, blob: BLOBS[type], comment: "ada at home" };
  expect(readAuthorizedKey(`${type} ${BLOBS[type]} ada at home`)).toEqual(key);
  expect(readAuthorizedKey(`\t${type}\t ${BLOBS[type]}  ada at home \r`)).toEqual(key);
  expect(readAuthorizedKey(`${type} ${BLOBS[type]}`)).toEqual({ ...key, comment: "" });
});

const SIZES = "the key is damaged: its parts have the wrong sizes";
const CUT = "the key is damaged: it is cut off, or has something behind its end";
const EXPONENT = "the key is damaged: no signature fits its exponent";
const TYPES =
  "ssh-ed25519, sk-ssh-ed25519@openssh.com, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, sk-ecdsa-sha2-nistp256@openssh.com, ssh-rsa";
const modulus = (bytes: number): Buffer => Buffer.concat([Buffer.of(0), Buffer.alloc(bytes, 0xff)]);
const F4 = Buffer.of(1, 0, 1);

describe("readAuthorizedKey() refuses", () => {
  test.each([
    ["DSA", "ssh-dss AAAAB3NzaC1kc3M= x", `"ssh-dss" is no type of key that is taken; these are: ${TYPES}`],
    [
      "a certificate",
      "ssh-ed25519-cert-v01@openssh.com AAAA",
      '"ssh-ed25519-cert-v01@openssh.com" is a certificate; write the key that it certifies',
    ],
    [
      "a type in another case",
      `SSH-ED25519 ${ED25519}`,
      `"SSH-ED25519" is no type of key that is taken; these are: ${TYPES}`,
    ],
    ["a terminal's controls", "\u001b]0;x\u0007 AAAA", `"?]0;x?" is no type of key that is taken; these are: ${TYPES}`],
    [
      "options",
      `command="rm -rf /",no-pty ssh-ed25519 ${ED25519} x`,
      "options before a key are not taken: what a person may do is said in grants",
    ],
    ["a type alone", "ssh-ed25519", "nothing follows ssh-ed25519: the key itself is missing"],
    ["what is no base64", "ssh-ed25519 AAAA!AAA", "the key is damaged: it is not whole base64"],
    [
      "base64 without its padding",
      `sk-ssh-ed25519@openssh.com ${BLOBS["sk-ssh-ed25519@openssh.com"].replace("=", "")}`,
      "the key is damaged: it is not whole base64",
    ],
    ["a key that was cut off", `ssh-ed25519 ${ED25519.slice(0, -4)}`, CUT],
    ["a key with more behind it", `ssh-ed25519 ${ED25519}AAAA`, CUT],
    ["a key with a field too many", `ssh-ed25519 ${blobOf("ssh-ed25519", Buffer.alloc(32), "x")}`, SIZES],
    [
      "a key of another type than said",
      `ssh-rsa ${ED25519}`,
      'the key is damaged: the line says ssh-rsa, the key itself "ssh-ed25519"',
    ],
    ["a short ed25519 key", `ssh-ed25519 ${blobOf("ssh-ed25519", Buffer.alloc(31))}`, SIZES],
    [
      "an sk key without its application",
      `sk-ssh-ed25519@openssh.com ${blobOf("sk-ssh-ed25519@openssh.com", Buffer.alloc(32))}`,
      SIZES,
    ],
    [
      "a curve of another name",
      `ecdsa-sha2-nistp256 ${blobOf("ecdsa-sha2-nistp256", "nistp384", Buffer.alloc(65, 4))}`,
      SIZES,
    ],
    [
      "a compressed point",
      `ecdsa-sha2-nistp256 ${blobOf("ecdsa-sha2-nistp256", "nistp256", Buffer.alloc(33, 2))}`,
      SIZES,
    ],
    [
      "an sk point without its application",
      `sk-ecdsa-sha2-nistp256@openssh.com ${blobOf("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", Buffer.alloc(65, 4))}`,
      SIZES,
    ],
    ["a small RSA key", `ssh-rsa ${SMALL_RSA} x`, "an RSA key needs at least 2048 bits, this one has 1024"],
    [
      "an RSA key a bit too small",
      `ssh-rsa ${blobOf("ssh-rsa", F4, Buffer.concat([Buffer.of(0x7f), Buffer.alloc(255)]))}`,
      "an RSA key needs at least 2048 bits, this one has 2047",
    ],
    [
      "an RSA key that takes for ever",
      `ssh-rsa ${blobOf("ssh-rsa", F4, modulus(2_049))}`,
      "an RSA key may have at most 16384 bits, this one has 16392",
    ],
    ["an RSA key that anyone can sign for", `ssh-rsa ${blobOf("ssh-rsa", Buffer.of(1), modulus(256))}`, EXPONENT],
    ["an RSA key that no one can sign for", `ssh-rsa ${blobOf("ssh-rsa", Buffer.of(2), modulus(256))}`, EXPONENT],
    ["a negative RSA number", `ssh-rsa ${blobOf("ssh-rsa", F4, Buffer.alloc(256, 0xff))}`, SIZES],
    [
      "a second spelling of an RSA number",
      `ssh-rsa ${blobOf("ssh-rsa", F4, Buffer.concat([Buffer.of(0), modulus(256)]))}`,
      SIZES,
    ],
    ["an RSA key without numbers", `ssh-rsa ${blobOf("ssh-rsa")}`, SIZES],
    [
      "the format of RFC 4716",
      "---- BEGIN SSH2 PUBLIC KEY ----",
      "this is another format; `ssh-keygen -i -f <file>` converts it",
    ],
  ])("%s", (_, line, wrong) => {
    expect(readAuthorizedKey(line)).toEqual({ wrong });
  });
});

test("readAuthorizedKeys() reads what is there and complains of the rest by its line", () => {
  const text = `# ada's\r\n\r\nssh-ed25519 ${ED25519} laptop\r\nssh-dss AAAA old\n  # spare\nssh-ed25519\necdsa-sha2-nistp256 ${BLOBS["ecdsa-sha2-nistp256"]}`;
  expect(readAuthorizedKeys(text, "keys/ada.pub")).toEqual({
    keys: [
      { type: "ssh-ed25519", blob: ED25519, comment: "laptop" },
      { type: "ecdsa-sha2-nistp256", blob: BLOBS["ecdsa-sha2-nistp256"], comment: "" },
    ],
    complaints: [
      `keys/ada.pub:4: "ssh-dss" is no type of key that is taken; these are: ${TYPES}`,
      "keys/ada.pub:6: nothing follows ssh-ed25519: the key itself is missing",
    ],
  });
});

const secret = "b3BlbnNzaC1rZXktdjEAAAAA";

test.each([
  ["OpenSSH", "-----BEGIN OPENSSH PRIVATE KEY-----"],
  ["PKCS#8", "-----BEGIN PRIVATE KEY-----"],
  ["encrypted PKCS#8", "-----BEGIN ENCRYPTED PRIVATE KEY-----"],
  ["PEM", "-----BEGIN RSA PRIVATE KEY-----"],
  ["PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519"],
])("readAuthorizedKeys() refuses a private key loudly, takes nothing and repeats none of it: %s", (_, head) => {
  const read = readAuthorizedKeys(`ssh-ed25519 ${ED25519}\n${head}\n${secret}\n`, "keys/ada");
  expect(read).toEqual({
    keys: [],
    complaints: [
      "keys/ada:2: this is a PRIVATE key: take it out of here, count it as stolen and make a new one; what belongs here is the line in the file that ends in .pub",
    ],
  });
  expect(readAuthorizedKey(`${head} ${secret}`)).toEqual({
    wrong: expect.stringMatching(/^this is a PRIVATE key/) as string,
  });
});

test("readAuthorizedKey() takes or refuses whatever the line, and never takes a changed key for the same", () => {
  const bytes = Buffer.from(ED25519, "base64");
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ flip;
      const key = readAuthorizedKey(`ssh-ed25519 ${changed.toString("base64")}`);
      if ("wrong" in key) expect(key.wrong).toMatch(/^the key is damaged/);
      else expect([index >= 19, key.blob === ED25519]).toEqual([true, false]);
    }),
  );
  const line = fc.tuple(fc.constantFrom(...keyTypes), fc.oneof(fc.base64String({ maxLength: 200 }), fc.string()));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        line.map((words) => words.join(" ")),
      ),
      (text) => {
        const key = readAuthorizedKey(text);
        expect("wrong" in key ? key.wrong : key.blob).not.toBe("");
      },
    ),
  );
});

test("sharedKeys() names both people for each key that is another's already", () => {
  const one = { blob: "AAAA" };
  const two = { blob: "BBBB" };
  expect(
    sharedKeys([
      { name: "ada", keys: [one, one, two] },
      { name: "bob", keys: [{ blob: "CCCC" }, one] },
      { name: "eve", keys: [two, one] },
    ]),
  ).toEqual([
    { first: "ada", later: "bob", laterIndex: 1 },
    { first: "ada", later: "eve", laterIndex: 0 },
    { first: "ada", later: "eve", laterIndex: 1 },
  ]);
});
