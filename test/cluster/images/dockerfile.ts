/**
 * Reads a Dockerfile of ours: the part of the language that our recipes need, so that one recipe serves the world's builders
 * and `build-image.ts`. Anything beyond it is refused with its line, never passed over.
 *
 * Understood: comments, lines continued with `\`, `FROM <image> [AS <stage>]`, `ARG <name>=<default>`, `ENV <name>=<value> …`,
 * `LABEL <name>=<value> …`, `RUN <shell line>`, `COPY [--from=<stage>] [--chown=<uid>:<gid>] <source>… <target>`,
 * `WORKDIR <path>`, `USER <user>[:<group>]`, `EXPOSE <port>`, `ENTRYPOINT [<JSON>]`, `CMD [<JSON>]`. `$name` and `${name}` stand for
 * an `ARG` or `ENV` before them, in `RUN` by the shell's doing.
 *
 * Language: https://docs.docker.com/reference/dockerfile/
 *
 * @module
 */

export type Instruction =
  | { readonly do: "run"; readonly line: string }
  | {
      readonly do: "copy";
      readonly from?: string;
      readonly owner?: { readonly uid: number; readonly gid: number };
      readonly sources: readonly string[];
      readonly target: string;
    }
  | { readonly do: "arg" | "env" | "label"; readonly pairs: Readonly<Record<string, string>> }
  | { readonly do: "workdir" | "user" | "expose"; readonly value: string }
  | { readonly do: "entrypoint" | "cmd"; readonly words: readonly string[] };

/** What is between one `FROM` and the next. */
export interface Stage {
  /** Its number when it has no name. */
  readonly name: string;
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

/** Reads the text of a Dockerfile. @throws {Error} naming `file` and the line of what is not understood */
export function readDockerfile(text: string, file: string): readonly Stage[] {
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  for (const { line, at } of joinLines(text)) {
    const [, keyword = "", rest = ""] = /^(\S+)\s*([^]*)$/.exec(line) ?? [];
    const refuse = (why: string): never => {
      throw new Error(`Cannot read ${file}: line ${at} ${why}: ${line}`);
    };
    if (keyword === "FROM") {
      const [, from = refuse("names no image"), name] = /^(\S+)(?: AS ([a-z0-9-]+))?$/.exec(rest) ?? [];
      stages.push({ name: name ?? String(stages.length), from, instructions: [] });
      continue;
    }
    const stage = stages.at(-1) ?? refuse("comes before any FROM");
    stage.instructions.push(readInstruction(keyword, rest, refuse));
  }
  if (stages.length === 0) throw new Error(`Cannot read ${file}: it has no FROM`);
  return stages;
}

function joinLines(text: string): { line: string; at: number }[] {
  const joined: { line: string; at: number }[] = [];
  let open: { line: string; at: number } | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    if (/^\s*(#.*)?$/.test(raw)) continue; // also amid a continued line, as the language has it
    const continues = raw.endsWith("\\");
    const part = continues ? raw.slice(0, -1) : raw;
    open = open === undefined ? { line: part.trimStart(), at: index + 1 } : { ...open, line: open.line + part };
    if (continues) continue;
    joined.push({ ...open, line: open.line.trimEnd() });
    open = undefined;
  }
  if (open !== undefined) joined.push({ ...open, line: open.line.trimEnd() });
  return joined;
}

function readInstruction(keyword: string, rest: string, refuse: (why: string) => never): Instruction {
  switch (keyword) {
    case "RUN":
      if (/^(\[|--|<<)/.test(rest)) refuse("is not in the shell form");
      return { do: "run", line: rest };
    case "COPY":
      return readCopy(rest, refuse);
    case "ARG":
    case "ENV":
    case "LABEL":
      return { do: ({ ARG: "arg", ENV: "env", LABEL: "label" } as const)[keyword], pairs: readPairs(rest, refuse) };
    case "WORKDIR":
    case "USER":
    case "EXPOSE":
      if (!/^\S+$/.test(rest)) refuse("has not exactly one word");
      return { do: ({ WORKDIR: "workdir", USER: "user", EXPOSE: "expose" } as const)[keyword], value: rest };
    case "ENTRYPOINT":
    case "CMD":
      return { do: keyword === "CMD" ? "cmd" : "entrypoint", words: readWords(rest, refuse) };
    default:
      return refuse("has an instruction that is not understood here");
  }
}

function readCopy(rest: string, refuse: (why: string) => never): Instruction {
  let from: string | undefined;
  let owner: { uid: number; gid: number } | undefined;
  const paths: string[] = [];
  for (const word of rest.split(/\s+/)) {
    const chown = /^--chown=([0-9]+):([0-9]+)$/.exec(word);
    if (chown !== null) owner = { uid: Number(chown[1]), gid: Number(chown[2]) };
    else if (word.startsWith("--from=")) from = word.slice("--from=".length);
    else if (/^--|[*?[\]"]/.test(word)) refuse("has an option, pattern or quote that is not understood here");
    else paths.push(word);
  }
  const target = paths.pop();
  if (target === undefined || paths.length === 0) return refuse("needs a source and a target");
  if (paths.length > 1 && !target.endsWith("/")) refuse("has several sources, and a target that does not end with /");
  const given = { ...(from === undefined ? {} : { from }), ...(owner === undefined ? {} : { owner }) };
  return { do: "copy", ...given, sources: paths, target };
}

function readPairs(rest: string, refuse: (why: string) => never): Record<string, string> {
  const pairs: Record<string, string> = {};
  const left = rest.replaceAll(
    /([A-Za-z_][\w.-]*)=(?:"([^"\\]*)"|([^\s"'\\]*))(?:\s+|$)/g,
    (_, name: string, quoted, bare) => {
      pairs[name] = String(quoted ?? bare);
      return "";
    },
  );
  if (left !== "" || Object.keys(pairs).length === 0) refuse('has more than NAME=VALUE and NAME="VALUE"');
  return pairs;
}

function readWords(rest: string, refuse: (why: string) => never): readonly string[] {
  try {
    const words: unknown = JSON.parse(rest);
    if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words;
  } catch {
    // told below
  }
  return refuse("is not in the JSON form");
}
