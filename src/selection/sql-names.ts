import { escapePattern } from "../escape-pattern.ts";

/*
 * Which columns and scores SQL names, by its text: it may not be valid yet.
 */

/** The beginning of a name, alone or after the table's. */
const beginsName = String.raw`(?:(?<![\w.])|(?<=\brows\.))`;

/** Whether an expression has the value of a score, by its name alone or with the prefix that tells it from the data's. */
export function uses(expression: string, name: string): boolean {
  return namesColumn(expression, `(rating_)?${escapePattern(name)}`);
}

/** Whether an expression has a score's name also where it means the data's column (`data_NAME`), which is told from it by that prefix. */
export function mentions(expression: string, name: string): boolean {
  return namesColumn(expression, `(rating_|data_)?${escapePattern(name)}`);
}

/** Whether SQL has a score's name, or the name of one of its marks. */
export function mentionsScore(sql: string, name: string): boolean {
  const pattern = `(rating_|data_)?${escapePattern(name)}`;
  return new RegExp(String.raw`${beginsName}"?${pattern}"?(?!\w|\s*\()`, "i").test(withoutOthers(sql, pattern));
}

/** SQL without its texts, which name no columns, and without quoted names of other columns. */
function withoutOthers(sql: string, pattern: string): string {
  const own = new RegExp(`^"${pattern}"$`, "i");
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, (text) => (own.test(text) ? text : text[0]!.repeat(2)));
}

function namesColumn(expression: string, name: string): boolean {
  return new RegExp(String.raw`${beginsName}"?${name}"?(?![\w.]|\s*\()`, "i").test(withoutOthers(expression, name));
}
