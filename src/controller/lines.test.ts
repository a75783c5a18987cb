import { expect, test } from "vitest";
import { plainLine, stepLine } from "./lines.ts";

test("stepLine() says what was done and how long it took", () => {
  expect(stepLine("checking out main", 38.4)).toBe("slipway: checking out main … 38 ms");
  expect(stepLine("running onCreateCommand", 9_999)).toBe("slipway: running onCreateCommand … 9999 ms");
  expect(stepLine("running onCreateCommand", 83_412)).toBe("slipway: running onCreateCommand … 83.4 s");
});

test("plainLine() and stepLine() let nothing through that moves a cursor or turns the text", () => {
  expect(plainLine("a\u001b[2Jb\r\nc\u202ed\u0000")).toBe("slipway: a?[2Jb??c?d?");
  expect(stepLine("checking out \u001b]0;x\u0007", 1)).toBe("slipway: checking out ?]0;x? … 1 ms");
});
