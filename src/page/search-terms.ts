/** What a search asks for. */
export type SearchTerms = { readonly row: number } | { readonly terms: readonly string[] };

/** `#17` is row 17; else all words, and all phrases in quotes, in small letters. */
export function readSearch(search: string): SearchTerms {
  const [, row] = /^\s*#(\d{1,15})\s*$/.exec(search) ?? [];
  if (row !== undefined) return { row: Number(row) };
  const terms = [...search.toLowerCase().matchAll(/"([^"]+)"?|[^\s"]+/g)].map(([word, phrase]) => phrase ?? word);
  return { terms };
}

/** Characters of a text in a list. */
export const beginningLength = 240;

/** What a search looks through, of a row. */
export function searchTextOfRow(row: {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
  readonly id?: string | undefined;
}): string {
  return `${row.instruction}\n${row.input}\n${row.output}\n${row.id ?? ""}`.toLowerCase();
}
