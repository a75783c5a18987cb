/**
 * Says where apt finds the source packages of this machine's Debian, from where it finds its binary ones. Pure.
 *
 * @module
 */

/** A file of apt's: sources.list(5). */
export interface SourceFile {
  /** Of the form in stanzas (`.sources`), else of one line each (`.list`). */
  readonly isStanzas: boolean;
  readonly text: string;
}

/** Words, in stanzas, the source packages of a release such as `bookworm`; empty when no file names it. */
export function sourceEntries(files: readonly SourceFile[], release: string): string {
  const stanzas = files.flatMap(({ isStanzas, text }) => (isStanzas ? stanzasOf(text) : stanzasOfLines(text)));
  const isOfRelease = (stanza: string): boolean => {
    const suites = fieldOf(stanza, "Suites").split(/\s+/);
    const isBinary = fieldOf(stanza, "Types").split(/\s+/).includes("deb");
    return isBinary && suites.some((suite) => suite === release || suite.startsWith(`${release}-`));
  };
  const ofRelease = stanzas.filter((stanza) => isOfRelease(stanza) && fieldOf(stanza, "Enabled") !== "no");
  return ofRelease.map((stanza) => `${stanza.replace(/^Types:.*$/im, "Types: deb-src")}\n`).join("\n");
}

function fieldOf(stanza: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, "im").exec(stanza)?.[1]?.trim() ?? "";
}

function stanzasOf(text: string): string[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return lines
    .join("\n")
    .split(/\n\s*\n/)
    .map((stanza) => stanza.trim())
    .filter((stanza) => stanza !== "");
}

/** `deb [signed-by=/file arch=amd64] URI suite component…` */
function stanzasOfLines(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, options = "", uri, suite, components] =
      /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (uri === undefined || suite === undefined || components === undefined) return [];
    const signedBy = /signed-by=(\S+)/i.exec(options)?.[1];
    const signature = signedBy === undefined ? [] : [`Signed-By: ${signedBy}`];
    const fields = ["Types: deb", `URIs: ${uri}`, `Suites: ${suite}`, `Components: ${components.trim()}`];
    return [[...fields, ...signature].join("\n")];
  });
}
