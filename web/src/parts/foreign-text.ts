/*
 * Foreign text in saved files. Figures go into slides and papers, tables into spreadsheets: neither may run, hide or reorder
 * anything there.
 */

const notXml =
  // oxlint-disable-next-line no-control-regex -- control characters are what it is for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const directionMarks = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A text for an SVG: without characters that XML does not allow, and with no effect on the direction of its neighbours. */
export function svgText(text: string): string {
  const clean = text.replaceAll(notXml, "\ufffd").replaceAll(directionMarks, "");
  return rightToLeft.test(clean) ? `\u2068${clean}\u2069` : clean;
}

// what spreadsheets skip before the sign of a formula: spaces, invisible characters, quotes
const formula =
  /^[\s\p{Cc}\p{Cf}\p{Mn}\u115f\u1160\u2800\u3164\uffa0'"`\u2018-\u201f]*[=+\-@|%\uff1d\uff0b\uff0d\uff20\u2212]|^[\t\r\n]/u;

/** A cell of a CSV (RFC 4180). A text that a spreadsheet could take for a formula gets a leading apostrophe. */
export function csvCell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = formula.test(value) ? `'${value}` : value;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
