import { expect, test } from "vitest";

import { sourceEntries } from "./debian-sources.ts";

const STANZAS = `# a note
Types: deb
# another
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://tools.example/apt
Suites: stable
Components: main
`;

test("sourceEntries() turns the release's own stanzas into ones of sources, and leaves others out", () => {
  expect(sourceEntries([{ isStanzas: true, text: STANZAS }], "bookworm")).toBe(`Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg
`);
});

test("sourceEntries() reads the form of one line", () => {
  const text =
    "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm-security main contrib\n#deb x bookworm main\n";
  expect(sourceEntries([{ isStanzas: false, text }], "bookworm")).toBe(`Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm-security
Components: main contrib
Signed-By: /k.gpg
`);
});

test("sourceEntries() is empty when nothing is of the release, or it is switched off", () => {
  expect(sourceEntries([{ isStanzas: true, text: STANZAS }], "trixie")).toBe("");
  const off = "Enabled: no\nTypes: deb\nURIs: http://mirror.example\nSuites: bookworm\nComponents: main\n";
  expect(sourceEntries([{ isStanzas: true, text: off }], "bookworm")).toBe("");
});
