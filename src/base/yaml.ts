/**
 * YAML that others wrote (manifests, kubeconfig files), read as `kubectl` reads it: YAML 1.2 with the numbers `0644`, the
 * words `yes`, `no`, `on` and `off`, and the merge key `<<` of YAML 1.1. The text is hostile: its size, the number of its
 * documents, its depth and what its aliases unfold to are bounded, and nothing but JSON values comes out.
 *
 * Our own settings are read by `settings.ts`, which knows their shape.
 *
 * @module
 */
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Pair,
  Parser,
  type ParsedNode,
  type ScalarTag,
  type Tags,
} from "yaml";
import { type Complaint, type LineOf, type Path, writeComplaints } from "./complaint.ts";
import { toJson } from "./yaml-value.ts";

/** Characters of one text: an object may have 1.5 MiB in etcd, and a file a few objects. */
const LENGTH_MAX = 4 * 1_024 * 1_024;
/**
 * Signs, words and spaces between them; a line of manifests has some eight. More would hold up everybody else: 4 MiB of `[a,a,`
 * took 11.6 s to be read, as many as this take 2 s (measured).
 */
const TOKENS_MAX = 1_000_000;
/** Documents of one text (guess). */
const DOCUMENTS_MAX = 1_000;
const COMPLAINTS_MAX = 20;

/** What is wrong with a YAML text. The message has each complaint on a line of its own, and may be shown to people. */
export class YamlError extends Error {
  override readonly name = "YamlError";
  readonly complaints: readonly Complaint[];

  constructor(source: string, complaints: readonly Complaint[]) {
    super(writeComplaints(source, complaints));
    this.complaints = complaints;
  }
}

export interface YamlDocument {
  /** `null` for a document with nothing in it. Otherwise what `JSON.parse` could have returned. */
  readonly value: unknown;
  readonly lineOf: LineOf;
}

/**
 * Reads a text of one document at most; an empty one is `null`.
 *
 * @param source how the text is called in complaints
 * @throws {YamlError}
 */
export function parseYaml(text: string, source: string): unknown {
  const [first, second] = readYamlDocuments(text, source);
  if (second === undefined) return first?.value ?? null;
  throw new YamlError(source, [{ line: second.lineOf([]), path: [], message: "is a second document, needs one" }]);
}

/** Reads a text of any number of documents, each in the place it has in the text. @throws {YamlError} */
export function parseYamlDocuments(text: string, source: string): unknown[] {
  return readYamlDocuments(text, source).map(({ value }) => value);
}

/** As `parseYamlDocuments`, with the lines. @throws {YamlError} */
export function readYamlDocuments(text: string, source: string): YamlDocument[] {
  if (text.length > LENGTH_MAX) throw whole(source, `is larger than ${LENGTH_MAX} characters`);
  const counter = new LineCounter();
  const lineAt = (offset: number): number => counter.linePos(offset).line;
  const complaints: Complaint[] = [];
  const documents: YamlDocument[] = [];
  const budget = { nodesLeft: 500_000 };
  for (const document of composed(text, source, counter)) {
    if (documents.length === DOCUMENTS_MAX) throw whole(source, `has more than ${DOCUMENTS_MAX} documents`);
    const wrong = syntaxComplaints(document, lineAt);
    const read = wrong.length > 0 ? { value: null, complaints: wrong } : toJson(document.contents, { lineAt, budget });
    complaints.push(...read.complaints.slice(0, COMPLAINTS_MAX));
    if (complaints.length >= COMPLAINTS_MAX) break;
    documents.push({ value: read.value, lineOf: (path) => lineAt(offsetOf(document, path)) });
  }
  if (complaints.length > 0) throw new YamlError(source, complaints);
  return documents;
}

/** One after the other, so that whoever has seen enough can stop. */
function* composed(text: string, source: string, counter: LineCounter): Generator<Document.Parsed> {
  const composer = new Composer<ParsedNode>({
    schema: "core",
    customTags,
    // Ours to complain of: the library compares each key with each before it.
    uniqueKeys: false,
    logLevel: "error",
  });
  yield* composer.compose(parsed(text, source, counter), false, text.length);
}

/** As `Parser.parse` does it, as far as it may go. */
function* parsed(text: string, source: string, counter: LineCounter): Generator<CST.Token> {
  const parser = new Parser(counter.addNewLine);
  counter.addNewLine(0);
  let tokenCount = 0;
  for (const token of new Lexer().lex(text)) {
    tokenCount += 1;
    if (tokenCount > TOKENS_MAX) throw whole(source, `has more than ${TOKENS_MAX} signs and words`);
    yield* parser.next(token);
  }
  yield* parser.end();
}

function whole(source: string, message: string): YamlError {
  return new YamlError(source, [{ line: 1, path: [], message }]);
}

function syntaxComplaints(document: Document.Parsed, lineAt: (offset: number) => number): Complaint[] {
  return [...document.errors, ...document.warnings].slice(0, COMPLAINTS_MAX).map(({ code, pos, message }) => {
    const why = code === "RESOURCE_EXHAUSTION" ? "it is nested too deep" : (message.split(/[;\n]/)[0] ?? "");
    return { line: lineAt(pos[0]), path: [], message: `this is no YAML that we read: ${why}` };
  });
}

/** `0644`: the octal numbers of YAML 1.1, as in `defaultMode`. */
const octal: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
};

/** The other words for true and false of YAML 1.1; not `y` and `n`, which kubectl takes for text too. */
const words: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: /^(?:yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$/,
  resolve: (text) => /^(?:yes|on)$/i.test(text),
};

function customTags(core: Tags): Tags {
  return [octal, words, ...core];
}

/** Where what a path leads to begins: its key, else its value, else whatever is nearest around it. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: ParsedNode | null | undefined = document.contents;
  let offset = node?.range[0] ?? document.range[0];
  for (const step of path) {
    if (isAlias(node)) return offset;
    if (isMap(node)) {
      const pair: Pair<ParsedNode, ParsedNode | null> | undefined = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(step),
      );
      if (pair === undefined) break;
      offset = pair.key.range[0];
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = node?.range[0] ?? offset;
    } else {
      break;
    }
  }
  return offset;
}
