import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from "node:zlib";
import { largestReply } from "./reply-limit.ts";

const bound = { maxOutputLength: largestReply }; // a small body may unpack to one that fills the memory
const decoders: ReadonlyMap<string, (bytes: Uint8Array) => Uint8Array> = new Map([
  ["gzip", (bytes) => gunzipSync(bytes, bound)],
  ["x-gzip", (bytes) => gunzipSync(bytes, bound)],
  ["deflate", (bytes) => inflateSync(bytes, bound)],
  ["br", (bytes) => brotliDecompressSync(bytes, bound)],
  ["zstd", (bytes) => zstdDecompressSync(bytes, bound)],
]);

const utf8 = new TextDecoder();

/**
 * Unpacks a body. Some servers send raw deflate by the name of the other, or name a compression and do not compress.
 *
 * @throws Error when it cannot be unpacked, or is too large
 */
export function unpack(packed: Uint8Array, encoding: string): Uint8Array {
  const decode = decoders.get(encoding);
  if (!decode) return packed;
  try {
    return decode(packed);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw error;
    if (/^\s*(?:[{[]|data:|event:)/.test(utf8.decode(packed.subarray(0, 64)))) return packed;
    if (encoding !== "deflate") throw error;
    return inflateRawSync(packed, bound);
  }
}
