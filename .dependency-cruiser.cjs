// Who may import whom, each rule with its reason. Run by tools/check-directions.ts, which also sees to it that every
// file was read. The order of the layers:
//
//   base ← wire ← policy ← { store, forge, runtime, ssh } ← { gateway, controller, cli, … } ← cmd

const owners = require("./tools/package-owners.json");

const TESTS = "\\.test\\.ts$";
const DRIVERS = "store|forge|runtime|ssh";
const DOMAINS = "gateway|controller|intercept|sync|loop|portal|cli";
const NPM = ["npm", "npm-dev", "npm-optional", "npm-peer", "npm-bundled", "npm-no-pkg", "npm-unknown"];

/** A test beside the code may reach for what it needs to build its case; what it tests may not. */
const folder = (path) => ({ path: `^src/(${path})/`, pathNot: TESTS });
const anyBut = (path) => ({ path: "^src/", pathNot: `^src/(${path})/` });

const layers = [
  {
    name: "base-is-the-floor",
    comment: "base knows no noun of the domain: everything stands on it, it stands on nothing of ours",
    from: folder("base"),
    to: anyBut("base"),
  },
  {
    name: "wire-only-describes",
    comment: "wire is what two processes share: were it to import a domain, both would carry it",
    from: folder("wire"),
    to: anyBut("base|wire"),
  },
  {
    name: "policy-only-decides",
    comment: "policy is handed what was seen and says what to do; whoever acts imports it, not the reverse",
    from: folder("policy"),
    to: anyBut("base|wire|policy"),
  },
  {
    name: "drivers-do-not-meet",
    comment: "store, forge, runtime and ssh each drive one thing outside; what joins them is a domain",
    from: folder(DRIVERS),
    to: anyBut("base|wire|policy|$1"),
  },
  {
    name: "domains-do-not-meet",
    comment: "domains may run in different processes: what they share is in src/wire, and src/cmd joins them",
    from: folder(DOMAINS),
    to: anyBut(`base|wire|policy|${DRIVERS}|$1`),
  },
  {
    name: "nobody-imports-cmd",
    comment: "cmd is the processes: the only readers of arguments, environment variables and the real clock",
    from: { pathNot: "^src/cmd/" },
    to: { path: "^src/cmd/" },
  },
  {
    name: "src-stands-alone",
    comment: "what runs at people's places carries no test, tool or benchmark",
    from: { path: "^src/", pathNot: TESTS },
    to: { path: `^(test|tools|bench)/|${TESTS}` },
  },
];

const purity = [
  {
    name: "policy-is-pure",
    comment: "a decision that can reach a file, a clock or a socket cannot be tried with a table",
    from: folder("policy"),
    to: { dependencyTypes: ["core", ...NPM] },
  },
  {
    name: "sqlite-is-the-stores",
    comment: "one folder speaks SQL",
    from: { path: "^src/", pathNot: `^src/store/|${TESTS}` },
    to: { path: "^(node:)?sqlite$" },
  },
  {
    name: "no-cycles",
    comment: "what needs each other is one module, or has a third one to make out of it",
    from: {},
    to: { circular: true },
  },
  {
    name: "resolvable",
    comment: "an import that leads nowhere would escape every other rule",
    from: {},
    to: { couldNotResolve: true },
  },
];

const packages = [
  {
    name: "npm-package-has-an-owner",
    comment: "a package that src imports has an owner in tools/package-owners.json and a row in docs/dependencies.md",
    from: { path: "^src/", pathNot: TESTS },
    to: { dependencyTypes: NPM, pathNot: `node_modules/(${Object.keys(owners).join("|")})/` },
  },
  ...Object.entries(owners).map(([name, folders]) => ({
    name: `npm-package-${name}`,
    comment: `one package, one place: ${name} belongs to src/${folders.join("/ and src/")}/, so replacing it stays small`,
    from: { path: "^src/", pathNot: `^src/(${folders.join("|")})/|${TESTS}` },
    to: { path: `node_modules/${name}/` },
  })),
];

module.exports = {
  forbidden: [...layers, ...purity, ...packages].map((rule) => ({ severity: "error", ...rule })),
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true, // type-only imports have a direction too
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
