/**
 * Reads where the next page of a list is (RFC 8288).
 *
 * @module
 */

/** One link: its target, and its parameters with quoted or plain values. */
const LINK = /<([^<>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^",;\s]*))?)*)/g;
const PARAMETER = /;\s*([\w*-]+)\s*(?:=\s*(?:"([^"]*)"|([^",;\s]*)))?/g;

/** Takes the target of `rel="next"` from a `Link` header, as it is written there; `undefined`: there is none. */
export function readNextLink(header: string | null): string | undefined {
  for (const [, target = "", parameters = ""] of (header ?? "").matchAll(LINK)) {
    for (const [, name = "", quoted, plain] of parameters.matchAll(PARAMETER)) {
      const relations = (quoted ?? plain ?? "").toLowerCase().split(/\s+/);
      if (name.toLowerCase() === "rel" && relations.includes("next")) return target;
    }
  }
  return undefined;
}
