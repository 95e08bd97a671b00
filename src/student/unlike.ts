import { formatCount } from "../format.ts";
import type { ExampleFields } from "../dataset/example.ts";

const longText = 8_000; // characters: longer than nearly all of Alpaca
const mostForeign = 0.3; // share of the letters that are not Latin
const sampled = 2_000; // characters of a text that are looked at

/** In what a row can be unlike those that the embedded student was trained on, short English instructions; in words. */
export const unlikeKinds = [
  "in another script than Latin",
  "conversations of several turns",
  `longer than ${formatCount(longText)} characters`,
] as const;

/** In what a row is unlike them: an index of {@link unlikeKinds}, -1 where it is in nothing. */
export function findUnlike({ instruction, input, output }: ExampleFields, hasTurns: boolean): number {
  if (isForeign(instruction) || isForeign(output)) return 0;
  if (hasTurns) return 1;
  return instruction.length + input.length + output.length > longText ? 2 : -1;
}

function isForeign(text: string): boolean {
  const start = text.slice(0, sampled);
  if (!/[^\s!-\u024f]/.test(start)) return false;
  const letters = start.match(/\p{L}/gu)?.length ?? 0;
  const foreign = start.match(/(?!\p{Script=Latin})\p{L}/gu)?.length ?? 0;
  return letters > 0 && foreign / letters > mostForeign;
}
