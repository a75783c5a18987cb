/**
 * What is needed to dial a cluster's API server for an exec: implemented by `connection.ts`, which reads kubeconfigs and
 * renews tokens; used by `exec.ts`.
 *
 * @module
 */

/** How to reach and convince one API server. */
export interface ExecConnection {
  /** Of the cluster, as in the settings. */
  readonly name: string;
  /** Base of the API server, `https:` or `http:`; may have a path, as behind a proxy for many clusters. */
  readonly url: URL;
  readonly tls: {
    readonly ca?: string | Buffer;
    readonly cert?: string | Buffer;
    readonly key?: string | Buffer;
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /** Headers that say who we are, at the time of a request. */
  headers(): Promise<Record<string, string>>;
}
