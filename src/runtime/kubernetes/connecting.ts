/**
 * Opens a way into a running environment: `Runtime.connect`.
 *
 * @module
 */
import type { Reach, SessionSpec } from "../runtime.ts";
import { makeSshdConfig } from "../sshd-config.ts";
import { type Cluster, mustRunIn } from "./cluster.ts";
import { RUN, WORKSPACE } from "./inside.ts";
import { lineOf } from "./inside/line.ts";
import { sessionEnvOf } from "./inside-env.ts";

/** Hands its stream over at once: what fails later ends the stream. */
export async function openReach(
  cluster: Cluster,
  id: string,
  session: SessionSpec,
  signal: AbortSignal,
): Promise<Reach> {
  const { found, pod } = await mustRunIn(cluster, id);
  const { entrance } = found.kept;
  if (entrance === undefined) throw new Error(`Cannot connect to ${id}: it runs without an entrance`);
  const door = await cluster.doors.take(id, pod, signal);
  const paths = {
    hostKeyFile: `${RUN}/ssh/host_ed25519`,
    authorizedKeysFile: `${RUN}/ssh/authorized_keys`,
    sftpFolder: `${WORKSPACE}/${found.kept.spec.source.repository}`,
  };
  const config = makeSshdConfig(paths, sessionEnvOf(entrance, session.env));
  door.stream.write(lineOf(config));
  void door.ended.then((end) => {
    cluster.log.debug("kubernetes.sshd-ended", { environment: id, ...end, said: door.stderr() });
  });
  return {
    stream: door.stream,
    hostKey: Buffer.from(entrance.hostKey, "base64"),
    user: entrance.user,
    end: async () => {
      door.stream.destroy();
    },
  };
}
