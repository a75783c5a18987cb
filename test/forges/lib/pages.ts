/**
 * Pages of lists, and the Link header (RFC 8288) that leads from one to the next.
 *
 * @module
 */

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly page: number;
  readonly perPage: number;
  /** At least 1. */
  readonly lastPage: number;
  readonly totalCount: number;
}

/** Cuts the page out of a list that a query asks for. */
export function pageOf<Item>(
  all: readonly Item[],
  query: URLSearchParams,
  { defaultCount = 30, mostCount = 100 } = {},
): Page<Item> {
  const perPage = Math.min(positiveIn(query.get("per_page")) ?? defaultCount, mostCount);
  const page = positiveIn(query.get("page")) ?? 1;
  const lastPage = Math.max(1, Math.ceil(all.length / perPage));
  const items = all.slice((page - 1) * perPage, page * perPage);
  return { items, page, perPage, lastPage, totalCount: all.length };
}

/**
 * Writes the Link header's value; `undefined` when there is one page only.
 *
 * @param address of the list, with its query
 */
export function linkOf({ page, lastPage }: Page<unknown>, address: URL): string | undefined {
  const links: string[] = [];
  const add = (relation: string, to: number): void => {
    const target = new URL(address);
    target.searchParams.set("page", String(to));
    links.push(`<${target.href}>; rel="${relation}"`);
  };
  if (page > 1) add("prev", Math.min(page - 1, lastPage));
  if (page < lastPage) add("next", page + 1);
  if (page < lastPage) add("last", lastPage);
  if (page > 1) add("first", 1);
  return links.length === 0 ? undefined : links.join(", ");
}

function positiveIn(text: string | null): number | undefined {
  const number = Number(text ?? "");
  return Number.isInteger(number) && number > 0 ? number : undefined;
}
