/** The values of a JSON Lines text. */
export function parseLines<T>(text: string): T[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T); // the caller knows what it wrote
}
