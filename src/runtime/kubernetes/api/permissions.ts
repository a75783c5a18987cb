/**
 * What we may do, as the server itself says: a SelfSubjectAccessReview each. Everybody who is known may ask that.
 *
 * @module
 */
import type { Permission } from "./cluster-api.ts";
import type { Connection } from "./connection.ts";
import { isRecord } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { unreachedFault } from "./server-status.ts";

/** Questions under way at once. */
const AT_ONCE = 4;

/** Lists those of `asked` that are refused, in their order. @throws {Fault} `cluster.*` when it cannot be asked */
export async function lackingOf(
  asked: readonly Permission[],
  server: { readonly connection: Connection; readonly requests: Requests },
  signal: AbortSignal,
): Promise<readonly Permission[]> {
  const isAllowed = new Map<Permission, boolean>();
  const left = asked.values();
  const work = async (): Promise<void> => {
    for (const permission of left) isAllowed.set(permission, await mayWe(permission, server, signal));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return asked.filter((permission) => isAllowed.get(permission) !== true);
}

async function mayWe(
  { verb, group, resource, subresource, namespace }: Permission,
  { connection, requests }: { readonly connection: Connection; readonly requests: Requests },
  signal: AbortSignal,
): Promise<boolean> {
  const what = { verb: "create", resource: "selfsubjectaccessreviews" };
  const resourceAttributes = { verb, group, resource, subresource, namespace };
  const { body } = await requests.send(
    {
      ...what,
      method: "POST",
      path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
      body: { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", spec: { resourceAttributes } },
      isRepeatable: true, // nothing is kept of it
    },
    signal,
  );
  const status = isRecord(body) ? body["status"] : undefined;
  if (!isRecord(status) || typeof status["allowed"] !== "boolean") {
    throw unreachedFault(connection.name, what, "the answer is no access review");
  }
  return status["allowed"];
}
