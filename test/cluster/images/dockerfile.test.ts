import { expect, test } from "vitest";
import { readDockerfile } from "./dockerfile.ts";

test("readDockerfile() reads stages, joined lines and the words of each instruction", () => {
  const text = `# what for
FROM debian:bookworm-slim AS build
ARG VERSION=1
RUN one \\
  # amid
  && two
FROM scratch
COPY --from=build --chown=1:2 /a /b /to/
ENV A=1 B="two words"
ENTRYPOINT ["/a", "b c"]
USER 65532:65532
`;
  expect(readDockerfile(text, "Dockerfile")).toEqual([
    {
      name: "build",
      from: "debian:bookworm-slim",
      instructions: [
        { do: "arg", pairs: { VERSION: "1" } },
        { do: "run", line: "one   && two" },
      ],
    },
    {
      name: "1",
      from: "scratch",
      instructions: [
        { do: "copy", from: "build", owner: { uid: 1, gid: 2 }, sources: ["/a", "/b"], target: "/to/" },
        { do: "env", pairs: { A: "1", B: "two words" } },
        { do: "entrypoint", words: ["/a", "b c"] },
        { do: "user", value: "65532:65532" },
      ],
    },
  ]);
});

test.each([
  ["an instruction beyond ours", "FROM scratch\nADD a b", 2, "has an instruction that is not understood here"],
  ["RUN of words", 'FROM scratch\nRUN ["a"]', 2, "is not in the shell form"],
  ["RUN with an option", "FROM scratch\nRUN --mount=type=cache a", 2, "is not in the shell form"],
  ["ENTRYPOINT of a shell", "FROM scratch\n\nENTRYPOINT a", 3, "is not in the JSON form"],
  ["COPY of a pattern", "FROM scratch\nCOPY a* b", 2, "has an option, pattern or quote that is not understood here"],
  ["ENV of the old form", "FROM scratch\nENV A 1", 2, 'has more than NAME=VALUE and NAME="VALUE"'],
  ["what is of no stage", "ENV A=1", 1, "comes before any FROM"],
])("readDockerfile() refuses %s with its line", (_, text, line, why) => {
  const last = text.split("\n").at(-1) ?? "";
  expect(() => readDockerfile(text, "Dockerfile")).toThrow(
    new Error(`Cannot read Dockerfile: line ${line} ${why}: ${last}`),
  );
});
