/**
 * Opens a way into a running environment: `Runtime.connect`.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../base/fault.ts";
import type { Reach, SessionSpec } from "../runtime.ts";
import { makeSshdConfig } from "../sshd-config.ts";
import { type Cluster, mustRunIn } from "./cluster.ts";
import { RUN, WORKSPACE } from "./inside.ts";
import { lineOf } from "./inside/line.ts";
import { sessionEnvOf } from "./inside-env.ts";
import { judgePod, type RunningPod } from "./judge-pod.ts";

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
  const unwatch = endWithPod(cluster, id, { pod, stream: door.stream });
  const config = makeSshdConfig(paths, sessionEnvOf(entrance, session.env));
  door.stream.write(lineOf(config));
  void door.ended.then((end) => {
    unwatch();
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

/**
 * Ends a stream as soon as the pod that it leads into is to end. Whoever uses it is told at once; the stream itself would go
 * on for as long as the pod's grace, or until nothing is heard of a node any more.
 *
 * @returns a function that stops it
 */
function endWithPod(
  { pods }: Cluster,
  id: string,
  { pod, stream }: { readonly pod: RunningPod; readonly stream: Duplex },
): () => void {
  const look = (): void => {
    const there = pods.find(pod.namespace, pod.name);
    const type = there?.metadata.uid === pod.uid ? judgePod(there, pod.container).type : "ending";
    if (type !== "ending" && type !== "failed") return;
    stream.destroy(
      new Fault("environment.gone", `Cannot go on with a session in ${id}: its pod ended`, {
        told: "the pod of this environment ended",
      }),
    );
  };
  const unwatch = pods.onChange(({ object }) => {
    if (object.metadata.name === pod.name && object.metadata.namespace === pod.namespace) look();
  });
  look(); // it may have ended since it was found
  return unwatch;
}
