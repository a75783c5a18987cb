/**
 * Lets what runs inside an environment call the service: a Unix socket in the folder that is seen at `INSIDE`, for each
 * environment its own, so that who calls is known by where they do.
 *
 * The environment's user alone may connect: the socket is theirs, and nobody else of the machine gets into the folder of
 * environments. That the folder is mounted read-only inside hinders nobody: unix(7) asks for write permission on the
 * socket alone. What is said is hostile, and for whoever takes the call to judge.
 *
 * @module
 */
import { chmodSync, chownSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";

import { socketPath } from "../../base/socket-path.ts";
import type { EnvironmentSpec } from "../runtime.ts";
import type { Host } from "./host.ts";
import type { Place } from "./layout.ts";
import type { Machine } from "./machine.ts";

/** Name of the socket below `INSIDE`; `git-credential.sh` knows it too. */
const SOCKET = "calls.sock";

/** Of one environment at one time (guess: nothing calls often); those beyond are hung up on. */
const CALLS_MAX = 8;

/** How long one may take: a slow one holds a place of few. */
const CALL_MS = 10_000;

export interface Callers {
  readonly place: Place;
  /** Of their user; taken for our own where the service is not root. */
  readonly spec: Pick<EnvironmentSpec, "uid">;
}

export interface Calls {
  /** Takes the calls of an environment whose files there are, in the stead of whoever took them before. */
  listen(of: Callers, onCall: (stream: Duplex) => void): Promise<{ close(): Promise<void> }>;
  /** Takes no more, and hangs up on those who call. */
  close(id: string): Promise<void>;
}

/** What of the host it takes. */
export type CallsHost = Pick<Host, "clock" | "log"> & { readonly machine: Pick<Machine, "identity"> };

interface Listening {
  readonly server: Server;
  readonly calling: Set<Socket>;
  /** What the socket was named by; held until the server is closed, which removes the socket by it. */
  readonly named: Disposable;
}

/** Makes the taker of calls. */
export function makeCalls(host: CallsHost): Calls {
  const all = new Map<string, Listening>();
  const close = async (id: string, only = all.get(id)): Promise<void> => {
    if (only === undefined || all.get(id) !== only) return;
    all.delete(id);
    await hangUp(only);
  };
  return {
    listen: async (of, onCall) => {
      const { place } = of;
      await close(place.id);
      const listening = await open(host, of, onCall);
      all.set(place.id, listening);
      return { close: () => close(place.id, listening) };
    },
    close: (id) => close(id),
  };
}

async function open(
  host: CallsHost,
  { place, spec: { uid } }: Callers,
  onCall: (stream: Duplex) => void,
): Promise<Listening> {
  const named = socketPath(join(place.inside, SOCKET));
  const path = named.address;
  const calling = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {}); // EPIPE and ECONNRESET: the caller has ended
    if (calling.size >= CALLS_MAX) {
      socket.destroy();
      return;
    }
    calling.add(socket);
    const cancel = host.clock.after(CALL_MS, () => socket.destroy());
    socket.once("close", () => {
      cancel();
      calling.delete(socket);
    });
    onCall(socket);
  });
  try {
    rmSync(path, { force: true }); // of a service that was killed
    await untilListening(server, path);
    if (host.machine.identity.mode === "root") chownSync(path, uid, uid);
    chmodSync(path, 0o600);
  } catch (error) {
    await hangUp({ server, calling, named });
    throw error;
  }
  server.on("error", (error) => host.log.error("sandbox.calls-failed", error, { environment: place.id }));
  server.unref(); // no reason for the service not to end
  return { server, calling, named };
}

async function untilListening(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function hangUp({ server, calling, named }: Listening): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const socket of calling) socket.destroy();
  await closed;
  named[Symbol.dispose]();
}
