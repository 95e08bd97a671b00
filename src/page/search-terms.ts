/** A parsed search. */
export type SearchTerms = { readonly row: number } | { readonly terms: readonly string[] };

/** Parses a search: `#17` is row 17; anything else is words and quoted phrases, in lower case. */
export function readSearch(search: string): SearchTerms {
  const [, row] = /^\s*#(\d{1,15})\s*$/.exec(search) ?? [];
  if (row !== undefined) return { row: Number(row) };
  const terms = [...search.toLowerCase().matchAll(/"([^"]+)"?|[^\s"]+/g)].map(([word, phrase]) => phrase ?? word);
  return { terms };
}

/** How many characters of a text a list shows. */
export const beginningLength = 240;

/** The text of a row that is searched, in lower case. */
export function searchTextOfRow(row: {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
  readonly id?: string | undefined;
}): string {
  return `${row.instruction}\n${row.input}\n${row.output}\n${row.id ?? ""}`.toLowerCase();
}
