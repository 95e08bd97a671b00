import { readBytes } from "./read-bytes.ts";

/** Some whole lines of a file, without the last line feed; or an incomplete last line. */
export interface LineBlock {
  readonly text: string;
  /** Whether this is an incomplete last line: the file does not end with a line feed. */
  readonly isCutOff: boolean;
}

/**
 * Reads a text file in blocks of whole lines, in bounded memory.
 *
 * @param onBytes called with all bytes, in order
 */
export async function* readLineBlocks(path: string, onBytes?: (bytes: Buffer) => void): AsyncGenerator<LineBlock> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of readBytes({ path })) {
    onBytes?.(chunk);
    const text = rest + decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n");
    rest = text.slice(end + 1);
    if (end >= 0) yield { text: text.slice(0, end), isCutOff: false };
  }
  if (rest.trim()) yield { text: rest, isCutOff: true };
}
