import { hash } from "node:crypto";

const longest = 180; // bytes; a file's name has at most 255, and suffixes are added
const longestPart = 50;

/** A readable name for files, with a hash added when the readable form is ambiguous. */
export function comparisonName(a: string, b: string, judge: string): string {
  const parts = [a, b, judge].map((part) => part.replace(/[^\p{L}\p{N}.-]+/gu, "_"));
  const name = `${parts[0]}-vs-${parts[1]}.by.${parts[2]}`;
  const isExact = parts.every((part, i) => part === [a, b, judge][i] && !/-vs-|\.by\./.test(part));
  const digest = hash("sha256", JSON.stringify([a, b, judge])).slice(0, 8);
  if (Buffer.byteLength(name) <= longest) return isExact ? name : `${name}.${digest}`;
  const [first, second, third] = parts.map((part) => part.replace(/[^\w.-]+/g, "_").slice(0, longestPart));
  return `${first}-vs-${second}.by.${third}.${digest}`;
}
