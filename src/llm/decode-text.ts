const utf8 = new TextDecoder(); // each removes a byte order mark
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The text of a body, which is UTF-8 for nearly all servers. Others send UTF-16, which its first bytes tell, or another encoding that the
 * content type names: it is believed only where the bytes are no UTF-8, since many servers name one and send UTF-8.
 */
export function decodeText(bytes: Uint8Array, contentType = ""): string {
  const wide = wideEncoding(bytes);
  if (wide !== undefined) return new TextDecoder(wide).decode(bytes);
  const [, named] = /charset\s*=\s*"?([\w.:-]+)/i.exec(contentType) ?? [];
  if (named === undefined || /^utf-?8$/i.test(named)) return utf8.decode(bytes);
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return decoderOf(named).decode(bytes);
  }
}

/** UTF-16 by its byte order mark, or by the zero beside a first character of ASCII. */
function wideEncoding([first, second]: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  if (first === undefined || second === undefined) return undefined;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return "utf-16le";
  return (first === 0xfe && second === 0xff) || (first === 0 && second !== 0) ? "utf-16be" : undefined;
}

function decoderOf(name: string): typeof utf8 {
  try {
    return new TextDecoder(name);
  } catch {
    return utf8; // no encoding is called that
  }
}
