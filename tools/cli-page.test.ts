import { expect, test } from "vitest";

import { cliPage } from "./cli-page.ts";

test("cliPage() words a command with its usage, options and examples, and a lobby command behind its ssh line", () => {
  const page = cliPage(
    [
      {
        name: "slip serve",
        args: [],
        summary: "run the service",
        options: { settings: { type: "string", value: "file", summary: "the settings" } },
        examples: ["slip serve"],
      },
    ],
    [{ name: "rm", args: ["login"], summary: "remove one", options: {} }],
  );
  expect(page.slice(page.indexOf("## slip"))).toBe(`## slip

### \`slip serve [--settings <file>]\`

run the service

- \`--settings <file>\`: the settings

\`\`\`console
$ slip serve
\`\`\`

## The lobby

### \`ssh slip@host rm <login>\`

remove one
`);
});
