/*
 * Positions in the bytes of JSON. Strings are skipped in one step, as they hold most of a dataset's bytes.
 */

/** The quote that ends a string whose content begins at `from`; -1 when it is not in the buffer. */
export function closingQuote(buffer: Buffer, from: number): number {
  for (let at = buffer.indexOf(0x22, from); at >= 0; at = buffer.indexOf(0x22, at + 1)) {
    let before = at - 1;
    while (before >= from && buffer[before] === 0x5c) before--;
    if ((at - before) % 2 === 1) return at; // an even number of backslashes: the quote is not escaped
  }
  return -1;
}

export function isSpace(c: number): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

export function trimmedEnd(buffer: Buffer, start: number, end: number): number {
  while (end > start && isSpace(buffer[end - 1]!)) end--;
  return end;
}

/** Where the value ends that begins at `start`: after its closing bracket or quote, or before what ends a number or word. */
export function valueEnd(buffer: Buffer, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < buffer.length; at++) {
    const c = buffer[at]!;
    if (c === 0x22) {
      const close = closingQuote(buffer, at + 1);
      if (close < 0) return undefined;
      at = close;
      if (depth === 0) return at + 1;
    } else if (c === 0x7b || c === 0x5b) depth++;
    else if (c === 0x7d || c === 0x5d) {
      if (depth === 0) return at; // the bracket of what the value is in
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (c === 0x2c || isSpace(c))) return at;
  }
  return undefined;
}
