import { useEffect } from "preact/hooks";
import type { RunReport } from "../../../src/page/contract.ts";
import type { Source } from "../source.ts";

/*
 * Shared by the lists of rows and of pairs.
 */

/** The parameters of a link. */
export type Values = Readonly<Record<string, string>>;

export interface ListProps {
  readonly report: RunReport;
  readonly source: Source;
  readonly values: Values;
  readonly onChange: (values: Record<string, string | undefined>) => void;
}

export const pageSize = 50;
export const typingMs = 150; // pause in typing before a search starts

/** The page number in a link, from 0. */
export function pageOf({ page }: Values): number {
  const number = Number(page ?? 0);
  return Number.isSafeInteger(number) && number > 0 ? number : 0;
}

/** Goes to the last page if the link names a later one, because the list has become shorter. */
export function useLastPage(
  total: number | undefined,
  { values, onChange }: Pick<ListProps, "values" | "onChange">,
): void {
  const page = pageOf(values);
  const last = Math.max(0, Math.ceil((total ?? 0) / pageSize) - 1);
  useEffect(() => {
    if (total !== undefined && page > last) onChange({ ...values, page: last === 0 ? undefined : String(last) });
  }, [total, page, last]);
}
