/**
 * Everybody's role in one repository, in few bytes: 10,000 repositories of 5,000 people each are 12.5 MB.
 *
 * Held by `known.ts`, which numbers the accounts. A complete list is packed: two bits for each account that there is, or
 * 32 for each that has a role, whichever is less. Answers about one account that are newer than the list stand beside it.
 *
 * @module
 */
import type { ForgeRole } from "../../wire/forge.ts";

/** A role, when it was verified and by which request. */
export interface KnownRole {
  readonly role: ForgeRole;
  readonly verifiedAt: number;
  readonly source: string | undefined;
}

/** A complete list by account numbers, in any order, without those who have none. */
export interface RoleList {
  readonly verifiedAt: number;
  readonly source: string | undefined;
  readonly roles: readonly (readonly [account: number, role: ForgeRole])[];
}

const ROLES = ["none", "read", "write", "admin"] as const satisfies readonly ForgeRole[];
const CODES: Readonly<Record<ForgeRole, number>> = { none: 0, read: 1, write: 2, admin: 3 };

/** A `Uint32Array` has an account number and a code in each element, ascending; a `Uint8Array` four codes a byte. */
type Packed = Uint32Array | Uint8Array;

const EMPTY: Packed = new Uint32Array(0);

export class RoleTable {
  #packed: Packed = EMPTY;
  #listVerifiedAt: number | undefined;
  #listSource: string | undefined;
  /** Answers about one account, newer than the list. */
  #single: Map<number, KnownRole> | undefined;

  /** Epoch ms; `undefined`: there was never a complete list. */
  get listVerifiedAt(): number | undefined {
    return this.#listVerifiedAt;
  }

  /** How many the complete list has; at most the number of accounts where many have a role. */
  get listedCount(): number {
    return this.#packed instanceof Uint32Array ? this.#packed.length : this.#packed.length * 4;
  }

  /** `undefined`: nobody ever said. */
  find(account: number): KnownRole | undefined {
    const single = this.#single?.get(account);
    if (single !== undefined) return single;
    if (this.#listVerifiedAt === undefined) return undefined;
    return { role: this.#listed(account), verifiedAt: this.#listVerifiedAt, source: this.#listSource };
  }

  /** Those with a role, by number. */
  *entries(): Generator<readonly [account: number, role: ForgeRole]> {
    for (const entry of unpack(this.#packed)) if (this.#single?.has(entry[0]) !== true) yield entry;
    for (const [account, { role }] of this.#single ?? []) if (role !== "none") yield [account, role];
  }

  /** Marks the numbers of those with at least a role, in an array that has room for all accounts. */
  mark(marks: Uint8Array, least: ForgeRole): void {
    const code = CODES[least];
    const packed = this.#packed;
    if (packed instanceof Uint32Array) {
      for (const element of packed) if ((element & 3) >= code) marks[element >>> 2] = 1;
    } else {
      for (let account = 0; account < packed.length * 4; account += 1) {
        if ((((packed[account >>> 2] ?? 0) >>> ((account & 3) * 2)) & 3) >= code) marks[account] = 1;
      }
    }
    // Somebody whose role is less by now may be marked as well: nothing but a look at their keys comes of it.
    for (const [account, { role }] of this.#single ?? []) if (CODES[role] >= code) marks[account] = 1;
  }

  /** Sets one account's role. Whether it is newer is for the caller to know. */
  set(account: number, role: KnownRole): void {
    this.#single ??= new Map();
    this.#single.set(account, role);
  }

  /**
   * Replaces the list. Single answers for which `isKept` stay beside it.
   *
   * @returns whether anybody's role is another than before
   */
  setList({ verifiedAt, source, roles }: RoleList, isKept: (single: KnownRole, listed: ForgeRole) => boolean): boolean {
    const packed = pack(roles);
    let isChanged = this.#listVerifiedAt === undefined || !isSame(packed, this.#packed);
    this.#packed = isChanged ? packed : this.#packed;
    this.#listVerifiedAt = verifiedAt;
    this.#listSource = source;
    for (const [account, single] of this.#single ?? []) {
      const listed = this.#listed(account);
      if (isKept(single, listed)) continue;
      this.#single?.delete(account);
      if (listed !== single.role) isChanged = true;
    }
    if (this.#single?.size === 0) this.#single = undefined;
    return isChanged;
  }

  #listed(account: number): ForgeRole {
    return ROLES[codeOf(this.#packed, account)] ?? "none";
  }
}

function pack(roles: RoleList["roles"]): Packed {
  const known = roles.filter(([, role]) => role !== "none");
  if (known.length === 0) return EMPTY;
  const accountMax = known.reduce((most, [account]) => Math.max(most, account), 0);
  const denseBytes = (accountMax >>> 2) + 1;
  if (denseBytes >= known.length * Uint32Array.BYTES_PER_ELEMENT) {
    const sparse = Uint32Array.from(known, ([account, role]) => account * 4 + CODES[role]).sort();
    // Somebody who is listed twice has the lesser role: it cannot be said which of the two is meant.
    return sparse.filter((element, index) => index === 0 || element >>> 2 !== (sparse[index - 1] ?? 0) >>> 2);
  }
  const dense = new Uint8Array(denseBytes);
  for (const [account, role] of known) {
    const listed = codeOf(dense, account);
    const code = listed === 0 ? CODES[role] : Math.min(listed, CODES[role]);
    const shift = (account & 3) * 2;
    dense[account >>> 2] = ((dense[account >>> 2] ?? 0) & ~(3 << shift)) | (code << shift);
  }
  return dense;
}

function* unpack(packed: Packed): Generator<readonly [account: number, role: ForgeRole]> {
  if (packed instanceof Uint32Array) {
    for (const element of packed) yield [element >>> 2, ROLES[element & 3] ?? "none"];
    return;
  }
  for (let account = 0; account < packed.length * 4; account += 1) {
    const code = codeOf(packed, account);
    if (code !== 0) yield [account, ROLES[code] ?? "none"];
  }
}

function codeOf(packed: Packed, account: number): number {
  if (packed instanceof Uint8Array) return ((packed[account >>> 2] ?? 0) >>> ((account & 3) * 2)) & 3;
  let low = 0;
  let high = packed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const element = packed[middle] ?? 0;
    const found = element >>> 2;
    if (found === account) return element & 3;
    if (found < account) low = middle + 1;
    else high = middle;
  }
  return 0;
}

function isSame(one: Packed, other: Packed): boolean {
  return (
    one.length === other.length &&
    one.BYTES_PER_ELEMENT === other.BYTES_PER_ELEMENT &&
    one.every((element, index) => element === other[index])
  );
}
