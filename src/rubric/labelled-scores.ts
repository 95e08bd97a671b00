import type { Rubric } from "./rubric.ts";

/*
 * Scores beside the first on its line, each with its name: `Accuracy: 4; overall: 2`.
 */

const partWords = "accuracy|helpfulness|quality|complexity|relevance|clarity|completeness|depth";
const namesPart = new RegExp(String.raw`\b(?:${partWords})\b`, "i");
const endOfNumber = String.raw`(?!\d|\.\d|\s+(?!points?\b|stars?\b|out\b|because\b|since\b)[a-z])`;
/** At the beginning of a part of the line; one that is told of something else (`the movie's rating is 3`) is none. */
const wholeScore = new RegExp(
  String.raw`(?:^|[.,;(]\s*)\W*(?:and\s+|but\s+)?(?:my\s+|the\s+|its\s+)?(?:overall|final|scores?|ratings?|grades?|verdict)(?:\s+(?:score|rating|grade))?\s*(?:[:=]|\bis\b)\s*(\d+(?:\.\d+)?)${endOfNumber}`,
  "gi",
);
const partScore = new RegExp(
  String.raw`\b(?:${partWords})(?:\s+(?:score|rating))?\s*[:=]\s*(\d+(?:\.\d+)?)${endOfNumber}`,
  "gi",
);

/** Whether a text names another score, or after the score of a part that of another part: `; overall: 2`. */
export function hasLabelledScore(label: string, tail: string, score: string, { min, max }: Rubric["scale"]): boolean {
  const found = [...tail.matchAll(wholeScore), ...(namesPart.test(label) ? tail.matchAll(partScore) : [])];
  return found.some(([, number]) => {
    const other = Number(number);
    return other !== Number(score) && other >= min && other <= max;
  });
}
