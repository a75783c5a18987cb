/**
 * What the members of a pool are made from: what the default branch of its repository says its environments are, with
 * nobody's name in it.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { hostnameOf } from "../policy/login.ts";
import { isBaked } from "../policy/pool-version.ts";
import type { Limits, Source } from "../runtime/runtime.ts";
import type { PoolSettings } from "../wire/cluster-settings.ts";
import type { Definition } from "../wire/definition.ts";
import type { Repository } from "../wire/repository.ts";
import { describeBranch } from "./branch-definition.ts";
import type { BranchReader } from "./clusters.ts";
import type { Context } from "./context.ts";
import { startSpecOf } from "./definition.ts";
import type { MemberSpec } from "./pools/ports.ts";
import { tokenUrl } from "./push-credentials.ts";

export interface MembersOptions extends Pick<Context, "mirrors"> {
  readonly reader: BranchReader;
  /** Of one environment. */
  readonly limits: Limits;
  /** Finds a repository by the name that settings have for it. */
  repositoryNamed(name: string): Repository | undefined;
  /** What one environment of a definition asks for while it waits. */
  requestsOf(definition: Definition, cluster: string | undefined): MemberSpec["requests"];
}

/** Who the commits of a member would be by, if it made any. */
const AUTHOR = { name: "Slipway", email: "slipway@localhost" };

/** @throws {Fault} `repository.unreached` or `definition.invalid` */
export async function describeMember(
  options: MembersOptions,
  pool: PoolSettings,
  signal: AbortSignal,
): Promise<MemberSpec> {
  const { mirrors, limits, reader } = options;
  const repository = options.repositoryNamed(pool.repository);
  if (repository === undefined)
    throw new Fault(
      "repository.unreached",
      `Cannot make members of pool "${pool.name}": no repository ${pool.repository}`,
    );
  await mirrors.refresh(repository.id, 60_000, signal);
  const branch = await mirrors.defaultBranch(repository.id);
  if (branch === undefined)
    throw new Fault("repository.unreached", `Cannot make members of pool "${pool.name}": its repository has no branch`);
  const mirrorPath = mirrors.pathOf(repository.id);
  const described = await describeBranch(reader, { repositoryName: repository.name, mirrorPath, branch });
  const { definition, version } = described;
  const { image, podSecurity, placement = {} } = definition.container;
  const source: Source = {
    repository: repository.name,
    mirrorPath,
    originUrl: tokenUrl(repository)?.href ?? repository.pushUrl ?? mirrors.originUrlOf(repository.id),
    branch,
  };
  return {
    version,
    needs: { podSecurity, wantedLabels: placement },
    requests: options.requestsOf(definition, pool.cluster),
    ...(image === undefined ? {} : { image }),
    make: (id, cluster) => ({
      spec: {
        ...{ id, cluster, source, author: AUTHOR },
        hostname: hostnameOf(repository.name, branch),
        // Of no use where there are containers, which have numbers of their own.
        uid: 0,
        limits,
        generation: 0,
        owner: { pool: pool.name },
      },
      start: withoutService(startSpecOf(definition, {})),
      bake: definition.commands.filter(({ name }) => isBaked(name)),
      env: { ...definition.containerEnv },
    }),
  };
}

/** The service command is started when there is somebody to start it for. */
function withoutService({ run: _run, ...start }: ReturnType<typeof startSpecOf>): ReturnType<typeof startSpecOf> {
  return start;
}
