import { formatCount, formatNumbered } from "../format.ts";
import type { ExampleFields } from "../dataset/example.ts";

const longText = 8_000; // characters: longer than nearly all of Alpaca
const mostForeign = 0.3; // share of the letters that are not Latin
const mostUnlike = 0.5; // share of the rows
const sampled = 2_000; // characters of a text that are looked at

/** In what a row can be unlike those that the embedded student was trained on, short English instructions; in words. */
const unlikeKinds = [
  "in another script than Latin",
  "conversations of several turns",
  `longer than ${formatCount(longText)} characters`,
] as const;

/** In what a row is unlike them: an index of the kinds, -1 where it is in nothing. */
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

/** Counts rows unlike those that the embedded student was trained on. */
export class UnlikeRows {
  #rows = 0;
  readonly #counts = new Map<string, number>();

  clear(): void {
    this.#rows = 0;
    this.#counts.clear();
  }

  /** Counts a row. Returns in what it is unlike them, in words; undefined where it is not. */
  add(kind: number): string | undefined {
    this.#rows++;
    const what = unlikeKinds[kind];
    if (what !== undefined) this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    return what;
  }

  /** Whether most rows are unlike them. */
  get areMost(): boolean {
    const unlike = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    return unlike > mostUnlike * this.#rows;
  }

  /** What is said of them; nothing where there are none. */
  describe(onUnlike: "score" | "refuse"): string[] {
    const unlike = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    if (unlike === 0) return [];
    const told = unlikeKinds.flatMap((what) =>
      this.#counts.has(what) ? [`${formatCount(this.#counts.get(what)!)} ${what}`] : [],
    );
    const advice =
      onUnlike === "refuse"
        ? "they have no score"
        : "do not rely on their scores, or leave them without one (--unlike refuse)";
    return [
      `${formatCount(unlike)} of ${formatNumbered(this.#rows, "row", "rows")} ${unlike === 1 ? "is" : "are"} unlike the short English instructions it was trained on (${told.join(", ")}): ${advice}`,
    ];
  }
}
