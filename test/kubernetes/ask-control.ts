/**
 * Asks the control socket of a test's service what `slip` asks there, without starting a program for each look.
 *
 * @module
 */
import { request } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { type Asked, type ControlAnswer, type ControlPath, controlRequests } from "../../src/wire/control.ts";
import type { TestService } from "../harness/service.ts";

/** @throws {Error} when no service answers, or it refuses */
export async function askControl<Path extends ControlPath>(
  { stateFolder }: Pick<TestService, "stateFolder">,
  path: Path,
  asked: Asked<Path>,
): Promise<ControlAnswer<Path>> {
  const answer = await new Promise((resolve, reject) => {
    const sent = request({ socketPath: join(stateFolder, "control.sock"), path, method: "POST" }, (response) => {
      const body = json(response);
      if (response.statusCode === 200) body.then(resolve, reject);
      else void body.then((refusal) => reject(new Error(JSON.stringify(refusal))), reject);
    });
    sent.setHeader("content-type", "application/json");
    sent.once("error", reject).end(JSON.stringify(asked));
  });
  return controlRequests[path].answer.parse(answer) as ControlAnswer<Path>;
}
