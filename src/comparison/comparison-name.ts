import { hash } from "node:crypto";

/** A readable name for files, with a hash added when the readable form is ambiguous. */
export function comparisonName(a: string, b: string, judge: string): string {
  const parts = [a, b, judge].map((part) => part.replace(/[^\p{L}\p{N}.-]+/gu, "_"));
  const name = `${parts[0]}-vs-${parts[1]}.by.${parts[2]}`;
  const isExact = parts.every((part, i) => part === [a, b, judge][i] && !/-vs-|\.by\./.test(part));
  return isExact ? name : `${name}.${hash("sha256", JSON.stringify([a, b, judge])).slice(0, 8)}`;
}
