import { DataError } from "../errors.ts";
import { readBytes } from "../files/read-bytes.ts";
import type { DatasetFile } from "./source.ts";

/** The text encodings that a file may have; UTF-16 is known by its byte order mark. */
type Encoding = "utf-8" | "utf-16le" | "utf-16be";

function encodingOf(head: Buffer): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  return head[0] === 0xfe && head[1] === 0xff ? "utf-16be" : "utf-8";
}

/**
 * The encoding of a text that is refused: UTF-32, or UTF-16 without a byte order mark. Both are known by the zeros among the first four
 * bytes, of which the first characters of data (`[{"`, `name,`) have none.
 */
function foreignEncodingOf([a, b, c, d]: Buffer): string | undefined {
  if (d === undefined) return undefined;
  const zeros = [a, b, c, d].map((byte) => (byte === 0 ? "0" : "x")).join("");
  if (zeros === "x000" || (a === 0xff && b === 0xfe && zeros === "xx00")) return "UTF-32LE";
  if (zeros === "000x" || (c === 0xfe && d === 0xff && zeros === "00xx")) return "UTF-32BE";
  if (zeros === "x0x0") return "UTF-16LE";
  return zeros === "0x0x" ? "UTF-16BE" : undefined;
}

function expectKnownEncoding(head: Buffer, path: string): void {
  const encoding = foreignEncodingOf(head);
  if (!encoding) return;
  const got = encoding.startsWith("UTF-32") ? encoding : `${encoding} without one`;
  throw new DataError(
    `${path}: expected text in UTF-8, or in UTF-16 with a byte order mark, got ${got}; convert it with iconv -f ${encoding} -t UTF-8`,
  );
}

/** Whether a text file begins with the byte order mark of UTF-8, by which Excel knows it. */
export async function hasByteOrderMark(file: DatasetFile): Promise<boolean> {
  for await (const chunk of readBytes(file)) return chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf;
  return false;
}

/** Whether a text file is UTF-16, as Excel and PowerShell write it. */
export async function isUtf16(file: DatasetFile): Promise<boolean> {
  for await (const chunk of readBytes(file)) return encodingOf(chunk) !== "utf-8";
  return false;
}

/**
 * A text file's bytes as UTF-8, without its byte order mark, in chunks that are valid until the next one is requested. Bytes that claim to
 * be UTF-8 are passed on unchecked.
 *
 * @throws DataError when it cannot be read, is UTF-16 with errors, or is in an encoding that is not known
 */
export async function* readText(file: DatasetFile): AsyncGenerator<Buffer> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let isFirst = true;
  const decode = (chunk?: Buffer): Buffer => {
    try {
      return Buffer.from(decoder!.decode(chunk, { stream: chunk !== undefined }));
    } catch (cause) {
      throw new DataError(`${file.path}: expected UTF-16 text, as its first two bytes say, got invalid bytes`, {
        cause,
      });
    }
  };
  for await (const chunk of readBytes(file)) {
    if (isFirst) {
      isFirst = false;
      expectKnownEncoding(chunk, file.path);
      const encoding = encodingOf(chunk);
      if (encoding !== "utf-8") decoder = new TextDecoder(encoding, { fatal: true });
      else {
        yield chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? chunk.subarray(3) : chunk;
        continue;
      }
    }
    yield decoder ? decode(chunk) : chunk;
  }
  if (decoder) yield decode();
}
