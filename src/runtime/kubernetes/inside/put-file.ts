/**
 * Writes a file inside in one step, by the toolbox's `put`.
 *
 * @module
 */
import { PUT } from "../inside.ts";
import { converse, faultOfEnd } from "./conversation.ts";
import { lineOf, type StartProgram } from "./line.ts";

export interface InsideFile {
  /** Absolute. */
  readonly path: string;
  /** Permissions, as chmod(2) has them. */
  readonly mode: number;
  readonly bytes: Buffer | string;
}

/** Writes it, with the folders it needs. @throws {Fault} `runtime.failed` when it cannot be written */
export async function putFile(
  exec: StartProgram,
  { path, mode, bytes }: InsideFile,
  signal: AbortSignal,
): Promise<void> {
  const body = Buffer.from(bytes);
  await converse(
    exec([PUT]),
    async (program, answers) => {
      program.stream.write(lineOf(`${body.length} ${mode.toString(8)} ${path}`));
      if (body.length > 0) program.stream.write(body);
      if ((await answers.line()) !== "ok") throw await faultOfEnd(`write ${path} inside`, program);
    },
    signal,
  );
}
