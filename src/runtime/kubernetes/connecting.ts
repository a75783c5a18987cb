/**
 * Opens a way into a running environment: `Runtime.connect`.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../base/fault.ts";
import type { Path } from "../../policy/kubernetes/path.ts";
import type { Reach, SessionSpec } from "../runtime.ts";
import { makeSshdConfig } from "../sshd-config.ts";
import type { Exec } from "./api/cluster-api.ts";
import { type Cluster, mustRunIn } from "./cluster.ts";
import { RUN, WORKSPACE } from "./inside.ts";
import { openByAddress } from "./inside/by-address.ts";
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
  const paths = {
    hostKeyFile: `${RUN}/ssh/host_ed25519`,
    authorizedKeysFile: `${RUN}/ssh/authorized_keys`,
    sftpFolder: `${WORKSPACE}/${found.kept.spec.source.repository}`,
  };
  const config = makeSshdConfig(paths, sessionEnvOf(entrance, session.env));
  const { door, stream, path, beganMs } = await openDoor(cluster, { id, pod, config }, signal);
  const unwatch = endWithPod(cluster, id, { pod, stream });
  void door.ended.then((end) => {
    unwatch();
    cluster.log.debug("kubernetes.sshd-ended", { environment: id, path, ...end, said: door.stderr() });
  });
  return {
    stream,
    hostKey: Buffer.from(entrance.hostKey, "base64"),
    user: entrance.user,
    entered: () => cluster.paths.entered(path, cluster.clock.elapsed() - beganMs),
    end: async () => {
      stream.destroy();
    },
  };
}

interface Opened {
  readonly door: Exec;
  /** Of SSH. */
  readonly stream: Duplex;
  readonly path: Path;
  /** When the door was told its first line, on the clock that never jumps. */
  readonly beganMs: number;
}

/** Takes a door and tells it where to serve. Whatever keeps a session from going by an address, it goes by exec then. */
async function openDoor(
  { doors, paths, clock }: Cluster,
  { id, pod, config }: { readonly id: string; readonly pod: RunningPod; readonly config: string },
  signal: AbortSignal,
): Promise<Opened> {
  let door = await doors.take(id, pod, signal);
  const beganMs = clock.elapsed();
  if (pod.ip !== undefined && paths.next(pod.uid) === "podIP") {
    const tried = await openByAddress(door, { address: pod.ip, config, clock }, signal);
    if (tried.type === "open") return { door, stream: tried.stream, path: "podIP", beganMs };
    paths.failed(pod.uid, tried.error);
    if (tried.type === "here") return { door, stream: door.stream, path: "exec", beganMs };
    door = await doors.take(id, pod, signal);
  }
  door.stream.write(lineOf(config));
  return { door, stream: door.stream, path: "exec", beganMs };
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
