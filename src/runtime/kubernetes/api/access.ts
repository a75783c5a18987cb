/**
 * How one API server is reached, once everything that is written about it was read and found good.
 *
 * `kubeconfig.ts` and `in-cluster.ts` make it, `credentials.ts` makes headers and TLS options of it.
 *
 * @module
 */

/** A text that is known, or that stands in a file which others may write anew. */
export type Material = { readonly text: string } | { readonly path: string };

/** A program that is asked for credentials: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins */
export interface CredentialPlugin {
  readonly apiVersion: string;
  /** A path, or a name to be looked for in `PATH` of `env`. */
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** `spec.cluster` of what it is told, where it wants to know. */
  readonly cluster?: unknown;
  /** For people who lack the program. */
  readonly installHint?: string;
}

export interface ResolvedAccess {
  /** `https://host:port` and maybe a path; ends without a slash. */
  readonly server: string;
  /** Where this was written, for messages. */
  readonly source: string;
  /** Name that the server's certificate has to be for, where that is not the host of `server`. */
  readonly serverName?: string;
  /** Whether any certificate will do. */
  readonly isInsecure: boolean;
  /** PEM; the authorities that Node.js believes when absent. */
  readonly authority?: Material;
  /** PEM. */
  readonly certificate?: Material;
  /** PEM. */
  readonly key?: Material;
  readonly token?: Material;
  readonly plugin?: CredentialPlugin;
}
