// What the linter holds; no warnings: a rule is an error or absent. Why each rule of ours exists stands beside it.
// A table of data longer than the limits says so: `/* eslint-disable max-lines -- a table */`.
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

import { slipwayRules } from "./tools/lint-rules.ts";

const TESTS = ["**/*.test.ts", "test/**", "bench/**"];

export default defineConfig(
  { ignores: ["dist/", "node_modules/", ".slipway/", "examples/", "**/corpus/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-exports": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unsafe-type-assertion": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // `return socket.end()` in an arrow of one line reads well and hides nothing.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", ignoreRestSiblings: true }],
      // A member of an interface with nothing to do says so best by being empty.
      "@typescript-eslint/no-empty-function": "off",
      // An interface of promises is met by functions that happen not to wait.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // Unions of object types are written with `type`, and then their neighbours read better so too.
      "@typescript-eslint/consistent-type-definitions": "off",
      // Tables from outside have keys that are no identifiers; noPropertyAccessFromIndexSignature wants brackets.
      "@typescript-eslint/dot-notation": "off",
    },
  },
  {
    plugins: { slipway: slipwayRules },
    rules: {
      "slipway/disable-says-why": "error",
      "slipway/message-grammar": "error",
      eqeqeq: "error",
      "no-console": "error", // stdout is the product and the log is a value: neither is written to from everywhere
      "no-constant-binary-expression": "error",
      "no-param-reassign": "error",
      "no-self-compare": "error",
      "no-unreachable-loop": "error",
      "no-unsafe-finally": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", 60],
      "max-params": ["error", 4],
      "no-restricted-exports": [
        "error",
        {
          restrictDefaultExports: {
            direct: true,
            named: true,
            defaultFrom: true,
            namedFrom: true,
            namespaceFrom: true,
          },
        },
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "ExportAllDeclaration",
          message: "No barrels: a reader should see where a thing lives from its import.",
        },
      ],
    },
  },
  {
    // A folder that is handed its time and its surroundings can be tested by hand-moved clocks and made-up machines.
    files: ["src/**/*.ts"],
    ignores: ["src/cmd/**", "src/base/clock.ts", ...TESTS],
    rules: {
      "no-restricted-globals": [
        "error",
        ...["setTimeout", "setInterval", "performance"].map((name) => ({
          name,
          message: "Take a Clock (src/base/clock.ts) as a parameter.",
        })),
      ],
      "no-restricted-imports": [
        "error",
        {
          paths: [
            { name: "node:timers", message: "Take a Clock (src/base/clock.ts) as a parameter." },
            { name: "node:timers/promises", message: "Take a Clock (src/base/clock.ts) as a parameter." },
            { name: "node:perf_hooks", message: "Take a Clock (src/base/clock.ts) as a parameter." },
            { name: "node:process", message: "Only src/cmd reads the surroundings of the process." },
          ],
        },
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "Take a Clock (src/base/clock.ts) as a parameter." },
        ...["env", "argv", "exit", "exitCode", "on", "once", "hrtime"].map((property) => ({
          object: "process",
          property,
          message: "Only src/cmd reads arguments, variables and signals, and ends the process.",
        })),
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "ExportAllDeclaration",
          message: "No barrels: a reader should see where a thing lives from its import.",
        },
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: "Take a Clock (src/base/clock.ts) as a parameter.",
        },
      ],
    },
  },
  {
    files: TESTS,
    rules: {
      "max-lines": "off",
      "max-lines-per-function": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-type-assertion": "off",
      // If a thing cannot be passed in, the code is what has to change.
      "no-restricted-properties": [
        "error",
        ...["mock", "doMock", "useFakeTimers", "setSystemTime"].map((property) => ({
          object: "vi",
          property,
          message: "Pass a HandClock (test/fakes/hand-clock.ts) or a fake of the narrow interface instead.",
        })),
        ...["test", "it", "describe"].flatMap((object) =>
          ["skip", "skipIf", "runIf", "todo", "only"].map((property) => ({
            object,
            property,
            message: 'Call ctx.skip("the reason") inside the test: a skipped test says why.',
          })),
        ),
      ],
    },
  },
  { files: ["tools/**", "bench/**"], rules: { "no-console": "off" } },
  { files: ["*.config.ts", "*.config.js", "**/*.cjs"], rules: { "no-restricted-exports": "off" } },
);
