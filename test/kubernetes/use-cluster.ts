/**
 * The cluster that the tests are given.
 *
 * @module
 */

/** Path of its kubeconfig file. */
export function kubeconfigPath(): string {
  const path = process.env["KUBECONFIG"];
  if (path === undefined || path === "") throw new Error("Cannot use a cluster: KUBECONFIG is not set");
  return path;
}
