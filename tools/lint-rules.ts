/**
 * The lint rules that are ours alone, as a plugin for `eslint.config.js`.
 *
 * Each holds one sentence of CONTRIBUTING.md that no ready-made rule can check. Not here: who may import whom, which is
 * `.dependency-cruiser.cjs`.
 *
 * @module
 */
import type { Rule } from "eslint";

/** Refuses a comment that switches a lint rule off without saying why. */
const disableSaysWhy: Rule.RuleModule = {
  meta: {
    type: "problem",
    schema: [],
    messages: { silent: "Say why, after ` -- `: `// eslint-disable-next-line some-rule -- the reason`." },
  },
  create: (context) => ({
    Program() {
      for (const comment of context.sourceCode.getAllComments()) {
        if (!/^\s*eslint-disable/.test(comment.value)) continue;
        if (/\s--\s+\S/.test(comment.value)) continue;
        // One that disables every rule disables this one too, from where it stands: so it is reported before any line.
        const isBlanket = /^\s*eslint-disable\s*$/.test(comment.value);
        const loc = isBlanket || !comment.loc ? { line: 0, column: 0 } : comment.loc;
        context.report({ loc, messageId: "silent" });
      }
    },
  }),
};

/** Holds what is checkable of the message grammar: a capital, no full stop at the end, no contraction. */
const messageGrammar: Rule.RuleModule = {
  meta: {
    type: "problem",
    schema: [],
    messages: {
      capital: "An error message begins with a capital: `Cannot <act> <thing>: <state now>, needs <state wanted>`.",
      stop: "An error message ends without a full stop.",
      contraction: "An error message has no contraction (`cannot`, not `can't`).",
    },
  },
  create: (context) => ({
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || !/^(Fault|\w*Error)$/.test(node.callee.name)) return;
      const message = node.arguments[node.callee.name === "Fault" ? 1 : 0];
      if (message === undefined) return;
      const text = textOf(message);
      if (/^[a-z]/.test(text.start)) context.report({ node: message, messageId: "capital" });
      if (/(?<!\.)\.$/.test(text.end)) context.report({ node: message, messageId: "stop" });
      if (/[a-z]n't\b/i.test(text.all)) context.report({ node: message, messageId: "contraction" });
    },
  }),
};

/** What is known of a message before it is built; an empty string where a value stands. */
function textOf(node: Rule.Node | { type: string }): { start: string; end: string; all: string } {
  if (node.type === "Literal" && "value" in node && typeof node.value === "string") {
    return { start: node.value, end: node.value, all: node.value };
  }
  if (node.type === "TemplateLiteral" && "quasis" in node) {
    const parts = node.quasis.map((quasi) => quasi.value.raw);
    return { start: parts[0] ?? "", end: parts.at(-1) ?? "", all: parts.join(" ") };
  }
  return { start: "", end: "", all: "" };
}

export const slipwayRules = {
  rules: { "disable-says-why": disableSaysWhy, "message-grammar": messageGrammar },
};
