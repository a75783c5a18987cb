/**
 * A repository that environments are made of, as forge, controller and runtime share it.
 *
 * @module
 */
import type { ForgeRef } from "./forge.ts";

export interface Repository {
  /** Never another's: the name in the settings, or the number at a forge, as in `github.1296269`. Safe in paths. */
  readonly id: string;
  /** As in logins; two repositories of different owners may share it. */
  readonly name: string;
  readonly owner?: string;
  /** Where its mirror is fetched from: URL for git, or a path as written. */
  readonly url: string;
  /** What a checkout calls `origin`, where that is not `url`: something a person can push to. */
  readonly pushUrl?: string;
  /** Whether its forge makes short-lived tokens that push to it alone, over https at `url`. */
  readonly canPushByToken?: boolean;
  /** The forge that says who may use it; absent: the grants of the settings do. */
  readonly forge?: ForgeRef;
}
