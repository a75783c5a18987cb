/**
 * A service of environments to be killed: opens the sandbox of a state folder and does what it is told, one word after
 * another, each said on standard output when it is done. Started as `node use-sandbox.ts <options as JSON> <word>...`.
 *
 * @module
 */
import { makeClock } from "../../../src/base/clock.ts";
import { makeLog } from "../../../src/base/log.ts";
import type { EnvironmentSpec, StartSpec } from "../../../src/runtime/runtime.ts";
import { openSandbox } from "../../../src/runtime/sandbox/open-sandbox.ts";
import type { NetworkChoice } from "../../../src/runtime/sandbox/open-network.ts";

/** What it is told, as JSON. */
export interface Told {
  readonly stateDir: string;
  /** @default "/" */
  readonly root?: string;
  readonly gatewayKey: string;
  readonly network: NetworkChoice;
  readonly specs: readonly EnvironmentSpec[];
  readonly start: StartSpec;
  readonly tools?: Readonly<Record<string, string>>;
  /** For the word `run`. */
  readonly line: string;
}

const [text = "", ...words] = process.argv.slice(2);
const told = JSON.parse(text) as Told;
const never = new AbortController().signal;
const say = (line: string) => void process.stdout.write(`${line}\n`);

const runtime = await openSandbox({ root: "/", ...told, clock: makeClock(), log: makeLog("warn") });
for (const lack of runtime.lacks) say(`lacks ${lack}`);
say("open");
for (const word of words) {
  for (const spec of told.specs) {
    const report = (step: string, ms: number) => say(`  ${step} ${Math.round(ms)} ms`);
    if (word === "create") await runtime.create(spec, report, never);
    if (word === "start") await runtime.start(spec, told.start, report, never);
    if (word === "run") say(`ended ${(await runtime.run(spec.id, { shell: told.line }, {}, never)).exitCode}`);
    if (word === "listen") await runtime.listen(spec.id, (call) => void call.end("username=ada\npassword=token\n"));
    if (word === "log") say(await runtime.readLog(spec.id, 100_000));
    if (word === "unsaved") say(JSON.stringify(await runtime.unsaved(spec.id)));
    if (word === "observe") say(JSON.stringify(await runtime.observe(spec.id)));
    if (word === "connect") await greet(spec.id);
    if (word === "sleep") await runtime.sleep(spec.id);
    if (word === "destroy") await runtime.destroy(spec.id);
    say(`${word} ${spec.id}`);
  }
  if (word === "stay") await new Promise((resolve) => process.stdin.once("end", resolve).resume());
}
process.exit(0);

/** Reads the first line of an inner sshd. */
async function greet(id: string): Promise<void> {
  const reach = await runtime.connect(id, { sessionId: "greeting", env: {} }, never);
  const chunks: unknown[] = await reach.stream.take(1).toArray();
  say(String(chunks[0]).trim());
  await reach.end();
}
