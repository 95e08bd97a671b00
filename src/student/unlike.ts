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
  "in another language than English",
] as const;

/** In what a row is unlike them: an index of the kinds, -1 where it is in nothing. */
export function findUnlike({ instruction, input, output }: ExampleFields, hasTurns: boolean): number {
  if (isForeign(instruction) || isForeign(output)) return 0;
  if (hasTurns) return 1;
  if (instruction.length + input.length + output.length > longText) return 2;
  return isOtherLanguage(`${instruction.slice(0, surveyed)} ${output.slice(0, surveyed)}`) ? 3 : -1;
}

const surveyed = 400; // characters of a text whose words are counted
const fewestEnglish = 3; // words: English texts have as many within a line or two
const fewestOther = 4;
const fewestKinds = 3; // different words of these
const english = /\b(?:the|of|and|to|an?|is|are|in|that|for|it|you|with|on|as|your|be|this|how|what)\b/gi;
/** Short words, each seldom in English, names and code: of German, Dutch, Scandinavian, Romance languages, Polish, Turkish, Vietnamese, Indonesian. */
const others =
  /(?<![\p{L}\p{N}])(?:der|das|und|ist|sind|nicht|ein|eine|einen|mit|für|auf|von|wie|ich|sie|wir|zu|het|een|niet|wat|zijn|voor|met|och|är|att|som|ikke|og|det|les|est|une|dans|pour|qui|sur|et|des|avec|vous|je|una|del|para|por|que|qué|con|como|más|está|il|che|è|per|della|sono|uma|não|um|com|się|jest|nie|jak|bir|ve|bu|için|là|của|và|yang|dan|untuk|dengan)(?![\p{L}\p{N}])/giu;

/** Whether a text in Latin letters has more of other languages' short words than of English ones. */
function isOtherLanguage(text: string): boolean {
  english.lastIndex = 0;
  let own = 0;
  while (english.test(text)) if (++own === fewestEnglish) return false; // nearly always within the first words
  const foreign = text.match(others) ?? [];
  const kinds = new Set(foreign.map((word) => word.toLowerCase())).size;
  return foreign.length >= fewestOther && kinds >= fewestKinds && foreign.length > 2 * own;
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
