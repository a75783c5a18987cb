import { expect, test } from "vitest";

import { faultsPage } from "./faults-page.ts";

test("faultsPage() writes a row for each code, saying who can act", () => {
  const page = faultsPage({
    "peer.gone": { blame: "caller", retry: true, exit: 69, means: "the peer closed the connection" },
    "state.damaged": { blame: "us", retry: false, exit: 74, means: "a file is damaged" },
  });
  expect(page.split("\n").slice(-4)).toEqual([
    "| --- | --- | --- | --- | --- |",
    "| `peer.gone` | the peer closed the connection | the person | yes | 69 |",
    "| `state.damaged` | a file is damaged | Slipway's authors | no | 74 |",
    "",
  ]);
});
