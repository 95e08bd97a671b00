// control codes, and the marks that turn the direction of writing around
// oxlint-disable-next-line no-control-regex -- control characters are what it is for
const hostile = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

// the same without what JSON has escaped already, and without the line feeds that lay it out
const hostileInJson = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Makes foreign text safe for a terminal: one line, and nothing in it that a terminal would obey. */
export function plainText(text: string): string {
  return text
    .split("\n")
    .map((line, i, lines) =>
      lines.length === 1 ? line : i === 0 ? line.trimEnd() : i === lines.length - 1 ? line.trimStart() : line.trim(),
    )
    .join(" ")
    .replace(hostile, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The same for a text whose lines are to stay lines. */
export function plainLines(text: string): string {
  return text
    .split(/\r\n|[\n\r]/)
    .map(plainText)
    .join("\n");
}

/** JSON whose texts a terminal would not obey either; what reads it as JSON reads the same. */
export function plainJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    hostileInJson,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
