import { unseenCharacters } from "../../unseen-characters.ts";

// unseen characters, except for what JSON escapes itself and for the line feeds of its layout
const hostileInJson = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Makes foreign text safe for a terminal: puts it on one line and escapes control characters. */
export function plainText(text: string): string {
  return text
    .split("\n")
    .map((line, i, lines) =>
      lines.length === 1 ? line : i === 0 ? line.trimEnd() : i === lines.length - 1 ? line.trimStart() : line.trim(),
    )
    .join(" ")
    .replace(unseenCharacters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Like `plainText`, but keeps line breaks. */
export function plainLines(text: string): string {
  return text
    .split(/\r\n|[\n\r]/)
    .map(plainText)
    .join("\n");
}

/** JSON that is safe for a terminal too; it parses to the same value. */
export function plainJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    hostileInJson,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
