/** A table as CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe. */
export function csvTable<Name extends string>(
  columns: readonly Name[],
  rows: readonly { readonly [Column in Name]?: string | number | null | undefined }[],
): string {
  const lines = rows.map((row) => columns.map((name) => cell(row[name])).join(","));
  return `${[columns.join(","), ...lines].join("\r\n")}\r\n`;
}

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
