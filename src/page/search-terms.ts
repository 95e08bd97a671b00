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

/** How a conversation with tools begins, as one text: before the first turn. No line end is in it. */
const toolsBefore = String.raw`^Tools: \[[^\n]*\]\n\n`;
const tools = new RegExp(toolsBefore);

/** What lists show of a text: its beginning, of a conversation without the descriptions of its tools. */
export function beginningOf(text: string): string {
  return text.replace(tools, "").slice(0, beginningLength);
}

/** The same as SQL. @param column SQL of a text */
export function beginningSql(column: string): string {
  return `left(regexp_replace(${column}, '${toolsBefore}', ''), ${beginningLength})`;
}

/** The text of a row that is searched, in lower case. */
export function searchTextOfRow(row: {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
  readonly id?: string | undefined;
}): string {
  return `${row.instruction}\n${row.input}\n${row.output}\n${row.id ?? ""}`.toLowerCase();
}
